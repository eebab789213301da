//! The drill operation: leftovers first, then one backup after the other.

use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::{Backup, Whole};
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::{CheckedBackup, CollectionReport};
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::verification::{CheckOutcome, Finding, Level};
use qdrant_backup_shared::{CollectionName, Failure, FailureKind, PointsCount};

use super::choice::choose;
use super::compare::compare;
use super::give_way::GiveWay;
use super::verdict::judge;
use crate::archive::read::Prove;
use crate::backup::Stages;
use crate::choice::{ChoiceError, Selection, Which};
use crate::restore::{Destination, Facts, RestoreError, check_version, scratch};
use crate::session::Session;
use crate::session::leftovers::upload::settle_server;
use crate::verify::{self, Check};

/// Options of a drill.
#[derive(Debug, Clone)]
pub struct DrillOptions {
    /// The collections.
    pub selection: Selection,
    /// Backups to test.
    pub which: Which,
    /// Whether to skip the version check.
    pub allow_version_skew: bool,
    /// Maximum size of a snapshot, in bytes. No limit on a separate server.
    pub max_size_bytes: Option<u64>,
}

/// Everything that the operation is given.
#[derive(Debug)]
pub struct DrillContext {
    /// The target. Its requests are canceled when the drill must give way.
    pub destination: Destination,
    /// Notices waiting runs.
    pub give_way: GiveWay,
    /// What to do.
    pub options: DrillOptions,
}

/// Drills, and records the outcome in the session and in the verification records.
pub async fn drill(session: &mut Session, context: &DrillContext) {
    let begun = session.begin(Operation::Drill, Stage::Inspect, |_| {});
    let mut reports = Vec::new();
    let (version, failure) = match Facts::ask(&context.destination).await {
        Ok(facts) => {
            let failure = work(session, context, &facts, &mut reports).await;
            (Some(facts.version), failure)
        }
        Err(error) => (None, Some(Failure { kind: error.kind(), message: one_line(&error.to_string()) })),
    };
    session.end(begun, reports, failure, version);
}

async fn work(
    session: &mut Session,
    context: &DrillContext,
    facts: &Facts,
    reports: &mut Vec<CollectionReport>,
) -> Option<Failure> {
    session.warn_of_unreadable();
    scratch::remove_leftovers(session, &context.destination, facts).await;
    settle_server(session, &context.destination.client).await;
    let chosen =
        choose(session.catalog(), &context.options.selection, context.options.which, session.present());
    let chosen: Vec<(CollectionName, Result<Backup, ChoiceError>)> =
        chosen.into_iter().map(|(name, backup)| (name, backup.cloned())).collect();
    if chosen.is_empty() {
        let message = "there are no backups; is this the right backup directory?".to_owned();
        return Some(Failure { kind: FailureKind::NoBackup, message });
    }
    for (collection, backup) in chosen {
        let report = drill_one(session, context, facts, &collection, backup).await;
        let failure = report.failure.clone();
        let interrupted = report.outcome == Outcome::Interrupted;
        reports.push(report);
        if context.give_way.gave() {
            return None;
        }
        if interrupted {
            return failure;
        }
    }
    None
}

/// A drill that came to an end.
struct Drilled {
    outcome: CheckOutcome,
    findings: Vec<Finding>,
    failure: Option<Failure>,
    points: Option<PointsCount>,
}

/// Drills one backup, and reports the outcome.
async fn drill_one(
    session: &mut Session,
    context: &DrillContext,
    facts: &Facts,
    collection: &CollectionName,
    backup: Result<Backup, ChoiceError>,
) -> CollectionReport {
    let begun = Instant::now();
    let mut report = CollectionReport::new(collection.clone(), session.now());
    let mut stages = Stages::begin(Stage::Inspect);
    session.enter_stage(Stage::Inspect, collection);
    let backup = backup.map_err(RestoreError::from).and_then(|backup| {
        report.backup_id = Some(backup.backup_id);
        scratch::check_size(&backup, context.options.max_size_bytes)?;
        let backup = backup.whole(session.layout())?;
        if !context.options.allow_version_skew {
            check_version(backup.manifest.source.qdrant_version.as_deref(), &facts.version)?;
        }
        Ok(backup)
    });
    match backup {
        Ok(backup) => {
            let scratch = scratch::name_for(session, collection);
            report.restored_into = Some(scratch.clone());
            let result = restore_and_compare(session, context, facts, &backup, &scratch, &mut stages).await;
            stages.enter(Stage::Cleanup);
            session.enter_stage(Stage::Cleanup, collection);
            scratch::remove(session, &context.destination, &scratch).await;
            conclude(session, context, &mut report, &backup, result, begun.elapsed());
        }
        Err(error) => {
            fail(&mut report, Failure { kind: error.kind(), message: one_line(&error.to_string()) })
        }
    }
    report.stages = stages.finish();
    report.duration_seconds = begun.elapsed().as_secs_f64();
    report
}

