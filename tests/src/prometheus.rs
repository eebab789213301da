//! A real Prometheus, started on a configuration of the test's own.

use std::net::SocketAddr;
use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::http;

/// A running Prometheus, killed when it is dropped.
pub struct Prometheus(Daemon);

impl Prometheus {
    /// A Prometheus that reads `prometheus.yml` in `directory`, keeps its data beside it, and listens on a free port of the
    /// loopback. Gives back once it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut all = vec![
            format!("--config.file={}", directory.join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", directory.join("data").display()),
        ];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        Self(Daemon::start("prometheus", &all))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The series that a query gives now.
    ///
    /// # Panics
    /// When Prometheus refuses the query.
    pub fn query(&self, query: &str) -> Vec<Value> {
        let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let answer = http::get_json(self.address(), &format!("/api/v1/query?query={encoded}"));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().expect("a result").clone()
    }

    /// The only value that a query gives now, as Prometheus writes it; nothing when there is no series.
    ///
    /// # Panics
    /// When there are several.
    pub fn value(&self, query: &str) -> Option<String> {
        let series = self.query(query);
        assert!(series.len() <= 1, "{query}: {series:?}");
        series.first().map(|series| series["value"][1].as_str().expect("a value").to_owned())
    }
}
