//! A backup directory and an observer that looks at it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use qdrant_backup_exporter::metrics::{self, ProcessInfo};
use qdrant_backup_exporter::observe::{Observation, Observer};

pub use crate::directories::{Directory, at, manifest, name, night};

/// Long enough for any machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A backup directory, which is its own state directory.
pub struct Watched {
    directory: Directory,
    observer: Observer,
}

/// What is "now" in the tests whose answers are kept in files.
pub fn now() -> DateTime<Utc> {
    at("15T15:00:00")
}

impl From<Directory> for Watched {
    fn from(directory: Directory) -> Self {
        let observer = Observer::new(directory.path(), directory.path());
        Self { directory, observer }
    }
}

impl Deref for Watched {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

impl Watched {
    /// A repository without any backup.
    pub fn new() -> Self {
        Self::from(Directory::repository())
    }

    /// An empty directory.
    pub fn bare() -> Self {
        Self::from(Directory::bare())
    }

    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    pub fn look(&self) -> Arc<Observation> {
        self.look_at(now())
    }

    pub fn look_at(&self, now: DateTime<Utc>) -> Arc<Observation> {
        observe(&self.observer, now)
    }

    /// What a scrape in the text format gives now.
    pub fn scrape(&self) -> String {
        metrics::text(&metrics::families(&self.look(), &ProcessInfo::default()))
    }
}

/// A look, from outside of any runtime.
pub fn observe(observer: &Observer, now: DateTime<Utc>) -> Arc<Observation> {
    block_on(observer.observe(now, PATIENCE))
}

/// Runs `future` to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}

/// The machine's own time: what the times of files are compared with.
#[expect(clippy::disallowed_methods, reason = "the files of the test get the machine's own time")]
pub fn wall_clock() -> DateTime<Utc> {
    SystemTime::now().into()
}
