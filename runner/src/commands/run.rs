//! `qdrant-backup run`: backup, verify, offsite copies, prune, and a drill when due, with one lock, one status and one exit code.

use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::config_file::keys::{
    GONE_AFTER_DAYS, REREAD_WITHIN_DAYS, RUN_PRUNE, RUN_VERIFY, SETTLE_TIMEOUT,
};
use qdrant_backup_shared::operation::{Operation, Stage};
use qdrant_backup_shared::run_report::RunReport;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{Failure, FailureKind};
use tokio_util::sync::CancellationToken;

use super::scheduled::{Done, scheduled};
use super::{
    Refusal, backup, client, client_for_other, drill, exit, listen, offsite, print_report, prune, repository,
    verify,
};
use crate::backup::{BackupContext, back_up};
use crate::choice::{Selection, Which};
use crate::commands::cli::RunArgs;
use crate::commands::exit::Exit;
use crate::commands::notify::Notifier;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::offsite::{Check, Work};
use crate::prune::PruneContext;
use crate::prune::retention::Policies;
use crate::restore::Destination;
use crate::restore::drill::{DrillContext, DrillOptions, GiveWay};
use crate::session::{Purpose, Session, overall};
use crate::settings::{PlaceSettings, Settings};
use crate::store::access;
use crate::verify::{Depth, Extent, VerifyContext, VerifyOptions, any_failed};

/// Without a schedule, daily runs are assumed.
const DAY: Duration = Duration::from_secs(86_400);

/// Runs everything, and sends notifications.
pub async fn run(
    settings: &Settings,
    args: &RunArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    scheduled(settings, "run", async |notifier| work(settings, args, clock, console, notifier).await).await
}

/// A failed part does not stop the next one: backups that succeeded are verified, and pruning checks on its own whether it is
/// safe.
async fn work(
    settings: &Settings,
    args: &RunArgs,
    clock: Clock,
    console: &Console,
    notifier: &mut Notifier,
) -> Result<Done, Refusal> {
    let signals = listen()?;
    let client = client(settings, signals.token())?;
    let mut held = repository::enter(Purpose::Run, settings, "run", clock, &signals).await?;
    notifier.started();
    let session = &mut held.session;
    for problem in access::problems(session.layout()) {
        session.warn(problem);
    }
    let interval = settings.schedule.as_ref().map(|schedule| schedule.longest_gap(clock.now()));

    let context = BackupContext {
        client,
        console: console.clone(),
        options: backup::options(settings, Vec::new(), clock),
    };
    back_up(session, &context).await;
    let mut could_not_back_up = false;
    if let Some(operation) = session.last_operation() {
        backup::summarize(operation);
        could_not_back_up = operation.failure.is_some();
    }
    let token = signals.token();
    if settings.get(&RUN_VERIFY) && !token.is_cancelled() {
        verify_share(session, settings, interval.unwrap_or(DAY), console, token.clone());
    }
    if !settings.offsite.is_empty() && !token.is_cancelled() {
        copy_offsite(session, settings, interval.unwrap_or(DAY), console, token.clone());
    }
    if could_not_back_up && settings.get(&RUN_PRUNE) && !token.is_cancelled() {
        session.warn("nothing is pruned, because no collection could be backed up");
    } else if settings.get(&RUN_PRUNE) && !token.is_cancelled() {
        apply_retention(session, settings, token.clone());
    }
    let mut gave_way = false;
    if !token.is_cancelled() && drill_is_due(settings, session, clock.now()) {
        gave_way = drill_one(session, settings, console, &token).await;
    }
    note_intervals(session, settings, interval, clock.now());

    let finished = held.session.finish();
    if args.json {
        print_report(&finished)?;
    }
    drill::summarize(&finished.report);
    let exit = exit(&finished, signals.received())?;
    Ok(Done { exit: sharpened(exit, &finished.report, gave_way), report: finished.report })
}

fn verify_share(
    session: &mut Session,
    settings: &Settings,
    interval: Duration,
    console: &Console,
    interrupt: CancellationToken,
) {
    let within = DAY * settings.get(&REREAD_WITHIN_DAYS);
    let options = VerifyOptions {
        selection: Selection::default(),
        extent: Extent::Due { within, interval },
        depth: Depth::Archive,
    };
    crate::verify::verify(session, &VerifyContext { console: console.clone(), interrupt, options });
    let stored = verify::stored_bytes(session.last_operation(), session.catalog());
    if let Some(operation) = session.last_operation() {
        verify::summarize(operation, stored);
    }
}

