//! `qdrant-backup drill`.

use qdrant_backup_shared::config_file::keys::{DRILL_MAX_SIZE, SETTLE_TIMEOUT};
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::run_report::RunReport;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::verification::CheckOutcome;

use super::from::From;
use super::scratch_server::{For, other_server, scratch_server};
use super::{Refusal, exit, listen, print_report, repository, selection};
use crate::choice::Which;
use crate::commands::cli::DrillArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::restore::Destination;
use crate::restore::drill::{self, DrillContext, DrillOptions, GiveWay};
use crate::session::Purpose;
use crate::settings::Settings;

/// Purpose of the server, for messages.
const WORDS: For = For { lacking: "no server to drill on", doing: "drill on" };

/// Checks that there is a server to drill on.
///
/// # Errors
/// When neither the options nor the settings name one.
pub fn server(settings: &Settings, args: &DrillArgs) -> Result<(), Refusal> {
    other_server(settings, args.on_source, WORDS).map(drop)
}

/// Drills, and logs the outcome in the last line.
pub async fn drill(
    settings: &Settings,
    args: &DrillArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let selection = selection(&args.collections)?;
    if matches!(args.backup, Which::Id(_)) && selection.names().len() != 1 {
        return Err(Refusal::id_of_several());
    }
    let token = signals.token().child_token();
    let (client, on_source) = scratch_server(settings, args.on_source, WORDS, &token)?;
    let from = From::look(settings, &args.from, selection.names(), Some(&signals), clock)?;
    let settings = from.settings();
    let layout = repository::layout(settings);
    repository::open(settings)?;
    let mut held = repository::enter(Purpose::Run, settings, repository::DRILL, clock, &signals).await?;
    let session = &mut held.session;
    from.read_by(session);
    let give_way = GiveWay::watch(layout.waiting_file(), token);
    let context = DrillContext {
        destination: Destination {
            client,
            nodes: if on_source { settings.qdrant.nodes.clone() } else { Vec::new() },
            console: console.clone(),
            settle_timeout: settings.get(&SETTLE_TIMEOUT),
        },
        give_way,
        options: DrillOptions {
            selection,
            which: args.backup,
            allow_version_skew: args.allow_version_skew,
            max_size_bytes: on_source.then_some(settings.get(&DRILL_MAX_SIZE)),
        },
    };
    drill::drill(session, &context).await;
    let finished = held.session.finish();
    if args.json {
        print_report(&finished)?;
    }
    summarize(&finished.report);
    let exit = exit(&finished, signals.received())?;
    Ok(if matches!(exit, Exit::Interrupted(_)) {
        exit
    } else if any_bad(&finished.report) {
        Exit::VerificationFailed
    } else if context.give_way.gave() {
        Exit::Locked
    } else {
        exit
    })
}

/// Whether a backup was found bad.
pub(super) fn any_bad(report: &RunReport) -> bool {
    let drills = report.operations.iter().filter(|part| part.operation == Operation::Drill);
    let mut checked = drills.flat_map(|part| &part.collections).flat_map(|report| &report.checked);
    checked.any(|checked| checked.outcome == CheckOutcome::Failed)
}

/// Logs the outcome of the drill in one line.
pub(super) fn summarize(report: &RunReport) {
    let Some(operation) = report.operations.iter().find(|part| part.operation == Operation::Drill) else {
        return;
    };
    let total = operation.collections.len();
    let checked = |wanted: CheckOutcome| {
        let all = operation.collections.iter().flat_map(|part| &part.checked);
        all.filter(|checked| checked.outcome == wanted).count()
    };
    let (passed, unsupported) = (checked(CheckOutcome::Passed), checked(CheckOutcome::Unsupported));
    let not = if unsupported > 0 { format!(", {unsupported} cannot be drilled") } else { String::new() };
    let took = operation.duration_seconds;
    let done = if total == 0 && operation.failure.is_some() {
        format!("nothing was drilled, in {took:.1} s")
    } else {
        format!("{passed} of {total} backups passed{not}, in {took:.1} s")
    };
    let failures: Vec<String> = operation
        .collections
        .iter()
        .filter_map(|part| Some(format!("{}: {}", part.collection, part.failure.as_ref()?.message)))
        .chain(operation.failure.iter().map(|failure| failure.message.clone()))
        .collect();
    if operation.outcome == Outcome::Success && operation.has_proven() {
        tracing::info!("Drill succeeded: {done}");
    } else if operation.outcome == Outcome::Success {
        tracing::warn!("Drill proved nothing: {done}");
    } else {
        tracing::error!("Drill {}: {done}; {}", operation.outcome, one_line(&failures.join("; ")));
    }
}
