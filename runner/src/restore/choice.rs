//! Which backup of a collection is meant. Pure.

use chrono::{DateTime, Utc};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Condition};

/// Which backup to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The newest good one.
    Latest,
    /// The newest good one that has passed a verification.
    LatestVerified,
    /// The newest good one that was complete by then: all of its data is from before.
    Before(DateTime<Utc>),
    /// This one.
    Id(BackupId),
}

/// There is no such backup, or it is not to be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// No backup of the collection at all.
    #[error("there is no backup of it; `qdrant-backup list` shows what there is")]
    None,
    /// None with that id.
    #[error("there is no backup {0} of it; `qdrant-backup list` shows what there is")]
    NoSuchId(BackupId),
    /// None that fits.
    #[error("none of its {total} backups is {wanted}{}", newest.as_ref().map(|newest| format!("; the newest, {newest}")).unwrap_or_default())]
    NoneFits {
        /// How many there are.
        total: usize,
        /// What they are not.
        wanted: String,
        /// The newest and what is wrong with it.
        newest: Option<String>,
    },
    /// Something of it is missing; nothing can be done with it.
    #[error("backup {id} is incomplete: {missing}")]
    Incomplete {
        /// The backup.
        id: BackupId,
        /// What is missing.
        missing: String,
    },
    /// Verification found it bad.
    #[error(
        "backup {id} failed verification ({findings}); choose another one, or try it all the same with --force"
    )]
    Failed {
        /// The backup.
        id: BackupId,
        /// What was found.
        findings: String,
    },
}

impl ChoiceError {
    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::None | Self::NoSuchId(_) | Self::NoneFits { .. } => FailureKind::NoBackup,
            Self::Incomplete { .. } | Self::Failed { .. } => FailureKind::ArchiveCorrupt,
        }
    }
}

/// Chooses from `backups`, which are one collection's, oldest first. Unless it is named by its id, a backup that is
/// not good is never chosen; one that is named and failed verification is, with `force`: it may be the last there is,
/// and its digests are compared again on the way to the server. So is one of which it is not known, without `force`.
///
/// # Errors
/// As [`ChoiceError`] says.
pub fn choose(backups: &[Backup], choice: Choice, force: bool) -> Result<&Backup, ChoiceError> {
    if backups.is_empty() {
        return Err(ChoiceError::None);
    }
    let newest = |wanted: &str, fits: &dyn Fn(&Backup) -> bool| {
        let found = backups.iter().rev().find(|backup| backup.is_good() && fits(backup));
        found.ok_or_else(|| ChoiceError::NoneFits {
            total: backups.len(),
            wanted: wanted.to_owned(),
            newest: backups.last().and_then(defect),
        })
    };
    match choice {
        Choice::Latest => newest("good", &|_| true),
        Choice::LatestVerified => newest("good and verified", &|backup| backup.deepest_pass().is_some()),
        Choice::Before(time) => {
            let wanted = format!("good and from before {}", time.format("%Y-%m-%d %H:%M:%S UTC"));
            newest(&wanted, &|backup| backup.completed_at <= time)
        }
        Choice::Id(id) => {
            let named = backups.iter().find(|backup| backup.backup_id == id);
            let backup = named.ok_or(ChoiceError::NoSuchId(id))?;
            match backup.condition() {
                Condition::Good | Condition::Unknown => Ok(backup),
                Condition::Failed if force => Ok(backup),
                Condition::Failed => Err(ChoiceError::Failed { id, findings: findings(backup) }),
                Condition::Incomplete => {
                    let missing = backup.remarks().missing.clone().unwrap_or_default();
                    Err(ChoiceError::Incomplete { id, missing })
                }
            }
        }
    }
}

/// What is wrong with a backup, if something is.
fn defect(backup: &Backup) -> Option<String> {
    let id = backup.backup_id;
    match backup.condition() {
        Condition::Good => None,
        Condition::Incomplete => {
            Some(format!("{id}, is incomplete: {}", backup.remarks().missing.as_deref().unwrap_or_default()))
        }
        Condition::Failed => Some(format!("{id}, failed verification ({})", findings(backup))),
        Condition::Unknown => {
            let why = backup.remarks().unknown.as_deref().unwrap_or_default();
            Some(format!("{id}, is not known to be good: {why}; `qdrant-backup verify` finds out"))
        }
    }
}