/// Copies to every place, reads a share of each back, and applies its retention.
fn copy_offsite(
    session: &mut Session,
    settings: &Settings,
    interval: Duration,
    console: &Console,
    interrupt: CancellationToken,
) {
    let forget = settings.get(&RUN_PRUNE);
    let work = Work { copy: true, check: Check::Share { interval }, forget, prune: false, yes: false };
    let places: Vec<&PlaceSettings> = settings.offsite.iter().collect();
    let context = offsite::context(settings, &places, work, console, interrupt);
    crate::offsite::offsite(session, &context);
    if let Some(operation) = session.last_operation() {
        offsite::summarize_operation(operation);
    }
}

fn apply_retention(session: &mut Session, settings: &Settings, interrupt: CancellationToken) {
    match Policies::from_settings(settings) {
        Ok(policies) => {
            let gone_after_days = settings.get(&GONE_AFTER_DAYS);
            let context = PruneContext {
                policies,
                gone_after_days,
                places: settings.places(),
                selection: Selection::default(),
                yes: false,
                interrupt,
            };
            crate::prune::prune(session, &context);
            if let Some(operation) = session.last_operation() {
                prune::summarize(operation);
            }
        }
        Err(_) => tracing::info!("No retention rule is set, so every backup is kept (retention.keep_days)"),
    }
}

/// Whether one of the drill's times has come since the last drill, or there never was one.
fn drill_is_due(settings: &Settings, session: &Session, now: DateTime<Utc>) -> bool {
    let Some(schedule) = settings.drill.schedule.as_ref() else { return false };
    let last = session.status().operations.get(&Operation::Drill).and_then(|drill| drill.last_attempt_at);
    last.and_then(|last| schedule.next_after(last)).is_none_or(|next| next <= now)
}

/// Drills the least recently drilled backup. Returns whether it gave way to another run. If it cannot start, that is a failure of
/// the drill; the rest of the run is reported as usual.
async fn drill_one(
    session: &mut Session,
    settings: &Settings,
    console: &Console,
    token: &CancellationToken,
) -> bool {
    let Some(other) = settings.drill.server() else { return false };
    let token = token.child_token();
    let client = client_for_other(settings, &other, token.clone())
        .map_err(|refusal| Failure { kind: FailureKind::Unreachable, message: one_line(&refusal.message) });
    // The backups that this run made and pruned.
    let read = session
        .read_again()
        .map_err(|error| Failure { kind: FailureKind::Io, message: one_line(&error.to_string()) });
    let client = match read.and(client) {
        Ok(client) => client,
        Err(failure) => {
            let begun = session.begin(Operation::Drill, Stage::Inspect, |_| {});
            session.end(begun, Vec::new(), Some(failure), None);
            return false;
        }
    };
    let context = DrillContext {
        destination: Destination {
            nodes: Vec::new(),
            client,
            console: console.clone(),
            settle_timeout: settings.get(&SETTLE_TIMEOUT),
        },
        give_way: GiveWay::watch(session.layout().waiting_file(), token),
        options: DrillOptions {
            selection: Selection::default(),
            allow_version_skew: false,
            which: Which::LeastRecent,
            max_size_bytes: None,
        },
    };
    crate::restore::drill::drill(session, &context).await;
    context.give_way.gave()
}

/// Records the expected interval of each enabled part, for monitoring.
fn note_intervals(
    session: &mut Session,
    settings: &Settings,
    interval: Option<Duration>,
    now: DateTime<Utc>,
) {
    let drills = settings.drill.schedule.as_ref().map(|schedule| schedule.longest_gap(now));
    // A disabled part is not late.
    let verifies = interval.filter(|_| settings.get(&RUN_VERIFY));
    let prunes = interval.filter(|_| settings.get(&RUN_PRUNE));
    session.amend_status(|status| {
        for (operation, interval) in [
            (Operation::Verify, verifies),
            (Operation::Prune, prunes),
            (Operation::Drill, drills),
            (Operation::Offsite, interval),
        ] {
            if let Some(history) = status.operations.get_mut(&operation) {
                history.schedule_interval_seconds = interval.map(|interval| interval.as_secs_f64());
            }
        }
    });
}

/// A bad backup has its own exit code. If a drill gave way to another run, that is not a failure.
fn sharpened(exit: Exit, report: &RunReport, gave_way: bool) -> Exit {
    if matches!(exit, Exit::Interrupted(_)) {
        return exit;
    }
    if any_failed(report) || drill::any_bad(report) || offsite::any_damaged(report) {
        return Exit::VerificationFailed;
    }
    if !gave_way {
        return exit;
    }
    let others = report.operations.iter().filter(|operation| operation.operation != Operation::Drill);
    Exit::of(&overall("run", others), None)
}
