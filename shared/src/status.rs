//! The status file: the state and history of the runner, for people and for the exporter.
//!
//! It is written completely from time to time, with a [journal](crate::status_journal) of the changes in between. A failure never
//! erases the last success: attempts, outcomes and successes are separate fields.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::backup_id::BackupId;
use crate::collection_name::CollectionName;
use crate::digest::Sha256Digest;
use crate::failure::{Failure, FailureKind};
use crate::json_file::{JsonFile, SCHEMA_VERSION};
use crate::operation::{Operation, Outcome, Stage};
use crate::place_status::PlaceStatus;
use crate::run_report::{CollectionReport, OperationReport, RunReport};

/// The whole status file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of the program that wrote the file.
    pub runner_version: String,
    /// The machine it ran on.
    pub hostname: String,
    /// The current run, or one that died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_run: Option<CurrentRun>,
    /// History of each operation.
    #[serde(default)]
    pub operations: BTreeMap<Operation, OperationStatus>,
    /// History of each collection.
    #[serde(default)]
    pub collections: BTreeMap<CollectionName, CollectionStatus>,
    /// The backup directory that it belongs to. Absent in files of version 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_id: Option<String>,
    /// The report of the last completed run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<RunReport>,
    /// Whether the server is not the source of these backups.
    #[serde(default)]
    pub source_changed: bool,
    /// Snapshots of this program that are still on the server.
    #[serde(default)]
    pub undeleted_snapshots: Vec<ServerSnapshot>,
    /// Snapshots that appeared on the server after a request of this program got no answer. Possibly ours.
    #[serde(default)]
    pub suspected_leftovers: Vec<ServerSnapshot>,
    /// Files that restores uploaded and that the server does not list (servers with snapshots in S3): they stay on its own disk
    /// and cannot be deleted by a request. Only the newest ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unlisted_uploads: Vec<ServerSnapshot>,
    /// Requests for snapshots that got no answer before their run ended, and whose snapshots have not appeared yet.
    #[serde(default)]
    pub unanswered_creations: Vec<Creating>,
    /// Uploads that got no answer. Their files are not deleted while the server may still use them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered_uploads: Vec<UnansweredUpload>,
    /// Unfinished restores of backups by shards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restoring: Vec<RestoringShards>,
    /// Backups that a prune is deleting. If it is killed, the next prune continues.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pruning: Vec<PrunedBackup>,
    /// Retired collections: gone from the server, no new backups are expected.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub retired_collections: BTreeSet<CollectionName>,
    /// The configured retention by age (`keep_days`), in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_seconds: Option<u64>,
    /// History of each configured offsite place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub offsite: BTreeMap<String, PlaceStatus>,
}

/// A current run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CurrentRun {
    /// Its random UUID.
    pub run_id: String,
    /// The command, such as `backup`.
    pub command: String,
    /// Its process id. Never used to decide whether it is alive.
    pub pid: u32,
    /// The current operation.
    pub operation: Operation,
    /// The current stage.
    pub stage: Stage,
    /// The collection in progress. If there are several, one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<CollectionName>,
    /// The pending snapshot request. If there are several, one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creating: Option<Creating>,
    /// The other pending snapshot requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_creating: Vec<Creating>,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last made progress; written at most every 30 s.
    pub heartbeat_at: DateTime<Utc>,
}

/// A snapshot request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Creating {
    /// Collection that the snapshot is of.
    pub collection: CollectionName,
    /// The shard. Absent for a snapshot of the whole collection, as far as it is on that node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_id: Option<u32>,
    /// URL of the node, without credentials.
    pub node_url: String,
    /// Time of the request, by the clock of this machine.
    pub requested_at: DateTime<Utc>,
    /// The same time by the server's clock, from its `Date` header, if it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_at_server: Option<DateTime<Utc>>,
    /// The snapshots on the server before the request.
    #[serde(default)]
    pub listed_before: Vec<ListedSnapshot>,
}

/// An entry of the server's list of snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListedSnapshot {
    /// Name of the snapshot.
    pub name: String,
    /// Its checksum. The name is not enough, because two snapshots of the same second have the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Sha256Digest>,
}

/// A snapshot on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerSnapshot {
    /// Collection that the snapshot is of.
    pub collection: CollectionName,
    /// The shard. Absent for a snapshot of the whole collection, as far as it is on that node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_id: Option<u32>,
    /// URL of its node, without credentials.
    pub node_url: String,
    /// Name of the snapshot on the server.
    pub name: String,
    /// Its checksum, if the server gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Sha256Digest>,
}

