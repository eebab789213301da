//! The data of a backup for retention.

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Condition};

/// The properties of a backup that matter for retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Id of the backup.
    pub id: BackupId,
    /// Start time. The age counts from here.
    pub started_at: DateTime<Utc>,
    /// Whether it is good.
    pub standing: Standing,
    /// Whether it passed verification, and does not count as failed.
    pub verified: bool,
    /// Why it is on hold, if it is.
    pub hold: Option<String>,
    /// Whether there is a verified offsite copy.
    pub copied: bool,
    /// The backups that it cannot be restored without.
    pub depends_on: Vec<BackupId>,
}

/// The state of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Complete and not known to be bad.
    Good,
    /// Verification found it bad.
    Failed,
    /// An archive is missing or of another size.
    Incomplete,
    /// It exists only offsite. It does not count, and there is nothing to delete.
    Elsewhere {
        /// The places that have it.
        places: String,
    },
    /// Unknown, because the manifest requires an unsupported feature.
    Unknown {
        /// Entry of `requires` that this version does not know.
        requirement: String,
    },
    /// Unknown, because a file cannot be read. It does not count, and is never deleted for this reason.
    Untold {
        /// Reason, for people.
        why: String,
    },
}

impl Candidate {
    /// `backup`, with the places whose copies can be relied on.
    pub fn of(backup: &Backup, is_relied_on: impl Fn(&str) -> bool) -> Self {
        let remarks = backup.remarks();
        let standing = match (&remarks.requires, backup.condition()) {
            (Some(requirement), _) => Standing::Unknown { requirement: requirement.clone() },
            (None, Condition::Good) => Standing::Good,
            (None, Condition::OffsiteOnly) => {
                Standing::Elsewhere { places: backup.places().collect::<Vec<_>>().join(", ") }
            }
            (None, Condition::Failed) => Standing::Failed,
            (None, Condition::Incomplete) => Standing::Incomplete,
            (None, Condition::Unknown) => {
                Standing::Untold { why: remarks.unknown.clone().unwrap_or_default() }
            }
        };
        Self {
            id: backup.backup_id,
            started_at: backup.started_at,
            standing,
            verified: backup.deepest_pass().is_some(),
            hold: remarks.hold.clone(),
            copied: backup
                .copies
                .iter()
                .any(|copy| copy.last_checked_at.is_some() && is_relied_on(&copy.place)),
            depends_on: remarks.depends_on.clone(),
        }
    }

    /// Whether it counts for the rules.
    pub fn is_good(&self) -> bool {
        self.standing == Standing::Good
    }
}
