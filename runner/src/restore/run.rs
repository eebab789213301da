//! The restore operation: plans first, then the targets' safety backups, then one collection after the other.

use std::time::Instant;

use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::CollectionReport;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{CollectionName, Failure, FailureKind, PointsCount, Status};

use super::again::Again;
use super::corruption;
use super::error::RestoreError;
use super::order::{Destination, Put};
use super::params;
use super::plan::{Facts, Plan, PlanOptions, died, plan_all};
use super::put::{PutError, put};
use super::target::TargetState;
use crate::archive::read::Prove;
use crate::backup::{BackupContext, Stages, back_up};
use crate::choice::Selection;
use crate::qdrant::Error;
use crate::session::Session;
use crate::session::leftovers::upload as leftover;

/// Message if there is nothing to restore.
pub const NOTHING: &str =
    "there are no backups; is this the right backup directory? Retired collections need --include-retired";

/// Maximum number of retired collections in a message.
const SHOWN_RETIRED: usize = 20;

/// Shows plans to the user.
pub type Announce = Box<dyn Fn(&Facts, &[Plan]) + Send + Sync>;

/// Makes the context of a backup of these collections.
pub type Safety = Box<dyn Fn(Vec<CollectionName>) -> BackupContext + Send + Sync>;

/// Everything that the operation is given.
pub struct RestoreContext {
    /// The target.
    pub destination: Destination,
    /// The collections to restore. If empty, all that have backups.
    pub selection: Selection,
    /// If all are restored, include retired ones.
    pub include_retired: bool,
    /// Choices that apply to every collection.
    pub options: PlanOptions,
    /// Called with the plans before any change.
    pub announce: Announce,
    /// How to back up a target first: takes the names and the whole context of that operation.
    pub safety: Safety,
}

/// Restores, and records the outcome in the session.
pub async fn restore(session: &mut Session, context: &RestoreContext) {
    session.warn_of_unreadable();
    let mut planned = make_plans(session, context).await;
    if let Ok((facts, plans)) = &mut planned {
        (context.announce)(facts, plans);
        back_up_targets(session, context, plans).await;
    }
    let begun = session.begin(Operation::Restore, Stage::Inspect, |_| {});
    let mut reports = Vec::new();
    let (version, failure) = match planned {
        Err(error) => (None, Some(failure(&error.into()))),
        Ok((facts, plans)) => {
            let failure = work(session, context, plans, &mut reports).await;
            (Some(facts.version), failure)
        }
    };
    session.end(begun, reports, failure, version);
}

async fn make_plans(session: &Session, context: &RestoreContext) -> Result<(Facts, Vec<Plan>), Error> {
    let client = &context.destination.client;
    let facts = Facts::ask(&context.destination).await?;
    let catalog = session.catalog();
    let all = if context.selection.is_named() {
        context.selection.names().to_vec()
    } else {
        every(catalog, Some(session.status()), context.include_retired)
    };
    let options = PlanOptions {
        restoring: session.status().restoring.clone(),
        died: died(session.died()),
        ..context.options.clone()
    };
    let plans = plan_all(client, session.source(), &facts, catalog, &all, &options, session.present()).await;
    Ok((facts, plans))
}

/// All collections with backups, without retired ones, which are listed in a message.
pub fn every(catalog: &Catalog, status: Option<&Status>, include_retired: bool) -> Vec<CollectionName> {
    let retired =
        |name: &&CollectionName| status.is_some_and(|status| status.retired_collections.contains(*name));
    let (retired, names): (Vec<&CollectionName>, Vec<&CollectionName>) =
        catalog.collection_names().partition(|name| !include_retired && retired(name));
    if !retired.is_empty() {
        let shown: Vec<String> =
            retired.iter().take(SHOWN_RETIRED).map(|name| format!("\"{name}\"")).collect();
        let more = retired.len() - shown.len();
        tracing::info!(
            "Skipped retired collections: {}{}; --include-retired restores them too, --collection one of them",
            shown.join(", "),
            if more > 0 { format!(" and {more} more") } else { String::new() }
        );
    }
    names.into_iter().cloned().collect()
}

