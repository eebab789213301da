//! Access control: the API keys.

use std::time::Instant;

use hyper::HeaderMap;

use super::answers::{Reply, bare, error};
use super::route::Endpoint;
use super::state::State;

/// The refusal, if the request's key does not allow the request.
pub(crate) fn refuse(
    state: &State,
    endpoint: Endpoint,
    headers: &HeaderMap,
    started: Instant,
) -> Option<Reply> {
    if (state.api_key.is_none() && state.read_only_key.is_none()) || endpoint.is_open() {
        return None;
    }
    let header = |name| headers.get(name).and_then(|value: &hyper::header::HeaderValue| value.to_str().ok());
    let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let Some(key) = header("api-key").or(bearer) else {
        return Some(bare(401, "Must provide an API key or an Authorization bearer token"));
    };
    if state.api_key.as_deref() == Some(key) {
        return None;
    }
    if state.read_only_key.as_deref() != Some(key) {
        return Some(bare(401, "Invalid API key or JWT"));
    }
    if endpoint.only_reads() {
        return None;
    }
    Some(error(403, "Forbidden: Global manage access is required", started))
}
