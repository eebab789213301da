//! `qdrant-backup restore`.

use std::time::Instant;

use qdrant_backup_shared::config_file::keys::SETTLE_TIMEOUT;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::run_report::RunReport;
use qdrant_backup_shared::text::{one_line, pretty_json};
use qdrant_backup_shared::{CollectionName, Failure};
use serde_json::json;

use super::corrupt::on_record;
use super::from::From;
use super::restore_files::restore_files;
use super::restore_points::restore_points;
use super::{
    Refusal, backup, client, client_for_other, listen, print_report, repository, selection, stopped, target,
};
use crate::backup::BackupContext;
use crate::choice::{Present, Selection, Which};
use crate::commands::cli::RestoreArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::host::output;
use crate::host::signals::Signals;
use crate::qdrant::Client;
use crate::restore::{
    Again, Announce, Destination, Facts, NOTHING, Plan, PlanOptions, RestoreContext, RestoreError, Safety,
    TargetState, as_json, as_text, check_archive, died, every, is_corrupt, plan_all, restore as run_restore,
};
use crate::session::Purpose;
use crate::session::status_store;
use crate::settings::Settings;

/// Restores, and logs the outcome and the state of the targets in the last line.
pub async fn restore(
    settings: &Settings,
    args: &RestoreArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    if args.points {
        return restore_points(settings, args, clock, console).await;
    }
    if args.collections.is_empty() && !(args.all || args.dry_run || args.files) {
        let message = "say what to restore: --collection NAME, --all, --files (configuration files), or --collection NAME with --points (single points)".to_owned();
        return Err(Refusal { exit: Exit::Usage, message });
    }
    if let Some(into) = &args.into {
        let files = [CollectionName::files()];
        let from = From::look(settings, &args.from, &files, None, clock)?;
        return restore_files(&from, args.which(), into, clock);
    }
    let signals = listen()?;
    let selection = selection(&args.collections)?;
    let options = plan_options(settings, args, &selection)?;
    let target = match &settings.restore_to {
        Some(other) => client_for_other(settings, other, signals.token())?,
        None => client(settings, signals.token())?,
    };
    if args.from.from.is_some() && args.force && !args.no_safety_backup && !args.dry_run {
        // Their safety backup would be in a temporary directory.
        return Err(Refusal {
            exit: Exit::Usage,
            message: "--from with --force needs --no-safety-backup; first back up the collection that is overwritten: `qdrant-backup backup --collection NAME`"
                .to_owned(),
        });
    }
    let from = From::look(settings, &args.from, selection.names(), Some(&signals), clock)?;
    let source = client(settings, signals.token())?;
    let settings = from.settings();
    repository::open(settings)?;
    let is_source =
        settings.restore_to.as_ref().is_none_or(|other| other.url.as_url() == settings.qdrant.url.as_url());
    let destination = Destination {
        client: target,
        nodes: if is_source { settings.qdrant.nodes.clone() } else { Vec::new() },
        console: console.clone(),
        settle_timeout: settings.get(&SETTLE_TIMEOUT),
    };
    if args.dry_run {
        return dry_run(&from, &destination, options, selection, args, &signals, clock).await;
    }
    let mut held = repository::enter(Purpose::Run, settings, "restore", clock, &signals).await?;
    let session = &mut held.session;
    from.read_by(session);
    let context = RestoreContext {
        destination,
        selection,
        include_retired: args.include_retired,
        options,
        announce: announce(args.json, clock),
        safety: safety(settings, source, console, clock),
    };
    run_restore(session, &context).await;
    let finished = held.session.finish();
    if args.json {
        print_report(&finished)?;
    }
    summarize(&finished.report);
    // A failure to write the status does not change the outcome; it was already logged.
    Ok(Exit::of(&finished.report.outcome, signals.received()))
}

fn plan_options(
    settings: &Settings,
    args: &RestoreArgs,
    selection: &Selection,
) -> Result<PlanOptions, Refusal> {
    let usage = |message: &str| Refusal { exit: Exit::Usage, message: message.to_owned() };
    let target = args.target.as_deref().map(|name| target("--as", name)).transpose();
    let target = target.map_err(|error| usage(&error))?;
    if target.is_some() && selection.names().len() != 1 {
        return Err(usage("--as needs exactly one --collection"));
    }
    let which = args.which();
    if matches!(which, Which::Id(_)) && selection.names().len() != 1 {
        return Err(Refusal::id_of_several());
    }
    let to = settings.restore_to.as_ref();
    Ok(PlanOptions {
        which,
        target,
        force: args.force,
        skip_existing: !selection.is_named(),
        with_aliases: args.with_aliases,
        safety_backup: !args.no_safety_backup,
        elsewhere: to.is_some_and(|other| other.url.as_url() != settings.qdrant.url.as_url()),
        allow_version_skew: args.allow_version_skew,
        replication_factor: args.replication_factor,
        shown: settings.shown_options() + &args.from.shown(),
        shown_key: settings.to_api_key_file.clone(),
        restoring: Vec::new(),
        died: None,
    })
}

/// Plans go to stdout, or to stderr with `--json`.
fn announce(json: bool, clock: Clock) -> Announce {
    Box::new(move |facts, plans| {
        let text = plans_as_text(facts, plans, clock);
        if json {
            for line in text.lines() {
                tracing::info!("{line}");
            }
        } else if let Err(error) = output::print(&text) {
            tracing::warn!("the plan cannot be printed: {error}");
        }
    })
}

fn plans_as_text(facts: &Facts, plans: &[Plan], clock: Clock) -> String {
    let mut text = format!("Restore to Qdrant {}:", one_line(&facts.version));
    for plan in plans {
        text.push('\n');
        text.push_str(&as_text(plan, clock.now()));
    }
    text
}