/// Makes safety backups of targets. If one fails, its target is not changed.
async fn back_up_targets(session: &mut Session, context: &RestoreContext, plans: &mut [Plan]) {
    let targets: Vec<CollectionName> = plans
        .iter()
        .filter(|plan| plan.safety_backup && plan.is_possible())
        .map(|plan| plan.target.clone())
        .collect();
    if targets.is_empty() {
        return;
    }
    back_up(session, &(context.safety)(targets)).await;
    let operation = session.last_operation();
    let whole = operation.and_then(|operation| operation.failure.as_ref());
    for plan in plans.iter_mut().filter(|plan| plan.safety_backup && plan.is_possible()) {
        let report = operation
            .and_then(|operation| operation.collections.iter().find(|part| part.collection == plan.target));
        match report {
            Some(report) if report.outcome == Outcome::Success => {}
            other => {
                let failure = other.and_then(|report| report.failure.as_ref()).or(whole);
                plan.obstacles.push(match failure {
                    Some(Failure { kind: FailureKind::Interrupted, .. }) => Error::Interrupted.into(),
                    Some(failure) => RestoreError::SafetyBackup { reason: failure.message.clone() },
                    // It was deleted in the meantime; this is not a failure.
                    None => RestoreError::SafetyBackup {
                        reason: "it was deleted in the meantime; run the restore again".to_owned(),
                    },
                });
            }
        }
    }
}

async fn work(
    session: &mut Session,
    context: &RestoreContext,
    plans: Vec<Plan>,
    reports: &mut Vec<CollectionReport>,
) -> Option<Failure> {
    if plans.is_empty() {
        let message = NOTHING.to_owned();
        return Some(Failure { kind: FailureKind::NoBackup, message });
    }
    leftover::settle_server(session, &context.destination.client).await;
    let (there, plans): (Vec<Plan>, Vec<Plan>) =
        plans.into_iter().partition(|plan| plan.is_there && plan.is_possible());
    for plan in there {
        reports.extend(leave(session, context, &plan).await);
    }
    let mut plans = plans.into_iter();
    while let Some(plan) = plans.next() {
        let report = restore_one(session, context, plan).await;
        let interrupted = (report.outcome == Outcome::Interrupted).then(|| report.failure.clone()).flatten();
        reports.push(report);
        if let Some(mut failure) = interrupted {
            let rest: Vec<String> = plans.map(|plan| format!("\"{}\"", plan.target)).collect();
            if !rest.is_empty() {
                failure.message.push_str(&format!("; not started: {}", rest.join(", ")));
            }
            return Some(failure);
        }
    }
    None
}

/// Skips an existing collection, but sets its aliases. Returns a report only if that fails.
async fn leave(session: &Session, context: &RestoreContext, plan: &Plan) -> Option<CollectionReport> {
    let points = plan.existing.as_ref().and_then(|existing| existing.points);
    tracing::info!(
        "Skipped {}: \"{}\" already exists, with {} points{}",
        plan.collection,
        plan.target,
        points.map_or_else(|| "?".to_owned(), |points| points.to_string()),
        if plan.by_shard.is_none() { "; --force restores over it" } else { "" }
    );
    if plan.aliases.is_empty() {
        return None;
    }
    let client = &context.destination.client;
    let error: RestoreError = client.set_aliases(&plan.target, &plan.aliases).await.err()?.into();
    let failure = failure(&error);
    tracing::error!("Setting the aliases of {} failed: {}", plan.target, failure.message);
    let mut report = CollectionReport::new(plan.collection.clone(), session.now());
    report.outcome = if error.is_interrupted() { Outcome::Interrupted } else { Outcome::Failed };
    report.failure = Some(failure);
    Some(report)
}

