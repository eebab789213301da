//! The active configuration: the files are read again for every request and every handshake, and applied if they have
//! changed, so that a change needs no restart.
//!
//! Unusable files change nothing: a missing, unreadable, invalid or half-written file, or a certificate and a key
//! that do not match, because the two are never replaced at the same instant. The same applies to a change that would
//! admit clients that were refused before, because an empty file looks the same as one that is being saved.
//!
//! The files are read in a thread that may block. While a disk hangs, one thread waits for it, and all requests are
//! answered with the last good configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::DateTime;
use qdrant_backup_shared::regular_file::{self, Links};
use rustls::ServerConfig;
use tracing::{error, info, warn};

use super::file::WebConfig;
use super::tls::{MAX_BYTES, Material};
use crate::stop::Stop;
use crate::worker::Worker;

/// Maximum time to wait for the files.
const PATIENCE: Duration = Duration::from_secs(1);

/// The configuration that is used for requests.
#[derive(Clone, Default)]
pub struct InForce {
    /// Users and headers.
    pub config: Arc<WebConfig>,
    /// The settings for handshakes. None for plain connections.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether this matches the files. None if there is no file.
    pub current: Option<bool>,
}

/// The configuration, kept current.
pub struct Live {
    /// The configuration at the start.
    first: InForce,
    files: Option<Worker<InForce>>,
    /// Whether the last read timed out.
    late: AtomicBool,
}

impl Live {
    /// Reads the configuration for the first time. Without a file there is nothing to read.
    ///
    /// # Errors
    /// Any problem in the file or the files it names.
    pub fn open(path: Option<&Path>) -> Result<Self, Stop> {
        let mut live = Self { first: InForce::default(), files: None, late: AtomicBool::new(false) };
        if let Some(path) = path {
            let mut source =
                Source { path: path.to_owned(), in_force: InForce::default(), material: None, problem: None };
            let (config, material) = read(path)?;
            source.apply(config, material)?;
            live.first = source.in_force.clone();
            live.files = Some(Worker::new(move |_| source.look()));
        }
        Ok(live)
    }

    /// Whether connections are encrypted. Fixed at the start.
    pub fn has_tls(&self) -> bool {
        self.first.tls.is_some()
    }

    /// The active configuration: that of the files as far as it is usable, otherwise the last good one.
    pub async fn now(&self) -> InForce {
        let Some(files) = &self.files else { return self.first.clone() };
        // While one read hangs, other requests do not wait at all.
        let hangs = self.late.load(Ordering::Relaxed) && files.is_busy();
        let answer = files.ask(DateTime::UNIX_EPOCH, if hangs { Duration::ZERO } else { PATIENCE }).await;
        let late = answer.problem.is_some();
        if self.late.swap(late, Ordering::Relaxed) != late {
            match answer.problem {
                Some(problem) => {
                    warn!(
                        err = problem,
                        "Unable to read the web configuration; the previous one stays in force"
                    );
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

/// The files, the active configuration, and the problem of a newer version, if any.
struct Source {
    path: PathBuf,
    in_force: InForce,
    /// The contents of the files that it was made from, besides the configuration.
    material: Option<Material>,
    problem: Option<Stop>,
}

impl Source {
    /// Reads the files again.
    fn look(&mut self) -> InForce {
        let problem = self.refresh().err();
        if let Some(new) = problem.as_ref().filter(|new| self.problem.as_ref() != Some(new)) {
            for line in new.to_string().lines() {
                error!(err = line, "Unable to use the web configuration; the previous one stays in force");
            }
        }
        self.in_force.current = Some(problem.is_none());
        self.problem = problem;
        self.in_force.clone()
    }

    fn refresh(&mut self) -> Result<(), Stop> {
        let (config, material) = read(&self.path)?;
        if config == *self.in_force.config && material == self.material {
            return Ok(());
        }
        if let Some(what) = self.in_force.config.opened_by(&config) {
            return Err(wrong(&self.path, &format!("{what}; if that is meant, restart the exporter")));
        }
        if config.tls.is_some() && self.material.is_none() {
            return Err(wrong(&self.path, "tls_server_config was added; that needs a restart"));
        }
        self.apply(config, material)?;
        info!(file = %self.path.display(), "Applied the changed web configuration");
        Ok(())
    }

    fn apply(&mut self, config: WebConfig, material: Option<Material>) -> Result<(), Stop> {
        let tls = config.tls.as_ref().zip(material.as_ref());
        let tls = tls.map(|(section, material)| material.server_config(section)).transpose();
        let tls = tls.map_err(|problem| wrong(&self.path, &problem))?.map(Arc::new);
        self.in_force = InForce { config: Arc::new(config), tls, current: Some(true) };
        self.material = material;
        Ok(())
    }
}

fn read(path: &Path) -> Result<(WebConfig, Option<Material>), Stop> {
    let text = regular_file::read_text(path, Links::Follow, MAX_BYTES).map_err(|error| {
        Stop::Configuration(format!("--web.config.file: cannot read {}: {error}", path.display()))
    })?;
    let config = WebConfig::parse(path, &text)?;
    let material = config.tls.as_ref().map(Material::read).transpose();
    Ok((config, material.map_err(|problem| wrong(path, &problem))?))
}

fn wrong(path: &Path, problem: &str) -> Stop {
    Stop::Configuration(format!("{}: {problem}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn while_a_read_hangs_everybody_is_answered_by_what_was_last_good() {
        let (release, hung) = mpsc::channel();
        let mut known = InForce { current: Some(true), ..InForce::default() };
        let mut live = Live::open(None).unwrap();
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
