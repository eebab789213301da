//! The requests of clients, in order of arrival.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hyper::HeaderMap;
use serde_json::Value;

/// One request.
#[derive(Clone, Debug)]
pub struct LoggedRequest {
    /// HTTP method.
    pub method: String,
    /// Path and query as sent, including the stand-in's prefix.
    pub path_and_query: String,
    /// Headers with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The number of bytes read from the body.
    pub body_len: u64,
    /// The body if it was JSON, otherwise `Null`.
    pub json: Value,
    /// When the request's head was complete.
    pub at: Instant,
}

impl LoggedRequest {
    /// The value of a header. `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// Whether the request could change something on a real server.
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
    /// Logs a request and returns its number for [`RequestLog::body_read`].
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

    /// Adds the body of a logged request.
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
