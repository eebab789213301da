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
    /// Why an operation as a whole failed, if one did.
    pub fn failure(&self) -> Option<&Failure> {
        self.operations.iter().find_map(|operation| operation.failure.as_ref())
    }
}

impl OperationReport {
    /// Whether at least one backup passed what was checked of it.
    pub fn has_proven(&self) -> bool {
        let mut checked = self.collections.iter().flat_map(|collection| &collection.checked);
        checked.any(|checked| checked.outcome == CheckOutcome::Passed)
    }

    /// How many collections failed, by kind of failure; a failure of the whole operation counts as one.
    pub fn failures(&self) -> BTreeMap<FailureKind, u64> {
        let mut failures = BTreeMap::new();
        let of_collections = self.collections.iter().filter_map(|collection| collection.failure.as_ref());
        for failure in self.failure.iter().chain(of_collections) {
            *failures.entry(failure.kind.clone()).or_insert(0) += 1;
        }
        failures
    }
}
