//! What the page shows, as data. Also the answer of `/api/v1/status`.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::{Backup, counts_as_newest};
use qdrant_backup_shared::place_status::PlaceStatus;
use qdrant_backup_shared::status::{CollectionStatus, Status};
use qdrant_backup_shared::text::pretty_json;
use serde::Serialize;

use super::parts::{
    BackupReport, CollectionReport, CopiesReport, CurrentRun, LastRun, OperationReport, PlaceReport,
    StageReport,
};
use super::verdict::{Verdict, verdict};
use crate::build_info;
use crate::observe::{CollectionView, Observation, Storage};

/// How many backups' sizes are shown.
const SIZES: usize = 30;

/// The state of the backups at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// 1. A new field is no new version.
    pub schema_version: u32,
    /// When the files were looked at.
    pub taken_at: DateTime<Utc>,
    /// The version of this exporter.
    pub exporter_version: String,
    /// The machine that the runner ran on, once it has.
    pub hostname: Option<String>,
    /// All in all: is it well?
    pub verdict: Verdict,
    /// Each collection that is on the server or has backups, by name.
    pub collections: Vec<CollectionReport>,
    /// The run that is going on, or that died.
    pub current_run: Option<CurrentRun>,
    /// The last run that ended.
    pub last_run: Option<LastRun>,
    /// Each operation that was ever begun.
    pub operations: Vec<OperationReport>,
    /// Each place for copies that is configured.
    pub places: Vec<PlaceReport>,
    /// Room on the disk; unknown where it could not be asked.
    pub storage: Option<Storage>,
    /// For how long backups are kept, where age decides that.
    pub retention_seconds: Option<u64>,
    /// Everything that could not be read, a line each.
    pub problems: Vec<String>,
}

impl Report {
    /// What `observation` says at `now`.
    pub fn new(observation: &Observation, now: DateTime<Utc>) -> Self {
        let status = observation.status.value.as_deref();
        let collections = collections(observation, now);
        let mut problems: Vec<String> =
            observation.problems.iter().map(|unreadable| unreadable.problem.clone()).collect();
        problems.extend(observation.directory.problem.clone());
        problems.extend(observation.storage.problem.clone());
        Self {
            schema_version: 1,
            taken_at: now,
            exporter_version: build_info::VERSION.to_owned(),
            hostname: status.map(|status| status.hostname.clone()),
            verdict: verdict(observation, &collections, now),
            current_run: status.and_then(current_run),
            last_run: status.and_then(last_run),
            operations: status.map(operations).unwrap_or_default(),
            places: status.map(places).unwrap_or_default(),
            storage: observation.storage.value.as_deref().copied(),
            retention_seconds: status.and_then(|status| status.retention_seconds),
            collections,
            problems,
        }
    }
}

/// `report` as JSON.
///
/// # Errors
/// When a value cannot be written as JSON.
pub fn json(report: &Report) -> serde_json::Result<String> {
    Ok(pretty_json(report)? + "\n")
}

/// The JSON Schema of `/api/v1/status`, as it is in `docs/schema/exporter_status.schema.json`.
#[cfg(feature = "schema")]
pub fn schema() -> String {
    let settings = schemars::generate::SchemaSettings::draft2020_12();
    let schema = settings.into_generator().into_root_schema_for::<Report>();
    format!("{:#}\n", schema.as_value())
}

/// Every collection that the status or the directory knows.
fn collections(observation: &Observation, now: DateTime<Utc>) -> Vec<CollectionReport> {
    let status = observation.status.value.as_deref();
    let directory = observation.directory.value.as_deref();
    let on_disk = directory.iter().flat_map(|directory| directory.collections.keys());
    let claimed = status.iter().flat_map(|status| status.collections.keys());
    let names: BTreeSet<&CollectionName> = on_disk.chain(claimed).collect();
    let (no_view, no_claim) = (CollectionView::default(), CollectionStatus::default());
    let of = |name: &CollectionName| {
        let view = directory.and_then(|directory| directory.collections.get(name));
        let claimed = status.and_then(|status| status.collections.get(name)).unwrap_or(&no_claim);
        collection(name, view.map_or(&no_view, AsRef::as_ref), claimed, status, now)
    };
    names.into_iter().map(of).collect()
}

