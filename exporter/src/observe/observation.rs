//! What one look found, as plain data. Metrics and the status page are made of nothing else.

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

/// Everything that one look found.
#[derive(Debug, Clone)]
pub struct Observation {
    /// When the look was asked for.
    pub taken_at: DateTime<Utc>,
    /// What the runner says of itself. Absent before its first run.
    pub status: Part<Status>,
    /// The last run that found the lock held, if there was one.
    pub last_skipped: Option<Arc<LastSkipped>>,
    /// The last command that was refused before it began.
    pub last_refused: Option<Arc<LastRefused>>,
    /// What is really on disk.
    pub directory: Part<DirectoryView>,
    /// The file system of the backup directory; neither a value nor a problem where it does not say how large it is.
    pub storage: Part<Storage>,
    /// Everything that exists and could not be read; their number is the metric `unreadable_files`.
    pub problems: Vec<Unreadable>,
}

/// One part of a look.
///
/// | `value` | `problem` | meaning |
/// |---|---|---|
/// | some | none | read |
/// | none | none | not there, and that is a defined state: nothing ever ran, or nobody can say |
/// | none | some | could not be read |
/// | some | some | what is known, but something is wrong: no answer in time (then the last known), or no repository |
#[derive(Debug, Clone)]
pub struct Part<T> {
    /// What is known.
    pub value: Option<Arc<T>>,
    /// What is wrong, in one line; nothing when all is well.
    pub problem: Option<String>,
    /// How long this look took.
    pub duration: Duration,
}

impl<T> Part<T> {
    /// Whether this part was read, whole and in time.
    pub fn success(&self) -> bool {
        self.value.is_some() && self.problem.is_none()
    }
}

/// Everything in the backup directory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DirectoryView {
    /// Each collection's backups.
    pub collections: BTreeMap<CollectionName, Arc<CollectionView>>,
    /// Archives without a manifest: each may be a last copy.
    pub orphan_files: u64,
    /// Their length in bytes.
    pub orphan_bytes: u64,
    /// Temporary files: of the run that is going on, or of one that was killed.
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

    /// Whether it is known what the runner says of itself. In a repository that was scanned, no status file is
    /// knowledge as well: nothing has run yet. Where the directory could not be seen, its absence says nothing.
    pub fn status_success(&self) -> bool {
        let absent = self.status.value.is_none() && self.status.problem.is_none();
        self.status.success() || absent && self.directory.success()
    }
}
