//! Refusals caused by a collection's `strict_mode_config`, with Qdrant's messages.

use std::time::Instant;

use serde_json::Value;

use super::answers::{Reply, error, set};
use super::collection::Collection;
use super::request::Asked;

/// The properties of a request that strict mode checks.
pub(crate) struct Wanted {
    /// Whether it requests an exact count or search.
    pub(crate) exact: bool,
    /// Its `limit`.
    pub(crate) limit: Option<u64>,
    /// Its cost in tokens of `read_rate_limit`: 1 per read, and 1 per point for retrieval by id.
    pub(crate) cost: usize,
}

/// The refusal, if strict mode is enabled and does not allow the request.
pub(crate) fn refuse(collection: &mut Collection, asked: &Asked, wanted: &Wanted) -> Option<Reply> {
    let strict = collection.config.get("strict_mode_config").filter(|strict| strict["enabled"] == true)?;
    let number = |key: &str| strict.get(key).and_then(Value::as_u64);
    let (most_points, most_time, rate) =
        (number("max_query_limit"), number("max_timeout"), number("read_rate_limit"));
    let bad = |message: String| Some(error(400, &format!("Bad request: {message}"), asked.started));
    let limit = |value: Option<u64>, most: Option<u64>, name: &str| {
        let (value, most) = (value?, most?);
        (value > most).then(|| {
            format!(
                "Limit exceeded {value} > {most} for \"{name}\". Help: Reduce the \"{name}\" parameter to or below {most}."
            )
        })
    };
    if let Some(message) = limit(wanted.limit, most_points, "limit") {
        return bad(message);
    }
    if wanted.exact && strict["search_allow_exact"] == false {
        return bad("Exact search disabled!. Help: Set exact=false.".to_owned());
    }
    let timeout = asked.query.get("timeout").and_then(|timeout| timeout.parse().ok());
    if let Some(message) = limit(timeout, most_time, "timeout") {
        return bad(message);
    }
    take(collection, rate?, wanted.cost as f64).map(|refused| {
        let (message, retry_after) = refused;
        let message = format!("Rate limiting exceeded: Read rate limit exceeded{message}");
        let mut reply = error(429, &message, asked.started);
        if let Some(seconds) = retry_after {
            set(&mut reply, "retry-after", &seconds.to_string());
        }
        reply
    })
}

/// Takes `cost` tokens; they are refilled evenly over a minute. If there are too few, returns the server's message
/// and the seconds to wait.
fn take(collection: &mut Collection, per_minute: u64, cost: f64) -> Option<(String, Option<u32>)> {
    let capacity = per_minute as f64;
    if cost > capacity {
        let message = ", request larger than rate limiter capacity, please try to split your request";
        return Some((message.to_owned(), None));
    }
    let now = Instant::now();
    let (left, since) = collection.read_tokens.unwrap_or((capacity, now));
    let per_second = capacity / 60.0;
    let tokens = (left + now.duration_since(since).as_secs_f64() * per_second).min(capacity);
    if tokens >= cost {
        collection.read_tokens = Some((tokens - cost, now));
        return None;
    }
    collection.read_tokens = Some((tokens, now));
    let seconds = ((cost - tokens) / per_second).ceil() as u32;
    let message = format!(
        ": Operation requires {cost} tokens but only {tokens:.1} were available. Retry after {seconds}s"
    );
    Some((message, Some(seconds)))
}