async fn restore_and_compare(
    session: &mut Session,
    context: &DrillContext,
    facts: &Facts,
    backup: &Whole,
    scratch: &CollectionName,
    stages: &mut Stages,
) -> Result<Drilled, RestoreError> {
    let manifest = &backup.manifest;
    let client = &context.destination.client;
    let known = backup.backup.remarks().restored_points.as_ref();
    // A drill covers the whole archive.
    let counted =
        scratch::fill(session, &context.destination, facts, backup, scratch, Prove::File, stages).await?;
    let matched_before = known.is_some_and(|known| known.sample_matched_at.is_some());
    let compared = compare(client, scratch, manifest, counted.exactly(), matched_before).await?;
    if let Some(doubt) = &compared.doubtful {
        session.warn(format!("\"{scratch}\": {}", doubt.message));
    }
    if compared.sample_matched
        && !matched_before
        && let Err(error) = verify::note_sample(session.layout(), manifest, session.now())
    {
        session.warn(error.to_string());
    }
    let mut findings = compared.failed;
    let failed = findings.first().map(|first| {
        let more =
            if findings.len() > 1 { format!(", and {} more", findings.len() - 1) } else { String::new() };
        Failure { kind: FailureKind::RestoreMismatch, message: format!("{}{more}", first.message) }
    });
    let outcome = if failed.is_some() { CheckOutcome::Failed } else { CheckOutcome::Passed };
    let uncertain = |message: String| Finding { kind: "points_uncertain".to_owned(), message };
    findings.extend(counted.doubt.map(uncertain));
    findings.extend(compared.doubtful);
    Ok(Drilled { outcome, findings, failure: failed, points: counted.points })
}

/// Stores the result in the record and the report. An interruption is not a result.
fn conclude(
    session: &mut Session,
    context: &DrillContext,
    report: &mut CollectionReport,
    backup: &Whole,
    result: Result<Drilled, RestoreError>,
    took: Duration,
) {
    let drilled = match result {
        Ok(drilled) => drilled,
        Err(_) if context.give_way.gave() => {
            let message = "stopped to let another run take the lock; there is no result".to_owned();
            return fail(report, Failure { kind: FailureKind::Locked, message });
        }
        Err(error) if error.is_interrupted() => {
            fail(report, Failure { kind: FailureKind::Interrupted, message: one_line(&error.to_string()) });
            report.outcome = Outcome::Interrupted;
            return;
        }
        Err(error) => {
            let (outcome, finding) = judge(&error);
            // A backup that no server can restore alone is not a failure.
            let needs_keys =
                matches!(error, RestoreError::NeedsShardKeys { .. } | RestoreError::NeedsClusterMode { .. });
            let failure =
                (!needs_keys).then(|| Failure { kind: error.kind(), message: finding.message.clone() });
            Drilled { outcome, findings: vec![finding], failure, points: None }
        }
    };
    let check = Check {
        level: Level::Restore,
        outcome: drilled.outcome,
        failure: drilled.failure.as_ref().map(|failure| failure.kind.clone()),
        findings: drilled.findings,
        duration: took,
    };
    match verify::enter(session.layout(), &backup.manifest, &check, session.now()) {
        Ok(warning) => {
            if let Some(warning) = warning {
                session.warn(warning);
            }
        }
        Err(error) => {
            fail(report, error.to_failure());
            return;
        }
    }
    report.points = drilled.points.filter(|count| count.exact).map(|count| count.points);
    report.snapshot_size_bytes = Some(backup.manifest.snapshot_size_bytes());
    report.checked.push(CheckedBackup {
        backup_id: backup.manifest.backup_id,
        level: check.level,
        outcome: check.outcome.clone(),
        duration_seconds: took.as_secs_f64(),
        findings: check.findings,
    });
    match drilled.failure {
        Some(mut failure) => {
            failure.message = format!("drill {}: {}", check.outcome, failure.message);
            fail(report, failure);
        }
        None if check.outcome == CheckOutcome::Unsupported => session.warn(format!(
            "backup {} of {} was not drilled: custom sharding needs a server in cluster mode and a backup made shard by shard",
            backup.manifest.backup_id, report.collection
        )),
        None => tracing::info!(
            "Drill of {} passed: backup {}, {} points, {} of them compared, {}, in {:.1} s",
            report.collection,
            backup.manifest.backup_id,
            drilled.points.map_or_else(|| "?".to_owned(), |points| points.to_string()),
            backup.manifest.points_sample.as_ref().map_or(0, |sample| sample.points.len()),
            HumanBytes(backup.manifest.snapshot_size_bytes()),
            took.as_secs_f64()
        ),
    }
}

fn fail(report: &mut CollectionReport, failure: Failure) {
    let why = failure.message.strip_prefix("drill failed: ").unwrap_or(&failure.message);
    tracing::error!("Drill of {} failed: {why}", report.collection);
    report.outcome = Outcome::Failed;
    report.failure = Some(failure);
}
