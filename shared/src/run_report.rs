//! The report of one run. `--json` prints it, and the status file contains that of the last run.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::backup_id::BackupId;
use crate::collection_name::CollectionName;
use crate::failure::{Failure, FailureKind};
use crate::operation::{Fate, Operation, Outcome, Stage};
use crate::verification::{CheckOutcome, Finding, Level};

/// The report of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunReport {
    /// A random UUID, also in the manifests of the run's backups.
    pub run_id: String,
    /// The command, such as `backup`.
    pub command: String,
    /// When the run started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
    /// Duration, measured with a monotonic clock.
    pub duration_seconds: f64,
    /// The outcome: the worst of its operations.
    pub outcome: Outcome,
    /// Its operations, in order.
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
    /// Operation that this report is about.
    pub operation: Operation,
    /// The version of the server, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qdrant_version: Option<String>,
    /// When the operation started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
    /// Duration, measured with a monotonic clock.
    pub duration_seconds: f64,
    /// How the operation ended.
    pub outcome: Outcome,
    /// Why the operation as a whole failed. Failures of single collections are listed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The report of each collection, in the order of processing.
    #[serde(default)]
    pub collections: Vec<CollectionReport>,
    /// The report of each offsite place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PlaceReport>,
    /// Only in the status file: the collections that are not listed, if there are very many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// Collections of an operation that the status file does not list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// Number of collections left out.
    pub collections: u64,
    /// Their stages, added up.
    #[serde(default)]
    pub stages: Vec<StageReport>,
}

/// The report of one collection in an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollectionReport {
    /// Name of the collection.
    pub collection: CollectionName,
    /// How its part of the operation ended.
    pub outcome: Outcome,
    /// When its processing started.
    pub started_at: DateTime<Utc>,
    /// Time from start to end.
    pub duration_seconds: f64,
    /// The backup that was made or restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<BackupId>,
    /// The collection into which it was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_into: Option<CollectionName>,
    /// The exact number of points in the backup, or of restored points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<u64>,
    /// Size of the snapshot, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_size_bytes: Option<u64>,
    /// Size of the archive, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_size_bytes: Option<u64>,
    /// Results of verification, for each backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checked: Vec<CheckedBackup>,
    /// Decisions of retention, for each backup, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fates: Vec<BackupFate>,
    /// The stages with their durations.
    #[serde(default)]
    pub stages: Vec<StageReport>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// One stage in the processing of a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StageReport {
    /// Stage that the time is for.
    pub stage: Stage,
    /// Duration, including failed attempts.
    pub duration_seconds: f64,
    /// Bytes received from the server or sent to it, if the stage is a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// One backup that was verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckedBackup {
    /// Id of the backup.
    pub backup_id: BackupId,
    /// How deep the check went.
    pub level: Level,
    /// Whether the backup passed.
    pub outcome: CheckOutcome,
    /// Time that the check took.
    pub duration_seconds: f64,
    /// What was found wrong; empty if nothing was.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// The decision of retention for one backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackupFate {
    /// Id of the backup.
    pub backup_id: BackupId,
    /// Whether it is kept or deleted.
    pub fate: Fate,
    /// The reason: every rule that keeps it, or why it has expired.
    pub reasons: Vec<String>,
    /// Its size on disk, in bytes.
    pub stored_size_bytes: u64,
}

/// The report of one offsite place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlaceReport {
    /// The place, as the configuration calls it.
    pub place: String,
    /// How the work at this place ended.
    pub outcome: Outcome,
    /// Time that the work took.
    pub duration_seconds: f64,
    /// The copied backups, in the order of processing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copied: Vec<CopiedBackup>,
    /// The backups that could not be copied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_copied: Vec<NotCopied>,
    /// Decisions of retention there, for each deleted copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<ForgottenCopy>,
    /// Result of reading back a share of the repository, if that was done.
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
    /// Collection of the backup.
    pub collection: CollectionName,
    /// Id of the backup.
    pub backup_id: BackupId,
    /// Data added to the repository after deduplication, in bytes.
    pub added_bytes: u64,
    /// Size of its snapshots, in bytes.
    pub snapshot_size_bytes: u64,
    /// Time that the copy took.
    pub duration_seconds: f64,
}

/// One backup that could not be copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotCopied {
    /// Collection of the backup.
    pub collection: CollectionName,
    /// Id of the backup.
    pub backup_id: BackupId,
    /// Why it was not copied.
    pub failure: Failure,
}

/// One copy that was deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForgottenCopy {
    /// Collection of the backup.
    pub collection: CollectionName,
    /// Id of the backup whose copy was deleted.
    pub backup_id: BackupId,
    /// Why the copy has expired.
    pub reasons: Vec<String>,
}

impl PlaceReport {
    /// A report for `place`. The outcome is success until something else is recorded.
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

    /// All failures there.
    pub fn all_failures(&self) -> impl Iterator<Item = &Failure> {
        self.failure.iter().chain(self.not_copied.iter().map(|copy| &copy.failure))
    }

    /// Data added to the repository by all copies, in bytes.
    pub fn added_bytes(&self) -> u64 {
        self.copied.iter().map(|copy| copy.added_bytes).sum()
    }
}

impl CollectionReport {
    /// A report for `collection`, started at `started_at`. The outcome is success until something else is recorded.
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
    /// The report for the status file, which is written often and must stay small. If there are very many collections or backups,
    /// it lists those with a finding and the first of the others.
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

    /// The failure of an operation as a whole, if any.
    pub fn failure(&self) -> Option<&Failure> {
        self.operations.iter().find_map(|operation| operation.failure.as_ref())
    }
}

/// Maximum number of collections per operation in the status file, and of verified or pruned backups in all of them.
const COLLECTIONS_KEPT: usize = 100;
const BACKUPS_KEPT: usize = 1000;

/// Removes and returns the items beyond `most`: first those that are not `telling`, from the end.
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
    /// Adds this stage to the same stage in `all`, which is in the order of first occurrence.
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
    /// Whether at least one backup passed its check.
    pub fn has_proven(&self) -> bool {
        let mut checked = self.collections.iter().flat_map(|collection| &collection.checked);
        checked.any(|checked| checked.outcome == CheckOutcome::Passed)
    }

    /// The stages of all collections added up, in the order of processing.
    pub fn stages(&self) -> Vec<StageReport> {
        let left_out = self.left_out.iter().flat_map(|left_out| &left_out.stages);
        let mut all = Vec::new();
        let listed = self.collections.iter().flat_map(|collection| &collection.stages);
        listed.chain(left_out).for_each(|stage| stage.add_to(&mut all));
        all
    }

    /// Number of failed collections, by kind of failure. A failure of the whole operation counts as one.
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
