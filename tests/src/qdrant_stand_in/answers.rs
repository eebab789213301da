//! The formats of answers: JSON results, JSON errors and plain text, and the headers that all of them have.

use std::time::Instant;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::body::ReplyBody;

/// An answer of the stand-in.
pub(crate) type Reply = Response<ReplyBody>;

/// The connection is closed without an answer.
#[derive(Debug)]
pub(crate) struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("hanging up on purpose")
    }
}

impl std::error::Error for HangUp {}

/// An answer with this body, either complete or streamed by a task.
pub(crate) fn reply(status: u16, body: ReplyBody) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    reply.headers_mut().insert(VARY, HeaderValue::from_static(vary));
    reply
}

/// Adds a header. Ignores a header that HTTP does not allow.
pub(crate) fn set(reply: &mut Reply, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
        reply.headers_mut().insert(name, value);
    }
}

/// Bytes without a content type.
pub(crate) fn bare(status: u16, body: impl Into<Bytes>) -> Reply {
    reply(status, ReplyBody::Full(Some(body.into())))
}

/// Plain text.
pub(crate) fn text(status: u16, body: impl Into<Bytes>) -> Reply {
    let mut reply = bare(status, body);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

/// A JSON document.
pub(crate) fn json_body(status: u16, body: &Value) -> Reply {
    let mut reply = bare(status, body.to_string());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// `{"result": …, "status": "ok", "time": …}`.
pub(crate) fn ok(result: &Value, started: Instant) -> Reply {
    json_body(200, &json!({ "result": result, "status": "ok", "time": seconds_since(started) }))
}

/// 202 `{"status": "accepted", "time": …}`.
pub(crate) fn accepted(started: Instant) -> Reply {
    json_body(202, &json!({ "status": "accepted", "time": seconds_since(started) }))
}

/// `{"status": {"error": …}, "time": …}`.
pub(crate) fn error(status: u16, message: &str, started: Instant) -> Reply {
    json_body(status, &json!({ "status": { "error": message }, "time": seconds_since(started) }))
}

/// The 404 answer for a missing collection.
pub(crate) fn no_collection(name: &str, started: Instant) -> Reply {
    error(404, &format!("Not found: Collection `{name}` doesn't exist!"), started)
}

fn seconds_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64()
}
