//! What retention looks at in a backup.

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Condition};

/// One backup of a collection, as far as retention is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: BackupId,
    /// When it began; its age counts from here.
    pub started_at: DateTime<Utc>,
    /// Whether it can be relied on.
    pub standing: Standing,
    /// Whether it passed verification at some level, and does not stand as failed.
    pub verified: bool,
    /// Why it is on hold, if it is.
    pub hold: Option<String>,
    /// Whether another place has a copy that was read back.
    pub copied: bool,
    /// The backups that it cannot be restored without.
    pub depends_on: Vec<BackupId>,
}

/// Whether a backup can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Complete and not known to be bad.
    Good,
    /// Verification found it bad.
    Failed,
    /// An archive is missing or of another size.
    Incomplete,
    /// Nothing of it is here. It is not counted, and there is nothing to delete.
    Elsewhere {
        /// Where it is.
        places: String,
    },
    /// This version cannot tell, because the manifest requires something that it does not know.
    Unknown {
        /// The requirement.
        requirement: String,
    },
    /// It cannot be told, because something that would tell cannot be read. It is not counted, and never deleted for that.
    Untold {
        /// What.
        why: String,
    },
}

impl From<&Backup> for Candidate {
    fn from(backup: &Backup) -> Self {
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
            copied: backup.copies.iter().any(|copy| copy.last_checked_at.is_some()),
            depends_on: remarks.depends_on.clone(),
        }
    }
}

impl Candidate {
    /// Whether the rules count it.
    pub fn is_good(&self) -> bool {
        self.standing == Standing::Good
    }
}
