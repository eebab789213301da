//! The configuration as it is now: the files are read again for every request and every handshake, and understood again
//! when they changed. Whoever edits them needs no restart.
//!
//! They are read by a thread of their own. A disk that hangs holds up that thread, and whoever asks meanwhile is answered by
//! the configuration that was last good.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::{info, warn};

use super::file::WebConfig;
use super::in_force::{InForce, LiveError};
use super::source::Source;
use crate::worker::Worker;

/// How long the files are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

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
