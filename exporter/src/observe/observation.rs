//! What one look found, as plain data. Metrics and the status page are made of nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::last_skipped::LastSkipped;
use qdrant_backup_shared::status::Status;
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{CollectionName, verification::VerificationRecord};

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
    /// Everything that is there and could not be read, each with one line for the log. A logger says each
    /// (path, modified) once; their number is the metric `unreadable_files`.
    pub problems: Vec<Problem>,
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

/// One collection's backups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CollectionView {
    /// Oldest first.
    pub backups: Vec<BackupView>,
}

/// The essentials of one backup.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupView {
    /// Its id.
    pub backup_id: BackupId,
    /// When it began: the age of its data.
    pub started_at: DateTime<Utc>,
    /// Points that it certainly holds.
    pub points: Option<u64>,
    /// Its snapshots' length before encoding, in bytes.
    pub snapshot_size_bytes: u64,
    /// Its archives' length on disk by its manifest, in bytes.
    pub stored_size_bytes: u64,
    /// Whether it can be trusted.
    pub condition: Condition,
    /// Whether a failed check stands, whatever else is wrong with it.
    pub verification_failed: bool,
    /// What checking found, from shallow to deep; empty when nothing was ever checked.
    pub levels: Box<[LevelView]>,
}

/// What checking one backup at one level found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelView {
    /// How deep the check went.
    pub level: Level,
    /// What the last check found.
    pub outcome: CheckOutcome,
    /// When the last check ended.
    pub last_at: DateTime<Utc>,
    /// When a check last passed.
    pub last_passed_at: Option<DateTime<Utc>>,
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// What an ordinary user can still write, in bytes.
    pub avail_bytes: u64,
    /// The whole, in bytes.
    pub size_bytes: u64,
}

/// Something that is there and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What.
    pub path: PathBuf,
    /// When it was last changed, where that is known.
    pub modified: Option<DateTime<Utc>>,
    /// Why, in one line that names the path.
    pub message: String,
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

impl CollectionView {
    /// The good backups, oldest first.
    pub fn good(&self) -> impl DoubleEndedIterator<Item = &BackupView> {
        self.backups.iter().filter(|backup| backup.is_good())
    }

    /// The good backup with the newest data.
    pub fn newest_good(&self) -> Option<&BackupView> {
        self.good().max_by_key(|backup| (backup.started_at, backup.backup_id))
    }
}

impl BackupView {
    /// Whether it is complete and not known to be bad.
    pub fn is_good(&self) -> bool {
        self.condition == Condition::Good
    }

    /// Whether an archive is missing or has another length than its manifest says.
    pub fn is_incomplete(&self) -> bool {
        self.condition == Condition::Incomplete
    }

    /// Whether it passed at `level`, and no failed check stands.
    pub fn passed(&self, level: &Level) -> bool {
        !self.verification_failed
            && self.levels.iter().any(|view| view.level == *level && view.last_passed_at.is_some())
    }

    /// Whether any check has ever found it sound or bad. Inconclusive checks tell nothing.
    pub fn is_verified(&self) -> bool {
        self.verification_failed || self.levels.iter().any(|view| view.last_passed_at.is_some())
    }
}

/// The levels of a verification record, from shallow to deep.
pub(super) fn levels(record: &VerificationRecord) -> Box<[LevelView]> {
    record
        .levels
        .iter()
        .map(|(level, found)| LevelView {
            level: level.clone(),
            outcome: found.outcome.clone(),
            last_at: found.last_at,
            last_passed_at: found.last_passed_at,
        })
        .collect()
}
