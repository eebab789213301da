//! What requests are answered by, and why a configuration is not.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;

use super::file::{ConfigError, WebConfig};
use super::tls::TlsError;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The file cannot be read.
    #[error("--web.config.file: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no UTF-8.
    #[error("{}: not valid UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The file says what makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its certificates cannot be used.
    #[error("{}: {source}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TlsError,
    },
    /// Connections were not encrypted and are to be.
    #[error("{}: tls_server_config was added; that needs a restart", path.display())]
    TlsAdded {
        /// The file.
        path: PathBuf,
    },
    /// The new configuration lets in whom the one before kept out.
    #[error("{}: {what}; if that is meant, restart the exporter", path.display())]
    Opens {
        /// The file.
        path: PathBuf,
        /// What it gives up.
        what: &'static str,
    },
    /// The system gives no thread.
    #[error("the thread that reads the web configuration cannot be started: {0}")]
    Thread(io::Error),
}

/// What requests are answered by.
#[derive(Clone)]
pub struct InForce {
    /// Users, headers, rate limit.
    pub config: Arc<WebConfig>,
    /// What a handshake needs; nothing where connections are plain.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether this is what the files say; nothing where there is no file.
    pub current: Option<bool>,
}
