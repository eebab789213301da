//! What clients asked, in the order it arrived.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hyper::HeaderMap;
use serde_json::Value;

/// One request.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// HTTP method.
    pub method: String,
    /// Path and query as sent, the stand-in's own prefix included.
    pub path_and_query: String,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body that were read.
    pub body_len: u64,
    /// The body where it was JSON; `Null` otherwise.
    pub json: Value,
    /// When the request's head had arrived.
    pub at: Instant,
}

impl LoggedRequest {
    /// The value of that header (name in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Whether the request can have changed something on a real server.
    pub fn changes_something(&self) -> bool {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        let reads = path.ends_with("/points")
            || ["/points/count", "/points/scroll"].iter().any(|end| path.ends_with(end));
        self.method != "GET" && !(self.method == "POST" && reads)
    }
}

/// The log of one stand-in.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    requests: Vec<LoggedRequest>,
    cleared: usize,
}

impl RequestLog {
    /// Notes a request; the number is for [`RequestLog::body_read`].
    pub(crate) fn add(&self, method: &str, path_and_query: &str, headers: &HeaderMap) -> usize {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut log = self.lock();
        log.requests.push(LoggedRequest {
            method: method.to_owned(),
            path_and_query: path_and_query.to_owned(),
            headers,
            body_len: 0,
            json: Value::Null,
            at: Instant::now(),
        });
        log.cleared + log.requests.len() - 1
    }

    /// Notes what the body of a request was.
    pub(crate) fn body_read(&self, number: usize, body_len: u64, json: Value) {
        let mut log = self.lock();
        let index = number.checked_sub(log.cleared);
        if let Some(request) = index.and_then(|index| log.requests.get_mut(index)) {
            request.body_len = body_len;
            request.json = json;
        }
    }

    pub(crate) fn all(&self) -> Vec<LoggedRequest> {
        self.lock().requests.clone()
    }

    pub(crate) fn clear(&self) {
        let mut log = self.lock();
        log.cleared += log.requests.len();
        log.requests.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
