//! The prune operation within a session.

use std::fs;
use std::time::Instant;

use indicatif::HumanBytes;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::operation::{Fate, Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::CollectionReport;
use qdrant_backup_shared::status::PrunedBackup;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{CollectionName, Failure, FailureKind};

use super::context::PruneContext;
use super::deletion::{Deletion, finish};
use super::plan::{Plan, Withheld, plan_all, source_changed};
use crate::archive::write::io_kind;
use crate::session::Session;
use crate::store::lock::ReadersLock;

/// Applies retention, and records the outcome in the session. Reads the directory again, so that it can follow a backup in the
/// same session.
///
/// # Crash safety
/// The backups to delete are recorded in the status before the first deletion. A killed prune leaves at most archives of recorded
/// backups without their manifests, which the next prune deletes. If there is no space for the record, the first deletion frees
/// it; a prune killed before then leaves at most the archives of one backup as orphans.
pub fn prune(session: &mut Session, context: &PruneContext) {
    let begun = session.begin(Operation::Prune, Stage::Prune, |_| ());
    let mut reports = Vec::new();
    let failure = work(session, context, &mut reports).err();
    session.end(begun, reports, failure, None);
}

fn work(
    session: &mut Session,
    context: &PruneContext,
    reports: &mut Vec<CollectionReport>,
) -> Result<(), Failure> {
    // Read after taking the lock, because `hold` shares it.
    let alone = ReadersLock::try_exclusive(&session.layout().readers_file())
        .map_err(|error| failure(FailureKind::Io, error))?;
    session.read_again().map_err(|error| failure(FailureKind::Io, error))?;
    // Warns about unreadable files of this scan, because these backups are not pruned.
    session.warn_of_unreadable();
    finish_earlier(session);
    let plans = plan_all(context, session.catalog(), Some(session.status()), session.now());
    let backups: Vec<Vec<Backup>> = plans.iter().map(|plan| expired(session.catalog(), plan)).collect();
    let going: usize = backups.iter().map(Vec::len).sum();
    if going > 0 && alone.is_none() {
        session.warn(format!(
            "archives are being read (by a restore, a drill, an export or a hold), so none of the {going} \
             expired backups was deleted; the next prune deletes them"
        ));
    } else if going > 0 {
        note(session, &backups)?;
    }
    let mut ended = Ok(());
    for (plan, backups) in plans.into_iter().zip(backups) {
        let backups = if alone.is_some() { backups } else { Vec::new() };
        let report =
            if ended.is_ok() { delete(session, context, plan, &backups) } else { report(session, plan) };
        if report.outcome == Outcome::Interrupted {
            ended = Err(failure(FailureKind::Interrupted, "interrupted by a signal"));
        }
        reports.push(report);
    }
    forget_undone(session);
    reports.extend(context.selection.names().iter().filter_map(|name| absent(session, name)));
    session.read_again().map_err(|error| failure(FailureKind::Io, error))?;
    forget_gone(session, reports);
    remark(session);
    ended?;
    if session.status().source_changed {
        return Err(failure(FailureKind::SourceChanged, source_changed()));
    }
    Ok(())
}

fn failure(kind: FailureKind, message: impl ToString) -> Failure {
    Failure { kind, message: one_line(&message.to_string()) }
}

/// Finishes the deletions of a killed prune.
fn finish_earlier(session: &mut Session) {
    let noted = session.status().pruning.clone();
    if noted.is_empty() {
        return;
    }
    let mut left = Vec::new();
    for backup in noted {
        match finish(session.layout(), &backup) {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => tracing::info!(
                "Removed what an earlier prune left of backup {} of {} ({} files)",
                backup.backup_id,
                backup.collection,
                removed.len()
            ),
            Err(error) => {
                session.warn(format!(
                    "cannot remove what an earlier prune left of backup {} of \"{}\": {error}",
                    backup.backup_id, backup.collection
                ));
                left.push(backup);
            }
        }
    }
    session.write_status(|status| status.pruning = left);
}

/// Removes backups with a manifest from the record: the next prune decides again.
fn forget_undone(session: &mut Session) {
    let layout = session.layout().clone();
    session.amend_status(|status| {
        status.pruning.retain(|noted| {
            !matches!(layout.manifest(&noted.collection, noted.backup_id).try_exists(), Ok(true))
        });
    });
}

/// Removes a deleted collection from the status when its last backup was just deleted.
fn forget_gone(session: &mut Session, reports: &[CollectionReport]) {
    let emptied: Vec<CollectionName> = reports
        .iter()
        .filter(|report| report.fates.iter().any(|fate| fate.fate == Fate::Deleted))
        .map(|report| &report.collection)
        .filter(|name| !session.catalog().collections.contains_key(name))
        .filter(|name| {
            session.status().collections.get(name).is_some_and(|entry| entry.on_server == Some(false))
        })
        .cloned()
        .collect();
    for name in emptied {
        // Other files in it keep the directory.
        drop(fs::remove_dir(session.layout().collection(&name)));
        session.amend_status(|status| {
            status.collections.remove(&name);
        });
    }
}

/// The backups to delete in `plan`, newest first, so that dependent ones are deleted first.
fn expired(catalog: &Catalog, plan: &Plan) -> Vec<Backup> {
    if plan.withheld.is_some() {
        return Vec::new();
    }
    let backups = catalog.collections.get(&plan.collection).map_or(&[][..], Vec::as_slice);
    let find = |id: BackupId| backups.iter().find(|backup| backup.backup_id == id).cloned();
    plan.fates
        .iter()
        .filter(|fate| fate.fate == Fate::Delete)
        .filter_map(|fate| find(fate.backup_id))
        .collect()
}

/// Records in the status what will be deleted. Missing space for the record must not prevent the deletion.
fn note(session: &mut Session, backups: &[Vec<Backup>]) -> Result<(), Failure> {
    let noted: Vec<PrunedBackup> = backups
        .iter()
        .flatten()
        .map(|backup| PrunedBackup { collection: (*backup.collection).clone(), backup_id: backup.backup_id })
        .collect();
    session.write_status(|status| status.pruning.extend(noted));
    if session.is_recorded() {
        return Ok(());
    }
    if session.lacks_room() {
        session.warn(
            "no space to record what is deleted: if this run is killed, an archive without a manifest may be left of the first backup",
        );
        return Ok(());
    }
    session.amend_status(|status| status.pruning.clear());
    Err(failure(FailureKind::Io, "the status cannot be written, so nothing was deleted"))
}

fn report(session: &Session, plan: Plan) -> CollectionReport {
    let mut report = CollectionReport::new(plan.collection, session.now());
    report.fates = plan.fates;
    report
}

/// Deletes `backups` of a collection, and reports the outcome.
fn delete(session: &mut Session, context: &PruneContext, plan: Plan, backups: &[Backup]) -> CollectionReport {
    let begun = Instant::now();
    let withheld = plan.withheld.clone();
    let mut report = report(session, plan);
    session.enter_stage(Stage::Prune, &report.collection);
    match withheld {
        Some(withheld) if withheld.is_failure() => refuse(&mut report, FailureKind::PruneRefused, &withheld),
        Some(Withheld::LastAttemptFailed) => {
            tracing::warn!("Not pruning {}: {}", report.collection, Withheld::LastAttemptFailed);
        }
        Some(withheld) => tracing::info!("Not pruning {}: {withheld}", report.collection),
        None => {}
    }
    for backup in backups {
        if context.interrupt.is_cancelled() {
            report.outcome = Outcome::Interrupted;
            report.failure = Some(failure(FailureKind::Interrupted, "interrupted by a signal"));
            break;
        }
        let id = backup.backup_id;
        match Deletion::of(session.layout(), backup).perform() {
            Ok(()) => {
                session.amend_status(|status| {
                    status
                        .pruning
                        .retain(|noted| noted.backup_id != id || noted.collection != report.collection);
                });
                if let Some(fate) = report.fates.iter_mut().find(|fate| fate.backup_id == id) {
                    fate.fate = Fate::Deleted;
                    let copies: Vec<&str> = backup.places().collect();
                    if !copies.is_empty() {
                        fate.reasons.push(format!("copies stay in {}", copies.join(", ")));
                    }
                    tracing::info!(
                        "Deleted backup {id} of {} ({}): {}",
                        report.collection,
                        HumanBytes(fate.stored_size_bytes),
                        fate.reasons.join(", ")
                    );
                }
                if session.is_recorded() {
                    session.heartbeat();
                } else {
                    // Now there may be space for the record.
                    session.show_status();
                }
            }
            Err(error) => {
                refuse(&mut report, io_kind(&error), &format!("deleting backup {id}: {error}"));
                // The next one may be a dependency of this one.
                break;
            }
        }
    }
    report.duration_seconds = begun.elapsed().as_secs_f64();
    report
}

fn refuse(report: &mut CollectionReport, kind: FailureKind, why: &impl ToString) {
    let failure = failure(kind, why.to_string());
    tracing::error!("Pruning {} failed: {}", report.collection, failure.message);
    report.outcome = Outcome::Failed;
    report.failure = Some(failure);
}

fn absent(session: &Session, name: &CollectionName) -> Option<CollectionReport> {
    if session.catalog().collections.contains_key(name) {
        return None;
    }
    let mut report = CollectionReport::new(name.clone(), session.now());
    refuse(
        &mut report,
        FailureKind::NoCollection,
        &"there is no backup of such a collection; `--collection` takes the exact name",
    );
    Some(report)
}

/// Warns about orphans, which retention does not delete. Each may be the last copy of its data.
fn remark(session: &mut Session) {
    let orphans = &session.catalog().orphans;
    let bytes: u64 = orphans.iter().map(|orphan| orphan.size_bytes).sum();
    if !orphans.is_empty() {
        session.warn(format!(
            "{} archives without a manifest take up {}; `qdrant-backup prune --orphans` lists them",
            orphans.len(),
            HumanBytes(bytes)
        ));
    }
}
