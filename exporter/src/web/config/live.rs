//! The configuration as it is now: the files are read again for every request and every handshake, and understood again
//! when they changed. Whoever edits them needs no restart.
//!
//! They are read where reading may block. While a disk hangs, one thread waits for it, and everybody is answered by
//! the configuration that was last good.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::{info, warn};

use super::source::{InForce, Source};
use crate::stop::Stop;
use crate::worker::Worker;

/// How long the files are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The configuration, kept current.
pub struct Live {
    /// What was in force at the start.
    first: InForce,
    files: Option<Worker<InForce>>,
    clock: fn() -> DateTime<Utc>,
    /// Whether the last look was not answered in time.
    late: AtomicBool,
}

impl Live {
    /// Reads the configuration for the first time. Without a file there is nothing to be asked.
    ///
    /// # Errors
    /// Whatever is wrong with the file or the files it names.
    pub fn open(path: Option<&Path>, clock: fn() -> DateTime<Utc>) -> Result<Self, Stop> {
        let mut live = Self { first: InForce::default(), files: None, clock, late: AtomicBool::new(false) };
        if let Some(path) = path {
            let mut source = Source::open(path)?;
            live.first = source.in_force();
            live.files = Some(Worker::new(move |now| source.look(now)));
        }
        Ok(live)
    }

    /// Whether connections are encrypted. Fixed at the start.
    pub fn has_tls(&self) -> bool {
        self.first.tls.is_some()
    }

    /// What is in force now: what the files say, as far as it can be used, or what was last good.
    pub async fn now(&self) -> InForce {
        let Some(files) = &self.files else { return self.first.clone() };
        // While one look hangs, nobody else waits at all.
        let hangs = self.late.load(Ordering::Relaxed) && files.is_busy();
        let answer = files.ask((self.clock)(), if hangs { Duration::ZERO } else { PATIENCE }).await;
        let late = answer.problem.is_some();
        if self.late.swap(late, Ordering::Relaxed) != late {
            match answer.problem {
                Some(problem) => {
                    warn!(err = problem, "Unable to read the web configuration; the one before stays");
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
    use std::sync::{Arc, mpsc};

    use super::super::file::WebConfig;
    use super::*;

    fn clock() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    #[tokio::test]
    async fn a_change_is_in_force_for_the_next_request() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("web.yml");
        let put = |text: &str| qdrant_backup_shared::atomic::write(&path, 0o600, text.as_bytes()).unwrap();
        put("");
        let live = Live::open(Some(&path), clock).unwrap();
        assert!(live.now().await.config.rate_limit.is_none());
        put("rate_limit: {interval: 1s}\n");
        let in_force = live.now().await;
        assert!(in_force.config.rate_limit.is_some() && in_force.current == Some(true));
        assert_eq!(Live::open(None, clock).unwrap().now().await.current, None);
    }

    #[tokio::test]
    async fn while_a_read_hangs_everybody_is_answered_by_what_was_last_good() {
        let (release, hung) = mpsc::channel();
        let mut known = InForce { current: Some(true), ..InForce::default() };
        let mut live = Live::open(None, clock).unwrap();
        live.first = known.clone();
        live.files = Some(Worker::new(move |_| {
            known.config = hung.recv().unwrap_or_default();
            known.clone()
        }));
        let began = std::time::Instant::now();
        for _ in 0..100 {
            let in_force = live.now().await;
            assert_eq!(in_force.config, Arc::default(), "what was last good");
            assert_eq!(in_force.current, Some(false), "it is not known whether that is what the files say");
        }
        assert!(began.elapsed() < 50 * PATIENCE, "not everybody waits");
        let new =
            Arc::new(WebConfig { headers: Vec::with_capacity(1), users: [].into(), ..WebConfig::default() });
        for _ in 0..200 {
            release.send(Arc::clone(&new)).unwrap();
        }
        while live.now().await.current != Some(true) {}
        assert!(Arc::ptr_eq(&live.now().await.config, &new));
    }
}
