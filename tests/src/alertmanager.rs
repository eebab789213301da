//! A real Alertmanager, started with a test's configuration.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::daemon::Daemon;
use crate::http;

/// A running Alertmanager, killed when it is dropped.
pub struct Alertmanager(Daemon);

impl Alertmanager {
    /// Starts an Alertmanager that reads `alertmanager.yml` in `directory` and stores its data there, on a free
    /// loopback port. Waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(directory: &Path) -> Self {
        let arguments = [
            format!("--config.file={}", directory.join("alertmanager.yml").display()),
            format!("--storage.path={}", directory.join("alertmanager").display()),
            // Without a cluster, so that it does not wait for peers.
            "--cluster.listen-address=".to_owned(),
        ];
        Self(Daemon::start("prometheus-alertmanager", &arguments))
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// The current alerts, including suppressed ones.
    pub fn alerts(&self) -> Vec<Value> {
        http::get_json(self.address(), "/api/v2/alerts").as_array().expect("a list of alerts").clone()
    }
}
