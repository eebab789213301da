//! The report of one run: what `--json` prints and what the status keeps of the last run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::backup_id::BackupId;
use crate::collection_name::CollectionName;
use crate::failure::{Failure, FailureKind};
use crate::operation::{Fate, Operation, Outcome, Stage};
use crate::verification::{CheckOutcome, Finding, Level};

/// One run, from its start to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunReport {
    /// A random UUID; the manifests of the run's backups carry it too.
    pub run_id: String,
    /// What was called, as in `backup`.
    pub command: String,
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
    /// How long it took, by a clock that does not jump.
    pub duration_seconds: f64,
    /// How it ended: the worst of its operations.
    pub outcome: Outcome,
    /// What it did, in order.
    #[serde(default)]
    pub operations: Vec<OperationReport>,
    /// Warnings of the run, one line each.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One operation of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OperationReport {
    /// Which operation.
    pub operation: Operation,
    /// The version of the server, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qdrant_version: Option<String>,
    /// When the operation began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
    /// How long it took, by a clock that does not jump.
    pub duration_seconds: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why the operation as a whole failed; failures of single collections are theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What happened to each collection, in the order in which they were worked on.
    #[serde(default)]
    pub collections: Vec<CollectionReport>,
    /// What was done at each place for copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PlaceReport>,
    /// In the status only: the collections that are not listed, where there are very many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// Collections of an operation that the status does not list one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// How many.
    pub collections: u64,
    /// Where the time of all of them together went.
    #[serde(default)]
    pub stages: Vec<StageReport>,
}

/// What a run did with one collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollectionReport {
    /// The collection.
    pub collection: CollectionName,
    /// How it ended.
    pub outcome: Outcome,
    /// When work on it began.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub duration_seconds: f64,
    /// The backup that was made or restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<BackupId>,
    /// The collection that it was restored into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_into: Option<CollectionName>,
    /// Points that the backup certainly holds, or that were restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<u64>,
    /// The snapshot's length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_size_bytes: Option<u64>,
    /// The archive's length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_size_bytes: Option<u64>,
    /// What verification found, backup by backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checked: Vec<CheckedBackup>,
    /// What pruning decided, backup by backup, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fates: Vec<BackupFate>,
    /// Where the time went.
    #[serde(default)]
    pub stages: Vec<StageReport>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// One stage of the work on one collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StageReport {
    /// Which stage.
    pub stage: Stage,
    /// How long it took, attempts that failed included.
    pub duration_seconds: f64,
    /// Bytes received from the server or sent to it, where the stage is a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// One backup that was verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckedBackup {
    /// The backup.
    pub backup_id: BackupId,
    /// How deep the check went.
    pub level: Level,
    /// What it found.
    pub outcome: CheckOutcome,
    /// How long it took.
    pub duration_seconds: f64,
    /// What was wrong.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// What retention decided for one backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackupFate {
    /// The backup.
    pub backup_id: BackupId,
    /// What becomes of it.
    pub fate: Fate,
    /// Why, in words: every rule that keeps it, or what it has expired by.
    pub reasons: Vec<String>,
    /// Its length on disk in bytes.
    pub stored_size_bytes: u64,
}

/// What was done at one place for copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlaceReport {
    /// The place, as the configuration calls it.
    pub place: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration_seconds: f64,
    /// The backups that were copied, in the order of the work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copied: Vec<CopiedBackup>,
    /// The backups that could not be copied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_copied: Vec<NotCopied>,
    /// What retention decided there, backup by backup, where something was to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<ForgottenCopy>,
    /// What reading back a share of the repository found, where that was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<CheckOutcome>,
    /// Whether data that no copy needs was removed.
    #[serde(default)]
    pub pruned: bool,
    /// Why the place as a whole failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// One backup that was copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CopiedBackup {
    /// Its collection.
    pub collection: CollectionName,
    /// Its id.
    pub backup_id: BackupId,
    /// What it added to the repository after deduplication, in bytes.
    pub added_bytes: u64,
    /// Its snapshots' length, in bytes.
    pub snapshot_size_bytes: u64,
    /// How long it took.
    pub duration_seconds: f64,
}

