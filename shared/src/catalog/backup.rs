//! The essential data of a backup, which is kept in memory for all backups. [`Backup::whole`] reads the rest of a manifest when
//! it is needed.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::backup_id::BackupId;
use crate::collection_name::CollectionName;
use crate::failure::FailureKind;
use crate::json_file::{self, ReadError};
use crate::layout::Layout;
use crate::manifest::{Encoding, Manifest};
use crate::points_count::PointsCount;
use crate::verification::{Level, RestoredPoints, VerificationRecord};

/// One backup, as found on disk. Small, because there may be tens of thousands.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// The collection's name on the server.
    pub collection: Arc<CollectionName>,
    /// Its id, unique within the collection.
    pub backup_id: BackupId,
    /// Start time. The age of the backup counts from here.
    pub started_at: DateTime<Utc>,
    /// When the archive was complete.
    pub completed_at: DateTime<Utc>,
    /// Number of points, as precisely as the server reported it.
    pub points: Option<PointsCount>,
    /// Total size of the snapshots before encoding, in bytes.
    pub snapshot_size_bytes: u64,
    /// The files that must exist.
    pub archives: Arc<[StoredFile]>,
    /// How its archives are encoded.
    pub encoding: Cow<'static, [Encoding]>,
    /// Results of its checks, from shallow to deep. Empty if it was never checked.
    pub checks: Arc<[LevelCheck]>,
    /// Whether a failed check is still in effect.
    pub verification_failed: bool,
    /// Its offsite copies according to the records beside it, sorted by place.
    pub copies: Arc<[Copied]>,
    /// Rare properties, boxed so that most backups do not need the memory.
    remarks: Option<Box<Remarks>>,
}

/// A file that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name, in the manifest's own directory.
    pub name: Box<str>,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// A copy of a backup in an offsite place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Name of the place that has the copy.
    pub place: Box<str>,
    /// When the copy was complete.
    pub copied_at: DateTime<Utc>,
    /// When the whole place was last read back without finding damage.
    pub last_checked_at: Option<DateTime<Utc>>,
    /// The archives were removed here on purpose; only the copy remains.
    pub only_copy: bool,
}

/// What checking one backup at one level found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelCheck {
    /// How deep the check went.
    pub level: Level,
    /// When the last check ended.
    pub last_at: DateTime<Utc>,
    /// When a check last passed.
    pub last_passed_at: Option<DateTime<Utc>>,
}

/// Rare properties.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Remarks {
    /// A feature that the backup requires and this version does not support.
    pub requires: Option<String>,
    /// Backups without which this one cannot be restored.
    pub depends_on: Vec<BackupId>,
    /// How many shard keys a collection with custom sharding has.
    pub shard_keys: Option<usize>,
    /// If it is on hold: the reason, which may be empty. A hold file that cannot be read also counts.
    pub hold: Option<String>,
    /// Problem with the presence or size of its archives. None for a complete backup.
    pub missing: Option<String>,
    /// Why its state is unknown: its verification record, or the metadata of an archive, cannot be read.
    pub unknown: Option<String>,
    /// Findings of the failed checks.
    pub failures: Option<String>,
    /// Result of its first restore or drill.
    pub restored_points: Option<RestoredPoints>,
}

/// State of a backup, as far as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Complete, and no failed verification.
    Good,
    /// Its archives were removed here on purpose, and an offsite place has a copy. Neither good nor bad.
    OffsiteOnly,
    /// An archive is missing or has another size than the manifest says.
    Incomplete,
    /// Verification found it bad.
    Failed,
    /// Unknown. Such a backup never counts as good, and is never deleted for this reason.
    Unknown,
}

/// A backup with its full manifest, as needed to restore, check or export it.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// What the catalog keeps of it.
    pub backup: Backup,
    /// Its manifest, read again.
    pub manifest: Manifest,
}

/// A manifest is no longer available, or is not the one that was listed.
#[derive(Debug, thiserror::Error)]
pub enum WholeError {
    /// The manifest was deleted, and with it the backup.
    #[error("{}: the backup was deleted while this command was reading it; `qdrant-backup list` shows what exists", path.display())]
    Gone {
        /// Where it was.
        path: PathBuf,
    },
    /// Someone changed the manifest, which must never change.
    #[error("{}: the manifest was changed while this command was reading it; run it again", path.display())]
    Changed {
        /// Path of the manifest.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(ReadError),
}

impl Condition {
    /// The JSON spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::OffsiteOnly => "offsite_only",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl WholeError {
    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Gone { .. } => FailureKind::NoBackup,
            Self::Changed { .. } | Self::Unreadable(_) => FailureKind::ManifestInvalid,
        }
    }
}