fn findings(backup: &Backup) -> String {
    backup.remarks().failures.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use qdrant_backup_shared::json_file;
    use qdrant_backup_shared::manifest::Manifest;
    use qdrant_backup_shared::verification::{CheckOutcome, Finding, Level, VerificationRecord};

    use super::*;

    const MANIFEST: &str = include_str!("../../../shared/testdata/manifest-v1.json");

    fn backup(day: u32) -> Backup {
        let mut manifest: Manifest = json_file::parse(Path::new("m"), MANIFEST.as_bytes()).unwrap();
        manifest.started_at = format!("2025-07-{day:02}T14:30:00Z").parse().unwrap();
        manifest.completed_at = format!("2025-07-{day:02}T14:35:00Z").parse().unwrap();
        manifest.backup_id = BackupId::at(manifest.started_at);
        Backup::of(&manifest, Arc::new(manifest.collection.clone()))
    }

    fn verified(mut backup: Backup, outcome: CheckOutcome) -> Backup {
        let mut record = VerificationRecord::new(backup.backup_id);
        let finding = Finding { kind: "digest".to_owned(), message: "one byte differs".to_owned() };
        let at = backup.completed_at;
        record.enter(Level::Archive, at, outcome, 1.0, vec![finding]);
        backup.take_record(Some(&record));
        backup
    }

    #[test]
    fn the_newest_good_one_is_chosen_and_a_bad_one_only_by_its_id_and_force() {
        let good = verified(backup(1), CheckOutcome::Passed);
        let unverified = backup(2);
        let failed = verified(backup(3), CheckOutcome::Failed);
        let mut incomplete = backup(4);
        incomplete.remark(|remarks| remarks.missing = Some("archive x is missing".to_owned()));
        let all = [good.clone(), unverified.clone(), failed.clone(), incomplete.clone()];
        assert_eq!(choose(&all, Choice::Latest, false), Ok(&unverified));
        assert_eq!(
            choose(&all, Choice::Latest, true),
            Ok(&unverified),
            "force does not make a bad one the latest"
        );
        assert_eq!(choose(&all, Choice::LatestVerified, false), Ok(&good));
        let by_id = |backup: &Backup, force| choose(&all, Choice::Id(backup.backup_id), force);
        let error = by_id(&failed, false).unwrap_err().to_string();
        assert!(error.contains("failed verification (archive: one byte differs)"), "{error}");
        assert_eq!(by_id(&failed, true), Ok(&failed));
        let mut unknown = backup(5);
        unknown.remark(|remarks| remarks.unknown = Some("its verification record cannot be read".to_owned()));
        let with_unknown = [good.clone(), unknown.clone()];
        assert_eq!(
            choose(&with_unknown, Choice::Latest, true),
            Ok(&good),
            "what is unknown is not the latest"
        );
        let id = Choice::Id(unknown.backup_id);
        assert_eq!(choose(&with_unknown, id, false), Ok(&unknown), "who names it knows what they want");
        let none = choose(&with_unknown[1..], Choice::Latest, false).unwrap_err().to_string();
        assert!(none.contains("is not known to be good: its verification record"), "{none}");
        assert!(by_id(&incomplete, true).unwrap_err().to_string().contains("archive x is missing"));
        assert_eq!(
            choose(&all[3..], Choice::Latest, false).unwrap_err().to_string(),
            "none of its 1 backups is good; the newest, 2025-07-04-14-30-00, is incomplete: archive x is missing"
        );
        assert_eq!(choose(&[], Choice::Latest, false), Err(ChoiceError::None));
    }

    #[test]
    fn before_a_time_means_that_all_of_the_data_is() {
        let all = [backup(1), backup(2)];
        let before = |time: &str| choose(&all, Choice::Before(time.parse().unwrap()), false);
        assert_eq!(before("2025-07-02T14:35:00Z"), Ok(&all[1]));
        assert_eq!(before("2025-07-02T14:32:00Z"), Ok(&all[0]), "it was still being made then");
        assert!(before("2025-07-01T00:00:00Z").unwrap_err().to_string().contains("from before 2025-07-01"));
    }
}