/// One backup that could not be copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotCopied {
    /// Its collection.
    pub collection: CollectionName,
    /// Its id.
    pub backup_id: BackupId,
    /// Why.
    pub failure: Failure,
}

/// One copy that was deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForgottenCopy {
    /// Its collection.
    pub collection: CollectionName,
    /// Its backup.
    pub backup_id: BackupId,
    /// Why, in words.
    pub reasons: Vec<String>,
}

impl PlaceReport {
    /// A report of `place` that is a success until something else is entered.
    pub fn new(place: &str) -> Self {
        Self {
            place: place.to_owned(),
            outcome: Outcome::Success,
            duration_seconds: 0.0,
            copied: Vec::new(),
            not_copied: Vec::new(),
            forgotten: Vec::new(),
            checked: None,
            pruned: false,
            failure: None,
        }
    }

    /// Everything that failed there.
    pub fn all_failures(&self) -> impl Iterator<Item = &Failure> {
        self.failure.iter().chain(self.not_copied.iter().map(|copy| &copy.failure))
    }

    /// What all copies added to the repository, in bytes.
    pub fn added_bytes(&self) -> u64 {
        self.copied.iter().map(|copy| copy.added_bytes).sum()
    }
}

impl CollectionReport {
    /// A report of `collection`, begun at `started_at`, that is a success until something else is entered.
    pub fn new(collection: CollectionName, started_at: DateTime<Utc>) -> Self {
        Self {
            collection,
            outcome: Outcome::Success,
            started_at,
            duration_seconds: 0.0,
            backup_id: None,
            restored_into: None,
            points: None,
            snapshot_size_bytes: None,
            stored_size_bytes: None,
            checked: Vec::new(),
            fates: Vec::new(),
            stages: Vec::new(),
            failure: None,
        }
    }
}

impl RunReport {
    /// The report as the status keeps it: of very many collections, and backups of one, those that something is to be said of,
    /// and the first others. The status is written again and again, and must not grow for ever.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for operation in &mut self.operations {
            let rest = keep_some(&mut operation.collections, COLLECTIONS_KEPT, |report| {
                report.failure.is_some() || report.outcome != Outcome::Success
            });
            if !rest.is_empty() {
                let mut stages = Vec::new();
                rest.iter().flat_map(|report| &report.stages).for_each(|stage| stage.add_to(&mut stages));
                operation.left_out = Some(LeftOut { collections: rest.len() as u64, stages });
            }
            for place in &mut operation.places {
                keep_some(&mut place.copied, BACKUPS_KEPT, |_| false);
                keep_some(&mut place.not_copied, BACKUPS_KEPT, |_| false);
                keep_some(&mut place.forgotten, BACKUPS_KEPT, |_| false);
            }
            let each = (BACKUPS_KEPT / operation.collections.len().max(1)).max(1);
            for report in &mut operation.collections {
                keep_some(&mut report.checked, each, |checked| checked.outcome != CheckOutcome::Passed);
                keep_some(&mut report.fates, each, |fate| fate.fate != Fate::Keep);
            }
        }
        self
    }

    /// Why an operation as a whole failed, if one did.
    pub fn failure(&self) -> Option<&Failure> {
        self.operations.iter().find_map(|operation| operation.failure.as_ref())
    }
}

/// So many collections of an operation the status keeps, and so many backups of all of them that were checked or judged.
const COLLECTIONS_KEPT: usize = 100;
const BACKUPS_KEPT: usize = 1000;

/// Takes out what is more than `most`: of what is not `telling` first, and the last ones first. Gives what was taken out.
fn keep_some<T>(all: &mut Vec<T>, most: usize, telling: impl Fn(&T) -> bool) -> Vec<T> {
    if all.len() <= most {
        return Vec::new();
    }
    let mut others = most.saturating_sub(all.iter().filter(|one| telling(one)).count());
    let mut room = most;
    let (kept, rest) = std::mem::take(all).into_iter().partition(|one| {
        let left = if telling(one) { &mut room } else { &mut others };
        let stays = *left > 0;
        *left = left.saturating_sub(1);
        stays
    });
    *all = kept;
    rest
}