/// A file that was uploaded for a restore, without an answer from the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnansweredUpload {
    /// The file, which is also in the undeleted snapshots.
    pub file: ServerSnapshot,
    /// When it became clear that no answer would come, by the clock of this machine.
    pub unanswered_at: DateTime<Utc>,
}

/// An unfinished restore of a backup by shards. The next restore continues from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestoringShards {
    /// The collection that was created for it.
    pub target: CollectionName,
    /// URL of the node that created it, without credentials.
    pub node_url: String,
    /// The collection that was backed up.
    pub collection: CollectionName,
    /// Id of the backup that is being restored.
    pub backup_id: BackupId,
    /// Shards whose upload was started.
    #[serde(default)]
    pub sent: BTreeSet<u32>,
    /// Shards that the server has restored.
    #[serde(default)]
    pub done: BTreeSet<u32>,
}

/// A backup that a prune is deleting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrunedBackup {
    /// Collection of the backup.
    pub collection: CollectionName,
    /// Id of the backup.
    pub backup_id: BackupId,
}

/// The history of one operation. Counters only grow, also across runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OperationStatus {
    /// When it last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When it last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<DateTime<Utc>>,
    /// Its last outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<Outcome>,
    /// Its last duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_duration_seconds: Option<f64>,
    /// Number of times that it finished.
    #[serde(default)]
    pub runs_total: u64,
    /// Number of times that it did not succeed.
    #[serde(default)]
    pub failures_total: u64,
    /// Number of failures since the last success.
    #[serde(default)]
    pub consecutive_failures: u64,
    /// Number of failed collections in the last run, by kind of failure.
    #[serde(default)]
    pub failures: BTreeMap<FailureKind, u64>,
    /// Its last failure: of the operation, or of its first failed collection, with the name. Absent after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The longest interval in its schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_interval_seconds: Option<f64>,
}

/// The history of one collection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollectionStatus {
    /// Whether it is on the server. Every backup run that finds it and should back it up sets this to true, whatever the outcome.
    /// Only a run that finished with all collections sets it to false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_server: Option<bool>,
    /// Whether it is on the server but not selected for backup, so that no new backups are expected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excluded: bool,
    /// When it was first found to be gone from the server. Absent while it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_since: Option<DateTime<Utc>>,
    /// When it was last found to be gone and that was counted in `gone_looks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_looked_at: Option<DateTime<Utc>>,
    /// How often it was found to be gone. Observations that follow another within [`GONE_LOOKS_APART`] do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gone_looks: u32,
    /// When its last backup attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// How its last backup ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<Outcome>,
    /// When its last successful backup started. This is the age of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<DateTime<Utc>>,
    /// The last successful backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_backup_id: Option<BackupId>,
    /// Duration of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_duration_seconds: Option<f64>,
    /// Points in the last successful backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<u64>,
    /// Why the last attempt failed. Absent after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Status {
    /// A status without any history.
    pub fn new(runner_version: String, hostname: String) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            runner_version,
            hostname,
            current_run: None,
            operations: BTreeMap::new(),
            collections: BTreeMap::new(),
            repository_id: None,
            last_run: None,
            source_changed: false,
            undeleted_snapshots: Vec::new(),
            suspected_leftovers: Vec::new(),
            unlisted_uploads: Vec::new(),
            unanswered_creations: Vec::new(),
            unanswered_uploads: Vec::new(),
            restoring: Vec::new(),
            pruning: Vec::new(),
            retired_collections: BTreeSet::new(),
            retention_seconds: None,
            offsite: BTreeMap::new(),
        }
    }
}

impl CurrentRun {
    /// Records a snapshot request before it is sent.
    pub fn begin_creating(&mut self, creating: Creating) {
        if self.creating.is_none() {
            self.creating = Some(creating);
        } else {
            self.also_creating.push(creating);
        }
    }

    /// Removes it: it was answered, or is recorded elsewhere.
    pub fn end_creating(&mut self, creating: &Creating) {
        self.also_creating.retain(|other| other != creating);
        if self.creating.as_ref() == Some(creating) {
            self.creating = self.also_creating.pop();
        }
    }

