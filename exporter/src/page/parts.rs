//! What a report is made of.

use chrono::{DateTime, Utc};
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::verification::Level;
use qdrant_backup_shared::{CollectionName, Failure};
use serde::Serialize;

/// One collection.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CollectionReport {
    /// Its name.
    pub collection: CollectionName,
    /// Whether the last complete backup run saw it on the server; unknown before one. Not, once it was retired.
    pub on_server: Option<bool>,
    /// Whether it is on the server but not selected for backup.
    pub excluded: bool,
    /// Whether it was retired: it is gone on purpose, and nothing is expected of it any more.
    pub retired: bool,
    /// Its newest backup that can be trusted.
    pub newest: Option<BackupReport>,
    /// Backups that can be trusted.
    pub good_backups: u64,
    /// Backups with an archive missing or of another size.
    pub incomplete_backups: u64,
    /// Backups that verification found bad.
    pub verification_failed_backups: u64,
    /// When the runner says that a backup last succeeded: the age of its data.
    pub last_success_at: Option<DateTime<Utc>>,
    /// How the last attempt ended.
    pub last_outcome: Option<Outcome>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The last backups, oldest first.
    pub history: Vec<BackupReport>,
    /// Its copies in each place that is configured.
    pub copies: Vec<CopiesReport>,
}

impl CollectionReport {
    /// Whether backups of it are expected.
    pub fn is_expected(&self) -> bool {
        self.on_server != Some(false) && !self.excluded
    }
}

/// One collection's copies in one place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CopiesReport {
    /// The place.
    pub place: String,
    /// How many.
    pub backups: u64,
    /// When the newest backup began of which it has a copy.
    pub newest_at: Option<DateTime<Utc>>,
}

/// A place for copies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlaceReport {
    /// What it is called.
    pub place: String,
    /// When everything was last copied there.
    pub last_success_at: Option<DateTime<Utc>>,
    /// How copying there last ended.
    pub last_outcome: Option<Outcome>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// When a share of what is there was last read back.
    pub last_check_at: Option<DateTime<Utc>>,
    /// Whether damage stands that was found there.
    pub is_damaged: bool,
    /// What copies have added there after deduplication, in bytes.
    pub added_bytes_total: u64,
}

/// One backup.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackupReport {
    /// Its id.
    pub backup_id: String,
    /// When it began: the age of its data.
    pub started_at: DateTime<Utc>,
    /// Its age.
    pub age_seconds: f64,
    /// Its archives' length on disk in bytes.
    pub size_bytes: u64,
    /// Points that it holds.
    pub points: Option<u64>,
    /// Whether it can be trusted: `good`, `incomplete`, `failed` or `unknown`; `offsite_only` where only other places have it.
    pub condition: String,
    /// The deepest level at which it passed.
    pub verified_level: Option<Level>,
    /// When it last passed there.
    pub verified_at: Option<DateTime<Utc>>,
}

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CurrentRun {
    /// What it is doing.
    pub operation: Operation,
    /// Where in that it is.
    pub stage: Stage,
    /// The collection it works on.
    pub collection: Option<CollectionName>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it last made progress.
    pub heartbeat_at: DateTime<Utc>,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LastRun {
    /// What was called.
    pub command: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub completed_at: DateTime<Utc>,
    /// How long it took.
    pub duration_seconds: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the time went, all collections together, in the order of the work.
    pub stages: Vec<StageReport>,
    /// Its warnings.
    pub warnings: Vec<String>,
}

/// One stage of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StageReport {
    /// Which operation it was part of.
    pub operation: Operation,
    /// Which stage.
    pub stage: Stage,
    /// How long it took.
    pub duration_seconds: f64,
    /// Bytes received from the server.
    pub bytes: Option<u64>,
}

/// One operation's history.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OperationReport {
    /// Which operation.
    pub operation: Operation,
    /// When it was last begun.
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When it last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// How it last ended.
    pub last_outcome: Option<Outcome>,
    /// Why it last failed; null after a success.
    pub failure: Option<Failure>,
    /// How often it has ended.
    pub runs_total: u64,
    /// How often in anything but success.
    pub failures_total: u64,
    /// The longest gap that its schedule allows.
    pub schedule_interval_seconds: Option<f64>,
}