/// Tolerance for differences between clocks.
pub const CLOCKS: TimeDelta = TimeDelta::minutes(5);

/// The good backup that counts as the newest at `now`. `newest` is the last of the `good` ones. A backup that was made while a
/// clock was ahead sorts last until that time has passed; until then, the backup that the runner recorded as its last one counts.
pub fn counts_as_newest<'a>(
    newest: &'a Backup,
    mut good: impl Iterator<Item = &'a Backup>,
    made_last: Option<BackupId>,
    now: DateTime<Utc>,
) -> &'a Backup {
    let has_come = |backup: &&Backup| backup.started_at <= now + CLOCKS;
    if has_come(&newest) {
        return newest;
    }
    good.find(|backup| Some(backup.backup_id) == made_last).filter(has_come).unwrap_or(newest)
}

static NO_REMARKS: Remarks = Remarks {
    requires: None,
    depends_on: Vec::new(),
    shard_keys: None,
    hold: None,
    missing: None,
    unknown: None,
    failures: None,
    restored_points: None,
};

static GZIP: [Encoding; 1] = [Encoding::Gzip];
static ZSTD: [Encoding; 1] = [Encoding::Zstd];

impl Backup {
    /// The essential data of `manifest` for `collection`. Its files are not checked yet.
    pub fn of(manifest: &Manifest, collection: Arc<CollectionName>) -> Self {
        let stored = manifest.archives.iter().map(|archive| StoredFile {
            name: archive.file_name.as_str().into(),
            size_bytes: archive.stored.size_bytes,
        });
        let encoding = manifest.archives.first().map_or(&[][..], |archive| archive.encoding.as_slice());
        let mut backup = Self {
            collection,
            backup_id: manifest.backup_id,
            started_at: manifest.started_at,
            completed_at: manifest.completed_at,
            points: manifest.points_told(),
            snapshot_size_bytes: manifest.snapshot_size_bytes(),
            archives: stored.collect(),
            encoding: match encoding {
                [] => Cow::Borrowed(&[]),
                [Encoding::Gzip] => Cow::Borrowed(&GZIP),
                [Encoding::Zstd] => Cow::Borrowed(&ZSTD),
                other => Cow::Owned(other.to_vec()),
            },
            checks: Arc::default(),
            verification_failed: false,
            copies: Arc::default(),
            remarks: None,
        };
        let shard_keys = manifest.source.shard_keys.as_ref().map(Vec::len);
        let requires = manifest.unknown_requirement();
        if requires.is_some() || !manifest.depends_on.is_empty() || shard_keys.is_some() {
            backup.remark(|remarks| {
                remarks.requires = requires.map(str::to_owned);
                remarks.depends_on.clone_from(&manifest.depends_on);
                remarks.shard_keys = shard_keys;
            });
        }
        backup
    }

    /// Rare properties.
    pub fn remarks(&self) -> &Remarks {
        self.remarks.as_deref().unwrap_or(&NO_REMARKS)
    }

    /// Changes its rare properties.
    pub fn remark(&mut self, change: impl FnOnce(&mut Remarks)) {
        let mut remarks = self.remarks.take().unwrap_or_default();
        change(&mut remarks);
        self.remarks = Some(remarks).filter(|remarks| **remarks != NO_REMARKS);
    }

    /// Applies its verification record, or the absence of one.
    pub fn take_record(&mut self, record: Option<&VerificationRecord>) {
        self.checks = record.map_or_else(Arc::default, |record| {
            let levels = record.levels.iter().map(|(level, found)| LevelCheck {
                level: level.clone(),
                last_at: found.last_at,
                last_passed_at: found.last_passed_at,
            });
            levels.collect()
        });
        self.verification_failed = record.is_some_and(VerificationRecord::failed);
        let failures = record.filter(|_| self.verification_failed).map(VerificationRecord::failures);
        let restored_points = record.and_then(|record| record.restored_points.clone());
        if self.remarks.is_some() || failures.is_some() || restored_points.is_some() {
            self.remark(|remarks| (remarks.failures, remarks.restored_points) = (failures, restored_points));
        }
    }

