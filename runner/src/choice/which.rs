//! Selects backups of a collection. Pure functions, except for a warning.

use std::cmp::Reverse;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Condition, counts_as_newest};
use qdrant_backup_shared::verification::Level;
use qdrant_backup_shared::{FailureKind, Status};

/// A selection of backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The newest good one. With [`Accept::Any`], the newest.
    Latest,
    /// The newest good one that has passed a verification.
    LatestVerified,
    /// The newest good one that was completed before this time, so that all of its data is older.
    Before(DateTime<Utc>),
    /// The good one whose last drill is longest ago.
    LeastRecent,
    /// Every one, the newest first.
    All,
    /// The backup with this id.
    Id(BackupId),
}

/// What tells the newest backup from one that is dated in the future, because a clock was wrong.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// The history of the runs. None if there is none.
    pub status: Option<&'a Status>,
    /// The time now.
    pub now: DateTime<Utc>,
}

/// Selections with their own word.
const WORDS: [(&str, Which); 4] = [
    ("latest", Which::Latest),
    ("latest-verified", Which::LatestVerified),
    ("least-recent", Which::LeastRecent),
    ("all", Which::All),
];

impl Which {
    /// Parses `latest`, an id, or one of the words of `others`.
    ///
    /// # Errors
    /// The message lists all valid values.
    pub fn read(text: &str, others: &[Self]) -> Result<Self, String> {
        let mut taken = WORDS.iter().filter(|(_, which)| *which == Self::Latest || others.contains(which));
        if let Some((_, which)) = taken.clone().find(|(word, _)| *word == text) {
            return Ok(*which);
        }
        text.parse().map(Self::Id).map_err(|_| {
            let latest = taken.next().map(|(word, _)| *word).unwrap_or_default();
            let others: String = taken.map(|(word, _)| format!(", or `{word}`")).collect();
            format!(
                "expected `{latest}` or a backup id such as 2025-07-15-14-30-00{others}; `qdrant-backup list` shows the ids"
            )
        })
    }

    /// Parses the time of [`Which::Before`]. Without a time zone it is UTC, like ids.
    ///
    /// # Errors
    /// When it is not a time.
    pub fn read_before(text: &str) -> Result<Self, String> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Before(time.to_utc()));
        }
        let formats = [
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S",
            "%Y-%m-%d %H:%M",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%d-%H-%M-%S",
        ];
        let time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        let midnight = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
        time.or_else(midnight).map(|time| Self::Before(time.and_utc())).ok_or_else(|| {
            "expected a time such as 2025-07-15T14:30:00Z or \"2025-07-15 14:30\" (UTC)".to_owned()
        })
    }
}

/// Which states are acceptable. Each value includes the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accept {
    /// Good ones; a backup given by id also if its state is unknown.
    Good,
    /// A backup given by id even if it failed verification: it may be the last one, and its digests are checked again during the
    /// upload.
    NamedThoughFailed,
    /// A backup given by id, in any state.
    Named,
    /// All, in any state.
    Any,
}

/// There is no such backup, or it cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// No backup of the collection at all.
    #[error("there is no backup that can be read; `qdrant-backup list` shows what exists")]
    None,
    /// None with that id.
    #[error("there is no backup {0}; `qdrant-backup list` shows what exists")]
    NoSuchId(BackupId),
    /// None matches.
    #[error("there is no {wanted}{}", hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default())]
    NoneFits {
        /// As in `good backup`.
        wanted: String,
        /// The nearest one, and its problem.
        hint: Option<String>,
    },
    /// It is incomplete and cannot be used.
    #[error("backup {id} is incomplete: {missing}")]
    Incomplete {
        /// Id of the backup.
        id: BackupId,
        /// What is missing.
        missing: String,
    },
    /// It exists only offsite.
    #[error("backup {id} exists only offsite: use --from {places}")]
    OffsiteOnly {
        /// Id of the backup.
        id: BackupId,
        /// The places that have it, as text.
        places: String,
    },
    /// Verification found it bad.
    #[error(
        "backup {id} failed verification ({findings}); choose another one, or try it with --force, which works only if the archive itself is intact"
    )]
    Failed {
        /// Id of the backup.
        id: BackupId,
        /// The findings of the verification.
        findings: String,
    },
}

impl ChoiceError {
    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::None | Self::NoSuchId(_) | Self::NoneFits { .. } | Self::OffsiteOnly { .. } => {
                FailureKind::NoBackup
            }
            Self::Incomplete { .. } | Self::Failed { .. } => FailureKind::ArchiveCorrupt,
        }
    }
}