    /// All snapshot requests that were pending.
    pub fn into_creations(self) -> impl Iterator<Item = Creating> {
        self.creating.into_iter().chain(self.also_creating)
    }
}

impl OperationStatus {
    /// Records a finished operation.
    pub fn enter(&mut self, report: &OperationReport) {
        self.last_attempt_at = Some(report.started_at);
        self.last_outcome = Some(report.outcome.clone());
        self.last_duration_seconds = Some(report.duration_seconds);
        self.runs_total = self.runs_total.saturating_add(1);
        self.failures = report.failures();
        let of_collection = || {
            report.collections.iter().find_map(|collection| {
                let Failure { kind, message } = collection.failure.clone()?;
                Some(Failure { kind, message: format!("{}: {message}", collection.collection) })
            })
        };
        let failed = report.outcome != Outcome::Success;
        let of_place = || {
            report.places.iter().find_map(|place| {
                let Failure { kind, message } = place.all_failures().next().cloned()?;
                Some(Failure { kind, message: format!("{}: {message}", place.place) })
            })
        };
        let first = || report.failure.clone().or_else(of_collection).or_else(of_place);
        let failure = failed.then(first).flatten();
        self.failure = failure.map(Failure::kept);
        if report.outcome == Outcome::Success {
            // A drill without any suitable backup is not a failure, but not a success either.
            if report.operation != Operation::Drill || report.has_proven() {
                self.last_success_at = Some(report.completed_at);
            }
            self.consecutive_failures = 0;
        } else {
            self.failures_total = self.failures_total.saturating_add(1);
            self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        }
    }
}

impl CollectionStatus {
    /// Records a finished backup.
    pub fn enter(&mut self, report: &CollectionReport) {
        self.last_attempt_at = Some(report.started_at);
        self.last_outcome = Some(report.outcome.clone());
        self.last_duration_seconds = Some(report.duration_seconds);
        self.failure = report.failure.clone();
        if report.outcome == Outcome::Success {
            self.last_success_at = Some(report.started_at);
            self.last_backup_id = report.backup_id;
            self.points = report.points;
        }
    }

    /// Records that the server has it and that it is selected for backup.
    pub fn found(&mut self) {
        self.on_server = Some(true);
        self.excluded = false;
        self.forget_gone();
    }

    /// Records that it is not selected for backup, although the server has it.
    pub fn left_out(&mut self) {
        self.on_server = None;
        self.excluded = true;
        self.forget_gone();
    }

    /// Records that a run with all collections did not find it on the server.
    pub fn not_found(&mut self, now: DateTime<Utc>) {
        self.on_server = Some(false);
        self.excluded = false;
        if self.gone_since.is_none_or(|since| since > now) {
            // Also if a clock was ahead.
            self.forget_gone();
            self.gone_since = Some(now);
        }
        if self.gone_looked_at.is_none_or(|last| now - last >= GONE_LOOKS_APART) {
            self.gone_looked_at = Some(now);
            self.gone_looks = self.gone_looks.saturating_add(1);
        } else if self.gone_looked_at > Some(now) {
            self.gone_looked_at = Some(now);
        }
    }

    fn forget_gone(&mut self) {
        (self.gone_since, self.gone_looked_at, self.gone_looks) = (None, None, 0);
    }
}

