//! A real Alertmanager, started on a configuration of the test's own.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::daemon::Daemon;
use crate::http;

/// A running Alertmanager, killed when it is dropped.
pub struct Alertmanager(Daemon);

impl Alertmanager {
    /// An Alertmanager that reads `alertmanager.yml` in `directory`, keeps its data beside it, and listens on a free port of
    /// the loopback. Gives back once it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(directory: &Path) -> Self {
        let arguments = [
            format!("--config.file={}", directory.join("alertmanager.yml").display()),
            format!("--storage.path={}", directory.join("alertmanager").display()),
            // Alone, so that it waits for no others.
            "--cluster.listen-address=".to_owned(),
        ];
        Self(Daemon::start("prometheus-alertmanager", &arguments))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The alerts that it knows now, including suppressed ones.
    pub fn alerts(&self) -> Vec<Value> {
        http::get_json(self.address(), "/api/v2/alerts").as_array().expect("a list of alerts").clone()
    }
}