impl StageReport {
    /// Adds this stage to the one of its kind in `all`, in the order in which kinds first come.
    pub fn add_to(&self, all: &mut Vec<Self>) {
        match all.iter_mut().find(|known| known.stage == self.stage) {
            Some(known) => {
                known.duration_seconds += self.duration_seconds;
                known.bytes = match (known.bytes, self.bytes) {
                    (Some(one), Some(other)) => Some(one.saturating_add(other)),
                    (one, other) => one.or(other),
                };
            }
            None => all.push(self.clone()),
        }
    }
}

impl OperationReport {
    /// Whether at least one backup passed what was checked of it.
    pub fn has_proven(&self) -> bool {
        let mut checked = self.collections.iter().flat_map(|collection| &collection.checked);
        checked.any(|checked| checked.outcome == CheckOutcome::Passed)
    }

    /// Where the time went, all collections together, in the order of the work.
    pub fn stages(&self) -> Vec<StageReport> {
        let left_out = self.left_out.iter().flat_map(|left_out| &left_out.stages);
        let mut all = Vec::new();
        let listed = self.collections.iter().flat_map(|collection| &collection.stages);
        listed.chain(left_out).for_each(|stage| stage.add_to(&mut all));
        all
    }

    /// How many collections failed, by kind of failure; a failure of the whole operation counts as one.
    pub fn failures(&self) -> BTreeMap<FailureKind, u64> {
        let mut failures = BTreeMap::new();
        let of_collections = self.collections.iter().filter_map(|collection| collection.failure.as_ref());
        let of_places = self.places.iter().flat_map(PlaceReport::all_failures);
        for failure in self.failure.iter().chain(of_collections).chain(of_places) {
            *failures.entry(failure.kind.clone()).or_insert(0) += 1;
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(collections: usize, fates: usize) -> RunReport {
        let at: DateTime<Utc> = "2025-07-15T14:30:00Z".parse().unwrap();
        let reports = (0..collections).map(|number| {
            let name = CollectionName::new(format!("c{number:05}")).unwrap();
            let mut report = CollectionReport::new(name, at);
            report.stages = vec![StageReport { stage: Stage::Create, duration_seconds: 1.0, bytes: Some(2) }];
            report.fates = (0..fates)
                .map(|number| BackupFate {
                    backup_id: BackupId::at(at + chrono::TimeDelta::seconds(number as i64)),
                    fate: if number == fates - 1 { Fate::Deleted } else { Fate::Keep },
                    reasons: vec!["newest good".to_owned()],
                    stored_size_bytes: 1,
                })
                .collect();
            if number + 3 > collections {
                report.outcome = Outcome::Failed;
            }
            report
        });
        let operation = OperationReport {
            operation: Operation::Prune,
            qdrant_version: None,
            started_at: at,
            completed_at: at,
            duration_seconds: 1.0,
            outcome: Outcome::Partial,
            failure: None,
            collections: reports.collect(),
            places: Vec::new(),
            left_out: None,
        };
        RunReport {
            run_id: "r".to_owned(),
            command: "run".to_owned(),
            started_at: at,
            completed_at: at,
            duration_seconds: 1.0,
            outcome: Outcome::Partial,
            operations: vec![operation],
            warnings: Vec::new(),
        }
    }

    #[test]
    fn the_status_keeps_a_small_report_whole_and_of_a_large_one_what_tells_something() {
        assert_eq!(report(100, 10).bounded(), report(100, 10));
        let bounded = report(5000, 40).bounded().operations.remove(0);
        assert_eq!(bounded.collections.len(), COLLECTIONS_KEPT);
        let failed = bounded.collections.iter().filter(|report| report.outcome == Outcome::Failed).count();
        assert_eq!(failed, 2, "the last ones of all");
        assert_eq!(bounded.collections[0].collection.as_str(), "c00000", "in the order of the work");
        for report in &bounded.collections {
            assert_eq!(report.fates.len(), BACKUPS_KEPT / COLLECTIONS_KEPT);
            assert_eq!(report.fates.last().map(|fate| &fate.fate), Some(&Fate::Deleted));
        }
        let stage = StageReport { stage: Stage::Create, duration_seconds: 5000.0, bytes: Some(10_000) };
        assert_eq!(bounded.stages(), [stage], "of all of them");
        assert_eq!(bounded.left_out.unwrap().collections, 4900);
    }
}
