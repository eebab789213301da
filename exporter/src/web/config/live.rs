//! The configuration as it is now: the files are read again for every request and every handshake, and understood again
//! when they changed. Whoever edits them needs no restart.
//!
//! They are read by a thread of their own. A disk that hangs holds up that thread, and whoever asks meanwhile is answered by
//! the configuration that was last good.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::ServerConfig;
use tracing::{info, warn};

use super::file::{ConfigError, WebConfig};
use super::source::Source;
use super::tls::TlsError;
use crate::worker::Worker;

/// How long the files are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// What time it is.
type Clock = fn() -> DateTime<Utc>;

/// The configuration, kept current.
pub struct Live {
    /// What was in force at the start.
    first: InForce,
    files: Option<Worker<InForce>>,
    clock: Clock,
    /// Whether it was said that the files do not answer.
    late: AtomicBool,
}

impl Live {
    /// Reads the configuration for the first time. Without a file there is nothing to be asked.
    ///
    /// # Errors
    /// Whatever is wrong with the file or the files it names.
    pub fn open(path: Option<&Path>, clock: Clock) -> Result<Self, LiveError> {
        let Some(path) = path else {
            let first = InForce { config: Arc::new(WebConfig::none()), tls: None, current: None };
            return Ok(Self { first, files: None, clock, late: AtomicBool::new(false) });
        };
        let mut source = Source::open(path)?;
        Self::with(source.in_force(), clock, move |now| source.look(now))
    }

    /// `first`, and later what `look` finds.
    fn with(
        first: InForce,
        clock: Clock,
        look: impl FnMut(DateTime<Utc>) -> InForce + Send + 'static,
    ) -> Result<Self, LiveError> {
        let files = Worker::start("web config", look).map_err(LiveError::Thread)?;
        Ok(Self { first, files: Some(files), clock, late: AtomicBool::new(false) })
    }

    /// Whether connections are encrypted. Fixed at the start.
    pub fn has_tls(&self) -> bool {
        self.first.tls.is_some()
    }

    /// What is in force now: what the files say, as far as it can be used, or what was last good.
    pub async fn now(&self) -> InForce {
        let Some(files) = &self.files else { return self.first.clone() };
        let answer = files.wait_async(files.ask((self.clock)()), PATIENCE).await;
        let late = answer.problem.is_some();
        if self.late.swap(late, Ordering::Relaxed) != late {
            match answer.problem {
                Some(problem) => {
                    warn!(err = problem, "Unable to read the web configuration; the one before stays")
                }
                None => info!("The web configuration can be read again"),
            }
        }
        let mut in_force = answer.value.map_or_else(|| self.first.clone(), |known| (*known).clone());
        if late {
            in_force.current = Some(false);
        }
        in_force
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    #[tokio::test]
    async fn while_a_read_hangs_everybody_is_answered_by_what_was_last_good() {
        let first = InForce { config: Arc::new(WebConfig::none()), tls: None, current: Some(true) };
        let (release, hung) = mpsc::channel::<bool>();
        let mut known = first.clone();
        let live = Live::with(first, now, move |_| {
            if let Ok(http2) = hung.recv() {
                known.config = Arc::new(WebConfig { http2, ..WebConfig::none() });
            }
            known.clone()
        })
        .unwrap();
        for _ in 0..100 {
            let in_force = live.now().await;
            assert!(in_force.config.http2);
            assert_eq!(in_force.current, Some(false), "it is not known whether that is what the files say");
        }
        release.send(false).unwrap();
        release.send(false).unwrap();
        let healed = loop {
            let in_force = live.now().await;
            release.send(false).unwrap();
            if in_force.current == Some(true) {
                break in_force;
            }
        };
        assert!(!healed.config.http2);
    }

    #[tokio::test]
    async fn a_change_is_in_force_for_the_next_request() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yml");
        let put = |text: &str| qdrant_backup_shared::atomic::write(&path, 0o600, text.as_bytes()).unwrap();
        put("");
        let live = Live::open(Some(&path), now).unwrap();
        assert!(live.now().await.config.http2);
        put("http_server_config: {http2: false}\n");
        let in_force = live.now().await;
        assert!(!in_force.config.http2);
        assert_eq!(in_force.current, Some(true));
        assert_eq!(Live::open(None, now).unwrap().now().await.current, None);
    }
}