impl Present<'_> {
    /// The first one, or the one that counts as the newest, as in `status`. `newest_first` are backups of one collection.
    pub fn newest<'b>(
        self,
        mut newest_first: impl Iterator<Item = &'b Backup> + Clone,
    ) -> Option<&'b Backup> {
        let all = newest_first.clone();
        let newest = newest_first.next()?;
        let history = self.status.and_then(|status| status.collections.get(&*newest.collection));
        Some(counts_as_newest(newest, all, history.and_then(|history| history.last_backup_id), self.now))
    }
}

/// Selects from `backups` of one collection, oldest first. Returns at least one, newest first.
///
/// # Errors
/// As [`ChoiceError`] says.
pub fn choose<'b>(
    backups: &'b [Backup],
    which: Which,
    accept: Accept,
    present: Present<'_>,
) -> Result<Vec<&'b Backup>, ChoiceError> {
    let fitting: Vec<&Backup> = match which {
        Which::All => backups.iter().rev().filter(|backup| will_do(backup, accept)).collect(),
        Which::Latest | Which::LatestVerified | Which::Before(_) | Which::LeastRecent | Which::Id(_) => {
            return choose_one(backups, which, accept, present).map(|backup| vec![backup]);
        }
    };
    if fitting.is_empty() { Err(none_fits(backups, "good backup")) } else { Ok(fitting) }
}

/// Selects the newest of the backups that [`choose`] returns. Warns of one that would be newer, but is dated in the future.
///
/// # Errors
/// As [`ChoiceError`] says.
pub fn choose_one<'b>(
    backups: &'b [Backup],
    which: Which,
    accept: Accept,
    present: Present<'_>,
) -> Result<&'b Backup, ChoiceError> {
    let mut newest_first = backups.iter().rev();
    match which {
        Which::Latest | Which::All => latest(newest_first.filter(|backup| will_do(backup, accept)), present)
            .ok_or_else(|| none_fits(backups, "good backup")),
        Which::LatestVerified => {
            let verified = newest_first.filter(|backup| backup.is_good() && backup.deepest_pass().is_some());
            latest(verified, present).ok_or_else(|| none_fits(backups, "good and verified backup"))
        }
        Which::Before(time) => {
            newest_first.find(|backup| backup.is_good() && backup.completed_at <= time).ok_or_else(|| {
                let wanted = format!("good backup from before {}", time.format("%Y-%m-%d %H:%M:%S UTC"));
                let oldest = backups.iter().find(|backup| backup.is_good());
                let hint = oldest.map(|oldest| format!("the oldest is {}", oldest.backup_id));
                hint.map_or_else(
                    || none_fits(backups, &wanted),
                    |hint| ChoiceError::NoneFits { wanted: wanted.clone(), hint: Some(hint) },
                )
            })
        }
        Which::LeastRecent => newest_first
            .filter(|backup| backup.is_good())
            .min_by_key(|backup| drill_turn(backup))
            .ok_or_else(|| none_fits(backups, "good backup")),
        Which::Id(_) if backups.is_empty() => Err(ChoiceError::None),
        Which::Id(id) => {
            let named = newest_first.find(|backup| backup.backup_id == id);
            named.ok_or(ChoiceError::NoSuchId(id)).and_then(|backup| check_named(backup, accept))
        }
    }
}

fn latest<'b>(
    mut newest_first: impl Iterator<Item = &'b Backup> + Clone,
    present: Present<'_>,
) -> Option<&'b Backup> {
    let newest = present.newest(newest_first.clone())?;
    if let Some(ignored) = newest_first.next().filter(|first| first.backup_id != newest.backup_id) {
        tracing::warn!(
            "Backup {} of {} is dated in the future and ignored; the latest is {}",
            ignored.backup_id,
            ignored.collection,
            newest.backup_id
        );
    }
    Some(newest)
}

fn will_do(backup: &Backup, accept: Accept) -> bool {
    (accept == Accept::Any && !backup.is_offsite_only()) || backup.is_good()
}

fn check_named(backup: &Backup, accept: Accept) -> Result<&Backup, ChoiceError> {
    let id = backup.backup_id;
    match backup.condition() {
        Condition::Good | Condition::Unknown => Ok(backup),
        Condition::OffsiteOnly => Err(ChoiceError::OffsiteOnly { id, places: places(backup) }),
        Condition::Failed if accept >= Accept::NamedThoughFailed => Ok(backup),
        Condition::Failed => Err(ChoiceError::Failed { id, findings: findings(backup) }),
        Condition::Incomplete if accept >= Accept::Named => Ok(backup),
        Condition::Incomplete => {
            let missing = backup.remarks().missing.clone().unwrap_or_default();
            Err(ChoiceError::Incomplete { id, missing })
        }
    }
}