fn collection(
    name: &CollectionName,
    view: &CollectionView,
    claimed: &CollectionStatus,
    status: Option<&Status>,
    now: DateTime<Utc>,
) -> CollectionReport {
    let figures = &view.figures;
    let newest =
        view.newest_good().map(|newest| counts_as_newest(newest, view.good(), claimed.last_backup_id, now));
    let history = &view.backups[view.backups.len().saturating_sub(SIZES)..];
    let retired = status.is_some_and(|status| status.retired_collections.contains(name));
    let copies = |place: &String| {
        let copies = figures.copies.get(place.as_str());
        CopiesReport {
            place: place.clone(),
            backups: copies.map_or(0, |copies| copies.backups),
            newest_at: copies.map(|copies| copies.newest_at),
        }
    };
    CollectionReport {
        collection: name.clone(),
        on_server: if retired { Some(false) } else { claimed.on_server },
        excluded: claimed.excluded,
        retired,
        newest: newest.map(|newest| backup(newest, now)),
        good_backups: figures.good,
        incomplete_backups: figures.incomplete,
        verification_failed_backups: figures.verification_failed,
        last_success_at: claimed.last_success_at,
        last_outcome: claimed.last_outcome.clone(),
        failure: claimed.failure.clone(),
        history: history.iter().map(|view| backup(view, now)).collect(),
        copies: status.iter().flat_map(|status| status.offsite.keys()).map(copies).collect(),
    }
}

fn places(status: &Status) -> Vec<PlaceReport> {
    let one = |(name, place): (&String, &PlaceStatus)| PlaceReport {
        place: name.clone(),
        last_success_at: place.last_success_at,
        last_outcome: place.last_outcome.clone(),
        failure: place.failure.clone(),
        last_check_at: place.last_check_at,
        is_damaged: place.is_damaged(),
        added_bytes_total: place.added_bytes_total,
    };
    status.offsite.iter().map(one).collect()
}

fn backup(view: &Backup, now: DateTime<Utc>) -> BackupReport {
    let (verified_level, verified_at) = view.deepest_pass().map(|(level, at)| (level.clone(), at)).unzip();
    BackupReport {
        backup_id: view.backup_id.to_string(),
        started_at: view.started_at,
        age_seconds: (now - view.started_at).as_seconds_f64(),
        size_bytes: view.stored_size_bytes(),
        points: view.points_count(),
        condition: view.condition().as_str().to_owned(),
        verified_level,
        verified_at,
    }
}

fn current_run(status: &Status) -> Option<CurrentRun> {
    let run = status.current_run.as_ref()?;
    Some(CurrentRun {
        operation: run.operation.clone(),
        stage: run.stage.clone(),
        collection: run.collection.clone(),
        started_at: run.started_at,
        heartbeat_at: run.heartbeat_at,
    })
}

fn last_run(status: &Status) -> Option<LastRun> {
    let run = status.last_run.as_ref()?;
    let stages = run.operations.iter().flat_map(|operation| {
        operation.stages().into_iter().map(|stage| StageReport {
            operation: operation.operation.clone(),
            stage: stage.stage,
            duration_seconds: stage.duration_seconds,
            bytes: stage.bytes,
        })
    });
    Some(LastRun {
        command: run.command.clone(),
        started_at: run.started_at,
        completed_at: run.completed_at,
        duration_seconds: run.duration_seconds,
        outcome: run.outcome.clone(),
        stages: stages.collect(),
        warnings: run.warnings.clone(),
    })
}

fn operations(status: &Status) -> Vec<OperationReport> {
    status
        .operations
        .iter()
        .map(|(operation, history)| OperationReport {
            operation: operation.clone(),
            last_attempt_at: history.last_attempt_at,
            last_success_at: history.last_success_at,
            last_outcome: history.last_outcome.clone(),
            failure: history.failure.clone(),
            runs_total: history.runs_total,
            failures_total: history.failures_total,
            schedule_interval_seconds: history.schedule_interval_seconds,
        })
        .collect()
}