/// Restores one collection and reports the outcome. Never stops the run.
async fn restore_one(session: &mut Session, context: &RestoreContext, plan: Plan) -> CollectionReport {
    let begun = Instant::now();
    let mut report = CollectionReport::new(plan.collection.clone(), session.now());
    let mut stages = Stages::begin(Stage::Inspect);
    session.enter_stage(Stage::Inspect, &plan.collection);
    report.backup_id = plan.backup.as_ref().map(|backup| backup.manifest.backup_id);
    report.restored_into = Some(plan.target.clone());
    let again = Again::of(&plan, &context.options, context.destination.client.url());
    let existed = plan.existing.is_some();
    let aliases: Vec<String> = plan.aliases.iter().map(|change| one_line(&change.alias)).collect();
    let (collection, target) = (plan.collection.clone(), plan.target.clone());
    let backup = plan.backup.clone();
    let snapshot_bytes = plan.backup.as_ref().map_or(0, |backup| backup.manifest.snapshot_size_bytes());

    let result = attempt(session, context, plan, &mut stages).await;

    report.stages = stages.finish();
    report.duration_seconds = begun.elapsed().as_secs_f64();
    match result {
        Ok(points) => {
            report.points = points.filter(|count| count.exact).map(|count| count.points);
            report.snapshot_size_bytes = Some(snapshot_bytes);
            let with =
                if aliases.is_empty() { String::new() } else { format!(", aliases {}", aliases.join(", ")) };
            tracing::info!(
                "Restored {collection} into \"{target}\": {} points, {}{with}, in {:.1} s",
                points.map_or_else(|| "?".to_owned(), |points| points.to_string()),
                HumanBytes(snapshot_bytes),
                report.duration_seconds
            );
        }
        Err(PutError { error, state }) => {
            let untouched = state;
            // After a refusal, repeating the same command does not help.
            let state = match (&error, state) {
                (
                    RestoreError::Qdrant(_)
                    | RestoreError::NotSettled { .. }
                    | RestoreError::Shard { .. }
                    | RestoreError::NotAsRecorded { .. }
                    | RestoreError::PointsLost { .. }
                    | RestoreError::PointsDiffer { .. },
                    state,
                ) => state.words(&target.to_string(), &again.after(state)),
                (_, TargetState::Untouched | TargetState::Absent) if existed => {
                    format!("\"{target}\" is untouched")
                }
                (_, TargetState::Untouched | TargetState::Absent) => {
                    format!("nothing was restored into \"{target}\"")
                }
                (_, state) => state.words(&target.to_string(), &again.after(state)),
            };
            // Restores from an offsite place are not recorded here.
            let state = if untouched == TargetState::Half && session.source().is_elsewhere() {
                let again = again.after(untouched);
                format!("\"{target}\" is PARTLY RESTORED: delete it, then try again: {again}")
            } else {
                state
            };
            let mut failure = failure(&error);
            failure.message = format!("{}; {state}", failure.message);
            let advice = backup.and_then(|backup| {
                corruption::note(session, &backup.manifest, &error, begun.elapsed(), |other| {
                    format!("restore {other} instead: {}", again.of_other(other).after(untouched))
                })
            });
            if let Some(advice) = advice {
                failure.message = format!("{}; {advice}", failure.message);
            }
            tracing::error!("Restore of {collection} failed: {}", failure.message);
            report.outcome = if error.is_interrupted() { Outcome::Interrupted } else { Outcome::Failed };
            report.failure = Some(failure);
        }
    }
    report
}

async fn attempt(
    session: &mut Session,
    context: &RestoreContext,
    mut plan: Plan,
    stages: &mut Stages,
) -> Result<Option<PointsCount>, PutError> {
    let existed = plan.existing.is_some();
    let before = if existed { TargetState::Untouched } else { TargetState::Absent };
    let obstacle = if plan.obstacles.is_empty() { None } else { Some(plan.obstacles.remove(0)) };
    let backup = match (obstacle, &plan.backup) {
        (Some(error), _) => return Err(PutError { error, state: before }),
        (None, Some(backup)) => backup,
        (None, None) => {
            let error = RestoreError::Internal("a plan without a backup".to_owned());
            return Err(PutError { error, state: before });
        }
    };
    let job = Put {
        manifest: &backup.manifest,
        target: &plan.target,
        existed,
        prove: Prove::Snapshot,
        by: Operation::Restore,
        replication_factor: context.options.replication_factor,
        known: backup.backup.remarks().restored_points.as_ref(),
    };
    let counted = put(session, &context.destination, &job, stages).await?;
    if !existed {
        params::complete(session, &context.destination.client, &plan.target, &backup.manifest.source).await;
    }
    if !plan.aliases.is_empty() {
        let client = &context.destination.client;
        client
            .set_aliases(&plan.target, &plan.aliases)
            .await
            .map_err(|error| PutError { error: error.into(), state: TargetState::Restored })?;
    }
    Ok(counted.points)
}

fn failure(error: &RestoreError) -> Failure {
    Failure { kind: error.kind(), message: one_line(&error.to_string()) }
}