/// Sort key for the least recently drilled backup. One that cannot be drilled comes last. Of those that were never drilled, the
/// newest comes first.
pub fn drill_turn(backup: &Backup) -> impl Ord + use<> {
    let needs_shard_keys = backup.remarks().shard_keys.is_some_and(|keys| keys > 0);
    let last_drill = backup.check(&Level::Restore).map(|check| check.last_at);
    (needs_shard_keys, last_drill, Reverse(backup.started_at))
}

fn none_fits(backups: &[Backup], wanted: &str) -> ChoiceError {
    match backups.last() {
        None => ChoiceError::None,
        Some(newest) => {
            let copies = places(newest);
            let to_do = match newest.condition() {
                Condition::Failed | Condition::Incomplete if copies.is_empty() => {
                    "; what to do: \"No backup is good\" in docs/recovery.md".to_owned()
                }
                Condition::Failed | Condition::Incomplete => {
                    format!("; it also has a copy: use --from {copies}")
                }
                Condition::Good | Condition::Unknown | Condition::OffsiteOnly => String::new(),
            };
            let hint = defect(newest).map(|defect| format!("the newest, {defect}{to_do}"));
            ChoiceError::NoneFits { wanted: wanted.to_owned(), hint }
        }
    }
}

/// The problem of a backup, if it has one.
fn defect(backup: &Backup) -> Option<String> {
    let id = backup.backup_id;
    match backup.condition() {
        Condition::Good => None,
        Condition::OffsiteOnly => Some(format!("{id}, exists only offsite: use --from {}", places(backup))),
        Condition::Incomplete => {
            Some(format!("{id}, is incomplete: {}", backup.remarks().missing.as_deref().unwrap_or_default()))
        }
        Condition::Failed => Some(format!("{id}, failed verification ({})", findings(backup))),
        Condition::Unknown => {
            let why = backup.remarks().unknown.as_deref().unwrap_or_default();
            Some(format!("{id}, is not known to be good: {why}; check it with `qdrant-backup verify`"))
        }
    }
}