/// Safety backups work like `backup --collection`.
fn safety(settings: &Settings, client: Client, console: &Console, clock: Clock) -> Safety {
    let (settings, console) = (settings.clone(), console.clone());
    Box::new(move |targets| BackupContext {
        client: client.clone(),
        console: console.clone(),
        options: backup::options(&settings, targets, clock),
    })
}

/// Checks everything that can be checked without changes. Takes no lock, only reads from the server, and only records corrupt
/// backups.
async fn dry_run(
    from: &From,
    destination: &Destination,
    mut options: PlanOptions,
    selection: Selection,
    args: &RestoreArgs,
    signals: &Signals,
    clock: Clock,
) -> Result<Exit, Refusal> {
    let Destination { client, console, .. } = destination;
    let refuse = |error: crate::qdrant::Error| stopped(error, signals);
    let source = &from.source();
    let catalog = repository::catalog(source.layout())?;
    let facts = Facts::ask(destination).await.map_err(refuse)?;
    let status = status_store::look(source.layout()).unwrap_or_else(|error| {
        tracing::warn!("{error}; retired collections, unfinished restores and the last backups are unknown");
        None
    });
    options.restoring = status.as_ref().map(|status| status.restoring.clone()).unwrap_or_default();
    options.died = died(status.as_ref().and_then(|status| status.current_run.as_ref()));
    let options = &options;
    let names = if selection.is_named() {
        selection.names().to_vec()
    } else {
        every(&catalog, status.as_ref(), args.include_retired)
    };
    if names.is_empty() {
        return Err(Refusal::failed(NOTHING));
    }
    let present = Present { status: status.as_ref(), now: clock.now() };
    let mut plans = plan_all(client, source, &facts, &catalog, &names, options, present).await;
    for plan in &mut plans {
        let begun = Instant::now();
        if let Some(backup) = &plan.backup
            && let Err(error) = check_archive(source, &backup.manifest, console, &signals.token()).await
        {
            if is_corrupt(&error) && !from.is_place() {
                let (manifest, problem) = (&backup.manifest, error.to_string());
                let again = Again::of(plan, options, client.url());
                let by = |other| {
                    let command = again.of_other(other).after(TargetState::Untouched);
                    format!("restore {other} instead: {command}")
                };
                let advice =
                    on_record(source.layout(), &catalog, manifest, &problem, begun.elapsed(), clock, by);
                tracing::error!("{}: {}; {}", plan.collection, one_line(&problem), one_line(&advice));
            }
            if let RestoreError::Qdrant(error) = error {
                return Err(refuse(error));
            }
            // Problems in the manifest are already in the plan.
            if !matches!(error, RestoreError::Requires { .. } | RestoreError::Unsupported { .. }) {
                plan.obstacles.push(error);
            }
        }
    }
    if args.json {
        let plans: Vec<_> = plans.iter().map(|plan| as_json(plan, clock.now())).collect();
        let answer = json!({ "dry_run": true, "qdrant_version": facts.version, "plans": plans });
        output::print(&pretty_json(&answer).map_err(Refusal::failed)?)
    } else {
        output::print(&plans_as_text(&facts, &plans, clock))
    }
    .map_err(Refusal::failed)?;
    let possible = plans.iter().filter(|plan| plan.is_possible()).count();
    let there = plans.iter().filter(|plan| plan.is_possible() && plan.is_there).count();
    let skipped = if there > 0 { format!(", {there} already exist and are skipped") } else { String::new() };
    let (can, all) = (possible - there, plans.len() - there);
    let can = if all == 0 {
        "nothing to restore".to_owned()
    } else {
        format!("{can} of {all} collections can be restored")
    };
    let done = format!("{can}{skipped}; nothing on the server was changed");
    // Only a write could test this.
    let done = format!("{done}; whether the API key may restore was not tested");
    if possible == plans.len() {
        tracing::info!("Dry run: {done}");
        Ok(Exit::Success)
    } else {
        tracing::error!("Dry run: {done}");
        Ok(if possible == 0 { Exit::Failed } else { Exit::Partial })
    }
}

fn summarize(report: &RunReport) {
    let Some(operation) = report.operations.iter().find(|part| part.operation == Operation::Restore) else {
        return;
    };
    let total = operation.collections.len();
    let done = operation.collections.iter().filter(|part| part.outcome == Outcome::Success).count();
    let failures: Vec<(&CollectionName, &Failure)> = operation
        .collections
        .iter()
        .filter_map(|part| Some((&part.collection, part.failure.as_ref()?)))
        .collect();
    let why = match (&operation.failure, failures.as_slice()) {
        (Some(failure), _) => failure.message.clone(),
        (None, [(collection, failure)]) => format!("{collection}: {}", failure.message),
        // Each failure was already logged in full.
        (None, several) => {
            let shown =
                several.iter().map(|(collection, failure)| format!("{collection} ({})", failure.kind));
            format!("failed: {}", shown.collect::<Vec<_>>().join(", "))
        }
    };
    let took = operation.duration_seconds;
    let done = if total == 0 && operation.failure.is_some() {
        format!("nothing was restored, in {took:.1} s")
    } else {
        format!("{done} of {total} collections in {took:.1} s")
    };
    match &operation.outcome {
        Outcome::Success if total == 0 => tracing::warn!(
            "Nothing was restored: every collection is already there, as listed above; --force restores over them"
        ),
        Outcome::Success => tracing::info!("Restore succeeded: {done}"),
        other @ (Outcome::Partial | Outcome::Failed | Outcome::Interrupted | Outcome::Other(_)) => {
            tracing::error!("Restore {other}: {done}; {}", one_line(&why))
        }
    }
}
