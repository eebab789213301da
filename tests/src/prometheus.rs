//! A real Prometheus, started with a test's configuration.

use std::net::SocketAddr;
use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use qdrant_backup_shared::atomic;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::http;

/// A running Prometheus, killed when it is dropped.
pub struct Prometheus(Daemon);

impl Prometheus {
    /// Starts a Prometheus that reads `prometheus.yml` in `directory` and stores its data there, on a free loopback
    /// port. Waits until it is ready.
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

    /// Starts a Prometheus in `directory` with the shipped alert rules, which scrapes the exporter at `target` as
    /// `instance`. `more` is added to the scrape job. Alerts fire immediately; the rule tests cover their delays.
    pub fn with_shipped_rules(directory: &Path, instance: &str, target: SocketAddr, more: &str) -> Self {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts/qdrant-backup.rules.yml");
        let rules = std::fs::read_to_string(rules).expect("the rules can be read");
        let hasty: String = rules
            .lines()
            .filter(|line| !line.trim_start().starts_with("for: "))
            .map(|line| format!("{line}\n"))
            .collect();
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\nscrape_configs:\n\
             - {{job_name: qdrant-backup, static_configs: [{{targets: ['{target}'], labels: {{instance: '{instance}'}}}}]{more}}}\n"
        );
        for (name, text) in [("rules.yml", &hasty), ("prometheus.yml", &config)] {
            atomic::write(&directory.join(name), 0o600, text.as_bytes()).expect("a file");
        }
        Self::start(directory, &[])
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The series that a query returns now.
    ///
    /// # Panics
    /// When Prometheus rejects the query.
    pub fn query(&self, query: &str) -> Vec<Value> {
        self.get(&format!("query?query={}", utf8_percent_encode(query, NON_ALPHANUMERIC)), query)
    }

    /// The series that a query returns from `start` to `end`, `step` seconds apart.
    ///
    /// # Panics
    /// When Prometheus rejects the query.
    pub fn query_range(&self, query: &str, start: i64, end: i64, step: u32) -> Vec<Value> {
        let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
        self.get(&format!("query_range?query={encoded}&start={start}&end={end}&step={step}"), query)
    }

    fn get(&self, path: &str, query: &str) -> Vec<Value> {
        let answer = http::get_json(self.address(), &format!("/api/v1/{path}"));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().expect("a result").clone()
    }

    /// The only value that a query returns now, as Prometheus prints it. None if there is no series.
    ///
    /// # Panics
    /// When there are several series.
    pub fn value(&self, query: &str) -> Option<String> {
        let series = self.query(query);
        assert!(series.len() <= 1, "{query}: {series:?}");
        series.first().map(|series| series["value"][1].as_str().expect("a value").to_owned())
    }
}
