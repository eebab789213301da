//! A backup directory with an observer.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use qdrant_backup_exporter::metrics::{self, ProcessInfo};
use qdrant_backup_exporter::observe::{Observation, Observer};

pub use crate::directories::{Directory, at, manifest, name, night};

/// Long enough for any machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A backup directory, which is also the state directory.
pub struct Watched {
    directory: Directory,
    observer: Observer,
}

/// The current time in tests with golden files.
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
    /// A repository without backups.
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

    /// The metrics in the text format.
    pub fn scrape(&self) -> String {
        metrics::text(&metrics::families(&self.look(), &ProcessInfo::default()))
    }
}

/// An observation, from outside of any runtime.
pub fn observe(observer: &Observer, now: DateTime<Utc>) -> Arc<Observation> {
    block_on(observer.observe(now, PATIENCE))
}

/// Runs `future` to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}

/// The machine's clock, which file times are compared with.
#[expect(clippy::disallowed_methods, reason = "the files of the test get the machine's own time")]
pub fn wall_clock() -> DateTime<Utc> {
    SystemTime::now().into()
}
