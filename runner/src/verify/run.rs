//! The verify operation: one backup after the other, each with its record.

use std::path::Path;
use std::time::Instant;

use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::{Backup, Unreadable, Whole};
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::{CheckedBackup, CollectionReport, RunReport, StageReport};
use qdrant_backup_shared::text::{number_of, one_line};
use qdrant_backup_shared::verification::CheckOutcome;
use qdrant_backup_shared::{CollectionName, Failure, FailureKind, Layout};
use tokio_util::sync::CancellationToken;

use super::check::{Check, Interrupted, verify_backup};
use super::depth::Depth;
use super::record;
use super::selection::{Extent, select};
use crate::choice::{Selection, Which};
use crate::host::console::Console;
use crate::session::Session;

/// Options of a verification.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// The collections.
    pub selection: Selection,
    /// The selection of their backups.
    pub extent: Extent,
    /// How much of each backup to check.
    pub depth: Depth,
}

/// Everything that the operation is given.
#[derive(Debug, Clone)]
pub struct VerifyContext {
    /// The progress display.
    pub console: Console,
    /// Canceled when the work must stop.
    pub interrupt: CancellationToken,
    /// The options.
    pub options: VerifyOptions,
}

/// Checks backups, writes their records, and records the outcome in the session. Reads the backup directory before and after, so
/// that the session's catalog has the new records. Works in the calling thread.
///
/// A collection fails if one of its backups failed or could not be checked. The operation fails if a manifest cannot be read,
/// because the state of its archive is then unknown.
pub fn verify(session: &mut Session, context: &VerifyContext) {
    let begun = session.begin(Operation::Verify, Stage::Verify, |_| {});
    let mut reports = Vec::new();
    let failure = work(session, context, &mut reports).err();
    session.end(begun, reports, failure, None);
    if let Err(error) = session.read_again() {
        session.warn(error.to_string());
    }
}

/// Whether any backup was found bad in this run.
pub fn any_failed(report: &RunReport) -> bool {
    let operations = report.operations.iter().filter(|operation| operation.operation == Operation::Verify);
    let mut checked =
        operations.flat_map(|operation| &operation.collections).flat_map(|report| &report.checked);
    checked.any(|checked| checked.outcome == CheckOutcome::Failed)
}

fn work(
    session: &mut Session,
    context: &VerifyContext,
    reports: &mut Vec<CollectionReport>,
) -> Result<(), Failure> {
    session
        .read_again()
        .map_err(|error| Failure { kind: FailureKind::Io, message: one_line(&error.to_string()) })?;
    let options = &context.options;
    let selection =
        select(session.catalog(), session.status(), &options.selection, options.extent, session.now());
    for (collection, problem) in selection.absent {
        tracing::error!("Verification of {collection} failed: {problem}");
        let mut report = CollectionReport::new(collection, session.now());
        report.outcome = Outcome::Failed;
        report.failure = Some(Failure { kind: FailureKind::NoCollection, message: problem });
        reports.push(report);
    }
    for (collection, backups) in &selection.chosen {
        let report = check_collection(session, context, collection, backups);
        let interrupted = report.outcome == Outcome::Interrupted;
        reports.push(report);
        if interrupted {
            return Err(interrupted_failure());
        }
    }
    if let Some(message) = selection.nowhere {
        return Err(Failure { kind: FailureKind::NoCollection, message });
    }
    unreadable_manifests(session, options)
}

/// Checks the backups of one collection.
fn check_collection(
    session: &mut Session,
    context: &VerifyContext,
    collection: &CollectionName,
    backups: &[Backup],
) -> CollectionReport {
    let begun = Instant::now();
    let mut report = CollectionReport::new(collection.clone(), session.now());
    session.enter_stage(Stage::Verify, collection);
    for backup in backups {
        let backup = match backup.whole(session.layout()) {
            Ok(backup) => backup,
            Err(error) => {
                let message = format!("backup {}: {}", backup.backup_id, one_line(&error.to_string()));
                tracing::error!("{message}");
                report.outcome = Outcome::Failed;
                report.failure = report.failure.or(Some(Failure { kind: error.kind(), message }));
                continue;
            }
        };
        let Ok(check) = check_backup(session, context, &backup) else {
            report.outcome = Outcome::Interrupted;
            report.failure = Some(interrupted_failure());
            break;
        };
        let mut failure = failure(&backup, &check);
        match record::enter(session.layout(), &backup.manifest, &check, session.now()) {
            Ok(warning) => warning.into_iter().for_each(|warning| session.warn(warning)),
            Err(error) => {
                tracing::error!("{}", one_line(&error.to_string()));
                failure = failure.or_else(|| Some(error.to_failure()));
            }
        }
        if failure.is_some() {
            report.outcome = Outcome::Failed;
        }
        // A bad backup takes precedence over one that could not be checked.
        if report.failure.is_none() || (check.outcome == CheckOutcome::Failed && !has_failed(&report)) {
            report.failure = failure.or(report.failure);
        }
        report.checked.push(CheckedBackup {
            backup_id: backup.manifest.backup_id,
            level: check.level,
            outcome: check.outcome,
            duration_seconds: check.duration.as_secs_f64(),
            findings: check.findings,
        });
    }
    report.duration_seconds = begun.elapsed().as_secs_f64();
    report.stages =
        vec![StageReport { stage: Stage::Verify, duration_seconds: report.duration_seconds, bytes: None }];
    report
}