/// Observations of a missing collection that follow each other more closely count as one.
pub const GONE_LOOKS_APART: TimeDelta = TimeDelta::hours(12);

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl JsonFile for Status {
    const WHAT: &'static str = "status file";
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::json_file;

    fn report(minute: u32, outcome: Outcome) -> OperationReport {
        let failure = (outcome != Outcome::Success)
            .then(|| Failure { kind: FailureKind::Unreachable, message: "no answer".to_owned() });
        OperationReport {
            operation: Operation::Backup,
            qdrant_version: None,
            started_at: format!("2025-07-15T14:{minute:02}:00Z").parse().unwrap(),
            completed_at: format!("2025-07-15T14:{minute:02}:30Z").parse().unwrap(),
            duration_seconds: 30.0,
            outcome,
            failure,
            collections: Vec::new(),
            places: Vec::new(),
            left_out: None,
        }
    }

    #[test]
    fn a_collection_is_gone_as_often_as_it_was_missed_on_different_days() {
        let at = |text: &str| format!("2025-07-{text}Z").parse::<DateTime<Utc>>().unwrap();
        let mut entry = CollectionStatus::default();
        for look in ["15T02:00:00", "15T03:00:00", "16T02:00:00"] {
            entry.not_found(at(look));
        }
        assert_eq!((entry.gone_looks, entry.gone_since), (2, Some(at("15T02:00:00"))));
        // A clock that was ahead, and is right again.
        entry.not_found(at("30T02:00:00"));
        entry.not_found(at("17T02:00:00"));
        assert_eq!((entry.gone_looks, entry.gone_looked_at), (3, Some(at("17T02:00:00"))));
        entry.not_found(at("14T02:00:00"));
        assert_eq!((entry.gone_looks, entry.gone_since), (1, Some(at("14T02:00:00"))));
        entry.found();
        assert_eq!((entry.gone_looks, entry.gone_since, entry.gone_looked_at), (0, None, None));
    }

    #[test]
    fn a_failure_never_erases_the_last_success() {
        let mut operation = OperationStatus::default();
        operation.enter(&report(0, Outcome::Success));
        let success = operation.last_success_at;
        operation.enter(&report(1, Outcome::Failed));
        operation.enter(&report(2, Outcome::Interrupted));
        assert_eq!(operation.last_success_at, success);
        assert_eq!(
            (operation.runs_total, operation.failures_total, operation.consecutive_failures),
            (3, 2, 2)
        );
        assert_eq!(operation.failures[&FailureKind::Unreachable], 1);
        operation.enter(&report(3, Outcome::Success));
        assert_eq!(
            (operation.runs_total, operation.failures_total, operation.consecutive_failures),
            (4, 2, 0)
        );
        assert!(operation.failures.is_empty());
    }

    #[test]
    fn of_several_creations_none_is_lost() {
        let creating = |name: &str| Creating {
            collection: CollectionName::new(name).unwrap(),
            shard_id: None,
            node_url: "http://x/".to_owned(),
            requested_at: "2025-07-15T14:30:00Z".parse().unwrap(),
            requested_at_server: None,
            listed_before: Vec::new(),
        };
        let mut run = CurrentRun {
            run_id: "r".to_owned(),
            command: "backup".to_owned(),
            pid: 1,
            operation: Operation::Backup,
            stage: Stage::Create,
            collection: None,
            creating: None,
            also_creating: Vec::new(),
            started_at: "2025-07-15T14:30:00Z".parse().unwrap(),
            heartbeat_at: "2025-07-15T14:30:00Z".parse().unwrap(),
        };
        for name in ["a", "b", "c"] {
            run.begin_creating(creating(name));
        }
        run.end_creating(&creating("a"));
        let mut left: Vec<Creating> = run.clone().into_creations().collect();
        left.sort_by(|a, b| a.collection.cmp(&b.collection));
        assert_eq!(left, [creating("b"), creating("c")]);
        assert!(run.creating.is_some(), "whoever knows only this field sees one of them");
        run.end_creating(&creating("b"));
        run.end_creating(&creating("c"));
        assert_eq!(run.into_creations().count(), 0);
    }

    #[test]
    fn what_is_written_is_read_back_alike_and_unknown_things_survive() {
        let mut status = Status::new("0.1.0".to_owned(), "host".to_owned());
        status.operations.entry(Operation::Backup).or_default().enter(&report(0, Outcome::Failed));
        status.collections.insert(CollectionName::new("a\nb").unwrap(), CollectionStatus::default());
        let operation = report(0, Outcome::Failed);
        status.last_run = Some(RunReport {
            run_id: "r".to_owned(),
            command: "backup".to_owned(),
            started_at: operation.started_at,
            completed_at: operation.completed_at,
            duration_seconds: 30.0,
            outcome: Outcome::Failed,
            operations: vec![operation],
            warnings: vec!["careful".to_owned()],
        });
        let text = String::from_utf8(json_file::to_bytes(&status).unwrap()).unwrap();
        let read: Status = json_file::parse(Path::new("s"), text.as_bytes()).unwrap();
        assert_eq!(read, status);

        let newer = text
            .replace("\"failed\"", "\"half-hearted\"")
            .replace("\"source_changed\"", "\"new\": 1, \"source_changed\"");
        let read: Status = json_file::parse(Path::new("s"), newer.as_bytes()).unwrap();
        assert_eq!(
            read.operations[&Operation::Backup].last_outcome,
            Some(Outcome::Other("half-hearted".to_owned()))
        );
    }
}