/// The places with copies, as text.
fn places(backup: &Backup) -> String {
    backup.places().collect::<Vec<_>>().join(" or ")
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

    fn choose(backups: &[Backup], which: Which, force: bool) -> Result<&Backup, ChoiceError> {
        let accept = if force { Accept::NamedThoughFailed } else { Accept::Good };
        choose_one(backups, which, accept, present(None))
    }

    fn present(status: Option<&Status>) -> Present<'_> {
        Present { status, now: "2025-08-15T14:30:00Z".parse().unwrap() }
    }

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
        assert_eq!(choose(&all, Which::Latest, false), Ok(&unverified));
        assert_eq!(
            choose(&all, Which::Latest, true),
            Ok(&unverified),
            "force does not make a bad one the latest"
        );
        assert_eq!(choose(&all, Which::LatestVerified, false), Ok(&good));
        let by_id = |backup: &Backup, force| choose(&all, Which::Id(backup.backup_id), force);
        let error = by_id(&failed, false).unwrap_err().to_string();
        assert!(error.contains("failed verification (archive: one byte differs)"), "{error}");
        assert_eq!(by_id(&failed, true), Ok(&failed));
        let mut unknown = backup(5);
        unknown.remark(|remarks| remarks.unknown = Some("its verification record cannot be read".to_owned()));
        let with_unknown = [good.clone(), unknown.clone()];
        assert_eq!(
            choose(&with_unknown, Which::Latest, true),
            Ok(&good),
            "what is unknown is not the latest"
        );
        let id = Which::Id(unknown.backup_id);
        assert_eq!(choose(&with_unknown, id, false), Ok(&unknown), "who names it knows what they want");
        let none = choose(&with_unknown[1..], Which::Latest, false).unwrap_err().to_string();
        assert!(none.contains("is not known to be good: its verification record"), "{none}");
        assert!(by_id(&incomplete, true).unwrap_err().to_string().contains("archive x is missing"));
        assert_eq!(
            choose(&all[3..], Which::Latest, false).unwrap_err().to_string(),
            "there is no good backup; the newest, 2025-07-04-14-30-00, is incomplete: archive x is missing; what to do: \"No backup is good\" in docs/recovery.md"
        );
        assert_eq!(choose(&[], Which::Latest, false), Err(ChoiceError::None));
    }

    #[test]
    fn a_backup_dated_in_the_future_is_not_the_latest_if_another_was_made_since() {
        let mut future = backup(3);
        future.started_at = "2099-07-15T14:30:00Z".parse().unwrap();
        let all = [backup(1), backup(2), future.clone()].map(|one| verified(one, CheckOutcome::Passed));
        let made_last = |backup: &Backup| {
            let mut status = Status::new("0.2.0".to_owned(), "db-1".to_owned());
            let entry = status.collections.entry((*backup.collection).clone()).or_default();
            entry.last_backup_id = Some(backup.backup_id);
            status
        };
        let (since, before) = (made_last(&all[1]), made_last(&all[2]));
        for which in [Which::Latest, Which::LatestVerified] {
            let latest = |status| choose_one(&all, which, Accept::Good, present(status)).unwrap();
            assert_eq!(latest(None), &all[2], "without a history it may be the newest");
            assert_eq!(latest(Some(&before)), &all[2]);
            assert_eq!(latest(Some(&since)), &all[1]);
        }
    }

    #[test]
    fn before_a_time_means_that_all_of_the_data_is() {
        let all = [backup(1), backup(2)];
        let before = |time: &str| choose(&all, Which::Before(time.parse().unwrap()), false);
        assert_eq!(before("2025-07-02T14:35:00Z"), Ok(&all[1]));
        assert_eq!(before("2025-07-02T14:32:00Z"), Ok(&all[0]), "it was still being made then");
        assert_eq!(
            before("2025-07-01T00:00:00Z").unwrap_err().to_string(),
            "there is no good backup from before 2025-07-01 00:00:00 UTC; the oldest is 2025-07-01-14-30-00"
        );
    }

    #[test]
    fn who_takes_whatever_is_known_gets_the_newest_and_all_of_them() {
        let failed = verified(backup(2), CheckOutcome::Failed);
        let all = [backup(1), failed.clone()];
        assert_eq!(super::choose(&all, Which::Latest, Accept::Any, present(None)), Ok(vec![&failed]));
        assert_eq!(super::choose(&all, Which::All, Accept::Any, present(None)), Ok(vec![&failed, &all[0]]));
        assert_eq!(super::choose(&all, Which::All, Accept::Good, present(None)), Ok(vec![&all[0]]));
        assert_eq!(super::choose(&[], Which::All, Accept::Any, present(None)), Err(ChoiceError::None));
        let mut incomplete = backup(3);
        incomplete.remark(|remarks| remarks.missing = Some("archive x is missing".to_owned()));
        let id = Which::Id(incomplete.backup_id);
        assert!(choose_one(std::slice::from_ref(&incomplete), id, Accept::Named, present(None)).is_ok());
    }

    #[test]
    fn words_that_a_command_does_not_take_are_refused_with_all_that_it_takes() {
        let read = |text: &str, others: &[Which]| Which::read(text, others);
        assert_eq!(read("latest", &[]), Ok(Which::Latest));
        assert_eq!(read("all", &[Which::All]), Ok(Which::All));
        assert!(matches!(read("2025-07-15-14-30-00", &[]), Ok(Which::Id(_))));
        for (text, others, taken) in [
            ("all", &[][..], "`latest` or a backup id such as 2025-07-15-14-30-00;"),
            ("newest", &[Which::All], "`latest` or a backup id such as 2025-07-15-14-30-00, or `all`;"),
            ("all", &[Which::LatestVerified], "2025-07-15-14-30-00, or `latest-verified`;"),
            ("latest-verified", &[Which::LeastRecent], "2025-07-15-14-30-00, or `least-recent`;"),
        ] {
            let error = read(text, others).unwrap_err();
            assert!(error.contains(taken), "{error}");
        }
    }

    #[test]
    fn times_without_a_zone_are_utc() {
        let time = |text: &str| match Which::read_before(text) {
            Ok(Which::Before(time)) => Some(time.to_rfc3339()),
            Ok(_) | Err(_) => None,
        };
        assert_eq!(time("2025-07-15T14:30:00+02:00").as_deref(), Some("2025-07-15T12:30:00+00:00"));
        assert_eq!(time("2025-07-15 14:30").as_deref(), Some("2025-07-15T14:30:00+00:00"));
        assert_eq!(time("2025-07-15").as_deref(), Some("2025-07-15T00:00:00+00:00"));
        assert_eq!(time("2025-07-15-14-30-00").as_deref(), Some("2025-07-15T14:30:00+00:00"));
        assert_eq!(time("yesterday"), None);
    }
}
