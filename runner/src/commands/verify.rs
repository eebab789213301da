//! `qdrant-backup verify`.

use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::run_report::{OperationReport, RunReport};
use qdrant_backup_shared::text::{number_of, one_line};
use qdrant_backup_shared::verification::CheckOutcome;

use super::from::From;
use super::{Refusal, exit, listen, print_report, repository, selection};
use crate::commands::cli::VerifyArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::session::Purpose;
use crate::settings::Settings;
use crate::verify::{self, Depth, Extent, VerifyContext, VerifyOptions};

/// Checks stored backups, and logs the outcome in the last line.
pub async fn verify(
    settings: &Settings,
    args: &VerifyArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let options = options(args)?;
    let names = options.selection.names();
    let from = From::look(settings, &args.from, names, Some(&signals), clock)?;
    let settings = from.settings();
    let mut held = repository::enter(Purpose::Run, settings, "verify", clock, &signals).await?;
    let session = &mut held.session;
    from.read_by(session);
    let context = VerifyContext { console: console.clone(), interrupt: signals.token(), options };
    verify::verify(session, &context);
    let stored = stored_bytes(session.last_operation(), session.catalog());
    let finished = held.session.finish();
    if args.json {
        print_report(&finished)?;
    }
    for operation in &finished.report.operations {
        summarize(operation, stored);
    }
    let exit = exit(&finished, signals.received())?;
    Ok(sharpened(exit, &finished.report))
}

fn options(args: &VerifyArgs) -> Result<VerifyOptions, Refusal> {
    Ok(VerifyOptions {
        selection: selection(&args.collections)?,
        extent: Extent::Asked(args.backup),
        depth: if args.level == "checksum" { Depth::Checksum } else { Depth::Archive },
    })
}

/// A bad backup has its own exit code, even if other collections are good.
fn sharpened(exit: Exit, report: &RunReport) -> Exit {
    match exit {
        Exit::Interrupted(_) => exit,
        _ if verify::any_failed(report) => Exit::VerificationFailed,
        Exit::Partial => Exit::Failed,
        Exit::Success
        | Exit::Different
        | Exit::Failed
        | Exit::Usage
        | Exit::VerificationFailed
        | Exit::TooOld
        | Exit::Locked
        | Exit::Configuration => exit,
    }
}

/// Total size of everything that was checked.
pub(super) fn stored_bytes(operation: Option<&OperationReport>, catalog: &Catalog) -> u64 {
    let collections = operation.iter().flat_map(|operation| &operation.collections);
    let checked = collections.flat_map(|report| {
        let backups = catalog.collections.get(&report.collection).map(Vec::as_slice).unwrap_or_default();
        backups
            .iter()
            .filter(|backup| report.checked.iter().any(|checked| checked.backup_id == backup.backup_id))
    });
    checked.map(|backup| backup.stored_size_bytes()).sum()
}

/// Logs the outcome of the verification in one line.
pub(super) fn summarize(operation: &OperationReport, stored: u64) {
    if operation.operation != Operation::Verify {
        return;
    }
    let checked: Vec<_> = operation.collections.iter().flat_map(|report| &report.checked).collect();
    let counts: Vec<String> = CheckOutcome::KNOWN
        .iter()
        .map(|outcome| (outcome, checked.iter().filter(|checked| checked.outcome == *outcome).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let done = if checked.is_empty() {
        "no backup was checked".to_owned()
    } else {
        format!(
            "{} checked ({}), {} in {:.1} s",
            number_of(checked.len(), "backup"),
            counts.join(", "),
            HumanBytes(stored),
            operation.duration_seconds
        )
    };
    match &operation.outcome {
        Outcome::Success if checked.is_empty() => {
            tracing::info!("Nothing to verify: no backup has its archives here");
        }
        Outcome::Success => tracing::info!("Verification succeeded: {done}"),
        Outcome::Interrupted => tracing::error!("Verification interrupted by a signal: {done}"),
        Outcome::Partial | Outcome::Failed | Outcome::Other(_) => {
            let of_collections = operation.collections.iter().filter_map(|report| {
                Some(format!("{} ({})", report.collection, report.failure.as_ref()?.kind))
            });
            let why: Vec<String> = operation
                .failure
                .iter()
                .map(|failure| failure.message.clone())
                .chain(of_collections)
                .collect();
            tracing::error!("Verification failed: {done}; {}", one_line(&why.join(", ")));
        }
    }
}