    /// Whether it can be trusted.
    pub fn condition(&self) -> Condition {
        let remarks = self.remarks();
        if remarks.missing.is_some() && self.copies.iter().any(|copy| copy.only_copy) {
            Condition::OffsiteOnly
        } else if remarks.missing.is_some() {
            Condition::Incomplete
        } else if self.verification_failed {
            Condition::Failed
        } else if remarks.unknown.is_some() {
            Condition::Unknown
        } else {
            Condition::Good
        }
    }

    /// Whether it is complete and certainly not failed.
    pub fn is_good(&self) -> bool {
        self.condition() == Condition::Good
    }

    /// Whether only its records are here, and an offsite place has a copy.
    pub fn is_offsite_only(&self) -> bool {
        self.condition() == Condition::OffsiteOnly
    }

    /// The names of the places that have a copy.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.copies.iter().map(|copy| &*copy.place)
    }

    /// Its copy in this place.
    pub fn copy_in(&self, place: &str) -> Option<&Copied> {
        self.copies.iter().find(|copy| &*copy.place == place)
    }

    /// The same backup as seen in this place, to apply retention there: complete, and verified when the place was
    /// last read back. A hold here also applies there.
    #[must_use]
    pub fn as_copy(&self, place: &str) -> Self {
        let mut copy = self.clone();
        let checked_at = self.copy_in(place).and_then(|copied| copied.last_checked_at);
        let checks =
            checked_at.map(|at| LevelCheck { level: Level::Archive, last_at: at, last_passed_at: Some(at) });
        copy.checks = checks.into_iter().collect();
        copy.verification_failed = false;
        copy.copies = Arc::default();
        copy.remark(|remarks| {
            (remarks.missing, remarks.unknown, remarks.failures) = (None, None, None);
        });
        copy
    }

    /// Total size of its archives on disk according to the manifest, in bytes.
    pub fn stored_size_bytes(&self) -> u64 {
        self.archives.iter().map(|archive| archive.size_bytes).sum()
    }

    /// Its probable number of points, if the server counted exactly: see [`Manifest::points_count`].
    pub fn points_count(&self) -> Option<u64> {
        self.points.filter(|points| points.exact).map(|points| points.points)
    }

    /// Result of the check at `level`.
    pub fn check(&self, level: &Level) -> Option<&LevelCheck> {
        self.checks.iter().find(|check| check.level == *level)
    }

    /// Whether it passed at `level` and no failed check is in effect.
    pub fn has_passed(&self, level: &Level) -> bool {
        let passed = self.check(level).is_some_and(|check| check.last_passed_at.is_some());
        passed && !self.verification_failed
    }

    /// Whether any check ever had a result. Inconclusive checks do not count.
    pub fn is_verified(&self) -> bool {
        self.verification_failed || self.checks.iter().any(|check| check.last_passed_at.is_some())
    }

    /// The deepest level at which it passed, and when. None if it counts as failed.
    pub fn deepest_pass(&self) -> Option<(&Level, DateTime<Utc>)> {
        let known = self.checks.iter().rev().filter(|check| Level::KNOWN.contains(&check.level));
        let mut passed = known.filter_map(|check| Some((&check.level, check.last_passed_at?)));
        passed.next().filter(|_| !self.verification_failed)
    }

    /// Reads its full manifest. A manifest never changes, so the result matches the listing.
    ///
    /// # Errors
    /// When it is missing, unreadable, or was changed after all.
    pub fn whole(&self, layout: &Layout) -> Result<Whole, WholeError> {
        let path = layout.manifest(&self.collection, self.backup_id);
        match json_file::read::<Manifest>(&path) {
            Ok(manifest) if self.is_of(&manifest) => Ok(Whole { backup: self.clone(), manifest }),
            Ok(_) => Err(WholeError::Changed { path }),
            Err(error) if error.is_not_found() => Err(WholeError::Gone { path }),
            Err(error) => Err(WholeError::Unreadable(error)),
        }
    }

    fn is_of(&self, manifest: &Manifest) -> bool {
        let mut other = Self::of(manifest, Arc::clone(&self.collection));
        other.checks = Arc::clone(&self.checks);
        other.verification_failed = self.verification_failed;
        other.copies = Arc::clone(&self.copies);
        let ours = self.remarks();
        other.remark(|remarks| {
            remarks.hold.clone_from(&ours.hold);
            remarks.missing.clone_from(&ours.missing);
            remarks.unknown.clone_from(&ours.unknown);
            remarks.failures.clone_from(&ours.failures);
            remarks.restored_points.clone_from(&ours.restored_points);
        });
        manifest.collection == *self.collection && other == *self
    }
}