fn has_failed(report: &CollectionReport) -> bool {
    report.checked.iter().any(|checked| checked.outcome == CheckOutcome::Failed)
}

fn check_backup(
    session: &mut Session,
    context: &VerifyContext,
    backup: &Whole,
) -> Result<Check, Interrupted> {
    let source = session.source().clone();
    let manifest = &backup.manifest;
    let bar = context.console.transfer(&manifest.collection, manifest.stored_size_bytes());
    let mut progress = |count| {
        bar.inc(count);
        session.heartbeat();
    };
    let interrupt = || context.interrupt.is_cancelled();
    let result = verify_backup(&source, manifest, context.options.depth, &mut progress, &interrupt);
    bar.finish_and_clear();
    let check = result?;
    tell(backup, &check);
    Ok(check)
}

/// One line for the backup, after one for each finding.
fn tell(backup: &Whole, check: &Check) {
    let (collection, id) = (&backup.manifest.collection, backup.manifest.backup_id);
    let passed = check.outcome == CheckOutcome::Passed;
    for finding in &check.findings {
        let line = format!("{collection} {id}: {} ({})", finding.message, finding.kind);
        if passed {
            tracing::warn!("Unusual, but harmless: {line}");
        } else {
            tracing::error!("{line}");
        }
    }
    let archives = &backup.manifest.archives;
    let shards = if backup.manifest.is_by_shard() {
        format!(" of {}", number_of(archives.len(), "shard"))
    } else {
        String::new()
    };
    let line = format!(
        "Verified {collection} {id} at {}: {}, {}{shards} in {:.1} s",
        check.level,
        check.outcome,
        HumanBytes(backup.manifest.stored_size_bytes()),
        check.duration.as_secs_f64()
    );
    if passed {
        tracing::info!("{line}");
    } else {
        tracing::error!("{line}");
    }
}

/// Why the collection fails because of this backup, if it does.
fn failure(backup: &Whole, check: &Check) -> Option<Failure> {
    let kind = check.failure.clone()?;
    let first = check.findings.first().map(|finding| finding.message.as_str()).unwrap_or_default();
    let more = match check.findings.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let message =
        format!("backup {}: {} at {}: {first}{more}", backup.manifest.backup_id, check.outcome, check.level);
    Some(Failure { kind, message: one_line(&message) })
}

fn interrupted_failure() -> Failure {
    Failure { kind: FailureKind::Interrupted, message: "interrupted by a signal".to_owned() }
}

/// Fails for unreadable manifests of the selected collections.
fn unreadable_manifests(session: &Session, options: &VerifyOptions) -> Result<(), Failure> {
    if matches!(options.extent, Extent::Asked(Which::Id(_))) {
        return Ok(());
    }
    let layout = session.layout();
    let unreadable: Vec<&Unreadable> = session
        .catalog()
        .unreadable_manifests()
        .filter(|entry| {
            let names = options.selection.names();
            names.is_empty() || names.iter().any(|name| lies_in(layout, name, &entry.path))
        })
        .collect();
    for entry in &unreadable {
        tracing::error!("{}", one_line(&entry.problem));
    }
    match Unreadable::first_and_more(unreadable) {
        None => Ok(()),
        Some(told) => {
            let advice = "if it is damaged, move it out of the backup directory, then make a new one with `qdrant-backup import ARCHIVE`";
            let message = one_line(&format!("{told}; {advice}"));
            Err(Failure { kind: FailureKind::ManifestInvalid, message })
        }
    }
}

fn lies_in(layout: &Layout, collection: &CollectionName, path: &Path) -> bool {
    path.starts_with(layout.collection(collection))
}
