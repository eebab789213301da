//! The result of one observation as plain data. Metrics and the status page use nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::Unreadable;
use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::last_skipped::LastSkipped;
use qdrant_backup_shared::status::Status;
use serde::Serialize;

use super::collection_view::CollectionView;

/// The result of one observation.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When the observation was requested.
    pub taken_at: DateTime<Utc>,
    /// The runner's status. Absent before its first run.
    pub status: Part<Status>,
    /// The last run that found the lock held, if there was one.
    pub last_skipped: Option<Arc<LastSkipped>>,
    /// The last command that was refused before it started.
    pub last_refused: Option<Arc<LastRefused>>,
    /// The contents of the disk.
    pub directory: Part<DirectoryView>,
    /// The file system of the backup directory. Neither a value nor a problem if its size is not reported.
    pub storage: Part<Storage>,
    /// All files that exist and could not be read. The metric `unreadable_files` is their number.
    pub problems: Vec<Unreadable>,
}

/// One part of an observation.
///
/// | `value` | `problem` | meaning |
/// |---|---|---|
/// | some | none | read |
/// | none | none | not there, and that is a defined state: nothing ever ran, or nobody can say |
/// | none | some | could not be read |
/// | some | some | what is known, but something is wrong: no answer in time (then the last known), or no repository |
#[derive(Debug, Clone)]
pub struct Part<T> {
    /// The value, if known.
    pub value: Option<Arc<T>>,
    /// The problem in one line. None if there is none.
    pub problem: Option<String>,
    /// The duration of the observation.
    pub duration: Duration,
}

impl<T> Part<T> {
    /// Whether this part was read completely and in time.
    pub fn success(&self) -> bool {
        self.value.is_some() && self.problem.is_none()
    }
}

/// Everything in the backup directory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DirectoryView {
    /// Each collection's backups.
    pub collections: BTreeMap<CollectionName, Arc<CollectionView>>,
    /// Archives without a manifest. Each may be the last copy.
    pub orphan_files: u64,
    /// Their length in bytes.
    pub orphan_bytes: u64,
    /// Temporary files of the current run or of one that was killed.
    pub temporary_files: u64,
}

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Storage {
    /// What can still be written, in bytes.
    pub avail_bytes: u64,
    /// The whole, in bytes.
    pub size_bytes: u64,
}

impl Observation {
    /// Whether the status was read and the directory scanned: the metric `up`.
    pub fn is_up(&self) -> bool {
        self.status_success() && self.directory.success()
    }

    /// Whether the runner's status is known. If the repository was scanned, a missing status file is also knowledge:
    /// nothing has run yet. If the directory was not readable, it proves nothing.
    pub fn status_success(&self) -> bool {
        let absent = self.status.value.is_none() && self.status.problem.is_none();
        self.status.success() || absent && self.directory.success()
    }
}
