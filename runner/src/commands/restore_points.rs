//! `qdrant-backup restore --points`: restores points of a backup into an existing collection.

use std::path::Path;
use std::time::Instant;

use qdrant_backup_shared::config_file::keys::DRILL_MAX_SIZE;
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::CollectionReport;
use qdrant_backup_shared::text::{one_line, pretty_json};
use qdrant_backup_shared::{CollectionName, Failure};

use super::compare::{WORDS, destination, failed};
use super::scratch_server::scratch_server;
use super::{Refusal, client, collection, listen, named, repository, target};
use crate::backup::Stages;
use crate::commands::cli::RestoreArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::host::output;
use crate::host::signals::Signals;
use crate::points::{
    AnnouncePlan, BringBackContext, PointsError, SourceOptions, Wanted, WhichPoints, bring_back, read_ids,
};
use crate::session::{Purpose, Session};
use crate::settings::Settings;

/// Restores points, and logs the outcome in the last line.
pub async fn restore_points(
    settings: &Settings,
    args: &RestoreArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    let signals = listen()?;
    let usage = |message: &str| Refusal { exit: Exit::Usage, message: message.to_owned() };
    let [name] = args.collections.as_slice() else {
        return Err(usage("--points needs exactly one --collection"));
    };
    let name = collection(name)?;
    let wanted = wanted(args, &signals)?;
    let into = args.into.as_deref().map(|name| target("--into", &name.to_string_lossy())).transpose();
    let into = into.map_err(|error| usage(&error))?;
    let (scratch, on_source) = scratch_server(settings, args.on_source, WORDS, &signals.token())?;
    repository::open(settings)?;
    let context = BringBackContext {
        scratch: destination(settings, scratch, on_source, console),
        live: client(settings, signals.token())?,
        source: SourceOptions {
            collection: name.clone(),
            max_size_bytes: on_source.then_some(settings.get(&DRILL_MAX_SIZE)),
            allow_version_skew: args.allow_version_skew,
            accept_failed: args.force,
        },
        which: args.which(),
        wanted,
        into,
        dry_run: args.dry_run,
        most_a_second: args.rate,
        announce: announce(args.json),
    };
    // Before the session, so that a misspelled name is not a failed restore.
    if let Some(into) = &context.into
        && named::are_unknown(settings, std::slice::from_ref(into))
        && context.live.collection_info(into).await.is_err_and(|error| error.is_not_found())
    {
        let listed = context.live.collections().await.unwrap_or_default();
        named::on_server(std::slice::from_ref(into), &listed)?;
    }
    let purpose = if args.dry_run { Purpose::Upkeep } else { Purpose::Run };
    let mut held = repository::enter(purpose, settings, "restore", clock, &signals).await?;
    let session = &mut held.session;
    let brought = if args.dry_run {
        bring_back(session, &context, &mut Stages::begin(Stage::Inspect)).await
    } else {
        reported(session, &name, &context).await
    };
    if !args.dry_run {
        drop(held.session.finish());
    }
    let brought = brought.map_err(|error| failed("Restore of points", &error, &signals))?;
    if args.json {
        let text = pretty_json(&brought.json()).map_err(Refusal::failed)?;
        output::print(&text).map_err(Refusal::failed)?;
    }
    brought.check().map_err(|error| failed("Restore of points", &error, &signals))?;
    let what = if args.dry_run { "Dry run" } else { "Restore of points succeeded" };
    tracing::info!("{what}: {}", brought.words());
    Ok(Exit::Success)
}

/// Runs as an operation that is recorded in the status.
async fn reported(
    session: &mut Session,
    name: &CollectionName,
    context: &BringBackContext,
) -> Result<crate::points::BroughtBack, PointsError> {
    let operation = session.begin(Operation::Restore, Stage::Inspect, |_| {});
    let begun = Instant::now();
    let mut report = CollectionReport::new(name.clone(), session.now());
    report.restored_into = Some(context.into.clone().unwrap_or_else(|| name.clone()));
    let mut stages = Stages::begin(Stage::Inspect);
    let brought = bring_back(session, context, &mut stages).await;
    let problem = match &brought {
        Ok(brought) => {
            report.backup_id = Some(brought.plan.backup_id);
            report.points = brought.written.as_ref().map(|written| written.missing + written.changed);
            brought.check().err()
        }
        Err(_) => None,
    };
    let failure = problem
        .as_ref()
        .or(brought.as_ref().err())
        .map(|error| Failure { kind: error.kind(), message: one_line(&error.to_string()) });
    report.stages = stages.finish();
    report.duration_seconds = begun.elapsed().as_secs_f64();
    let interrupted = brought.as_ref().is_err_and(PointsError::is_interrupted);
    if failure.is_some() {
        report.outcome = if interrupted { Outcome::Interrupted } else { Outcome::Failed };
        report.failure.clone_from(&failure);
    }
    session.end(operation, vec![report], failure.filter(|_| interrupted), None);
    brought
}

fn wanted(args: &RestoreArgs, signals: &Signals) -> Result<Wanted, Refusal> {
    let usage = |message: String| Refusal { exit: Exit::Usage, message };
    let which = match (args.ids.as_slice(), &args.filter) {
        ([], None) => WhichPoints::All,
        ([], Some(filter)) => {
            let filter = serde_json::from_str(filter)
                .map_err(|error| usage(format!("--filter is not valid JSON: {error}")))?;
            WhichPoints::Filter(filter)
        }
        (words, _) => WhichPoints::Ids(read_ids(words, &signals.token()).map_err(|error| {
            if error.is_interrupted() {
                return failed("Restore of points", &error, signals);
            }
            let hint = if words.iter().all(|word| Path::new(word).exists()) {
                ""
            } else {
                "; --ids takes point ids, or files of ids"
            };
            Refusal::failed(format!("--ids: {error}{hint}"))
        })?),
    };
    if which == WhichPoints::All && !args.missing && !args.changed {
        return Err(usage(
            "--points needs one of --missing (points that the collection lacks), --changed (overwrite points that differ), --ids or --filter; `qdrant-backup compare` shows the differences"
                .to_owned(),
        ));
    }
    // Nothing is overwritten unless requested.
    Ok(Wanted { which, missing: args.missing || !args.changed, changed: args.changed })
}

/// The plan goes to stdout, or to stderr with `--json`.
fn announce(json: bool) -> AnnouncePlan {
    Box::new(move |plan| {
        let text = plan.text();
        if json {
            text.lines().for_each(|line| tracing::info!("{line}"));
        } else if let Err(error) = output::print(&text) {
            tracing::warn!("the plan cannot be printed: {error}");
        }
    })
}
