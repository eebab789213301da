//! `qdrant-backup prune`: applies retention, or shows what it would do.

use indicatif::HumanBytes;
use qdrant_backup_shared::config_file::keys::GONE_AFTER_DAYS;
use qdrant_backup_shared::operation::{Fate, Operation, Outcome};
use qdrant_backup_shared::run_report::{CollectionReport, OperationReport, RunReport};
use qdrant_backup_shared::text::{number_of, one_line, pretty_json};
use qdrant_backup_shared::{Failure, FailureKind, Layout};
use tokio_util::sync::CancellationToken;

use super::bad::how_many;
use super::{Refusal, bad, exit, leftovers, listen, orphans, print_report, repository, retire, selection};
use crate::commands::cli::PruneArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::prune::retention::Policies;
use crate::prune::{PruneContext, flaw, plan_all, prune as apply, source_changed};
use crate::session::Purpose;
use crate::session::status_store;
use crate::settings::Settings;

/// Does what the options say.
pub async fn prune(settings: &Settings, args: &PruneArgs, clock: Clock) -> Result<Exit, Refusal> {
    if args.orphans {
        orphans::orphans(settings, args.yes, clock).await
    } else if args.server_leftovers {
        leftovers::server_leftovers(settings, args.yes, clock).await
    } else if args.bad {
        bad::bad(settings, args, clock).await
    } else if !args.retire.is_empty() {
        retire::retire(settings, &args.retire, args.yes, clock).await
    } else {
        retention(settings, args, clock).await
    }
}

async fn retention(settings: &Settings, args: &PruneArgs, clock: Clock) -> Result<Exit, Refusal> {
    let mut context = PruneContext {
        policies: Policies::from_settings(settings).map_err(Refusal::configuration)?,
        gone_after_days: settings.get(&GONE_AFTER_DAYS),
        places: settings.places(),
        selection: selection(&args.collections)?,
        yes: args.yes,
        interrupt: CancellationToken::new(),
    };
    let layout = repository::layout(settings);
    repository::open(settings)?;
    if args.dry_run {
        return dry_run(&layout, &context, args.json, clock);
    }
    let signals = listen()?;
    context.interrupt = signals.token();
    let mut held = repository::enter(Purpose::Run, settings, "prune", clock, &signals).await?;
    let session = &mut held.session;
    apply(session, &context);
    let finished = held.session.finish();
    if args.json {
        print_report(&finished)?;
    }
    for operation in &finished.report.operations {
        if !args.json {
            output::print(&table(&operation.collections)).map_err(Refusal::failed)?;
        }
        summarize(operation);
    }
    exit(&finished, signals.received())
}

/// Prints what a prune would do now. Takes no lock and writes nothing, so it works during a run.
fn dry_run(layout: &Layout, context: &PruneContext, json: bool, clock: Clock) -> Result<Exit, Refusal> {
    let catalog = repository::catalog(layout)?;
    let status = status_store::look(layout).unwrap_or_else(|error| {
        tracing::warn!("{error}; reasons not to prune that it may contain are unknown");
        None
    });
    let started_at = clock.now();
    let mut report = RunReport {
        run_id: uuid::Uuid::new_v4().to_string(),
        command: "prune --dry-run".to_owned(),
        started_at,
        completed_at: started_at,
        duration_seconds: 0.0,
        outcome: Outcome::Success,
        operations: Vec::new(),
        warnings: Vec::new(),
    };
    if status.as_ref().is_some_and(|status| status.source_changed) {
        report.warnings.push(source_changed());
    }
    let mut collections = Vec::new();
    for plan in plan_all(context, &catalog, status.as_ref(), started_at) {
        let mut collection = CollectionReport::new(plan.collection, started_at);
        collection.fates = plan.fates;
        if let Some(withheld) = plan.withheld {
            report.warnings.push(format!("\"{}\" would not be pruned: {withheld}", collection.collection));
            if withheld.is_failure() {
                let message = one_line(&withheld.to_string());
                collection.outcome = Outcome::Failed;
                collection.failure = Some(Failure { kind: FailureKind::PruneRefused, message });
            }
        }
        collections.push(collection);
    }
    let wanted = catalog.collections.iter().filter(|(name, _)| context.selection.includes(name));
    let bad = wanted.flat_map(|(_, backups)| backups).filter(|backup| flaw(backup).is_some()).count();
    if bad > 0 {
        report
            .warnings
            .push(format!("{}; `qdrant-backup prune --bad` lists and deletes them", how_many(bad)));
    }
    for warning in &report.warnings {
        tracing::warn!("{warning}");
    }
    let going = tally(&collections, &Fate::Delete);
    if json {
        report.operations.push(OperationReport {
            operation: Operation::Prune,
            qdrant_version: None,
            started_at,
            completed_at: started_at,
            duration_seconds: 0.0,
            outcome: Outcome::Success,
            failure: None,
            collections,
            places: Vec::new(),
            left_out: None,
        });
        let text = pretty_json(&report).map_err(Refusal::failed)?;
        output::print(&text).map_err(Refusal::failed)?;
    } else {
        output::print(&table(&collections)).map_err(Refusal::failed)?;
    }
    tracing::info!("Dry run: {going} have expired; nothing was deleted");
    Ok(Exit::Success)
}

fn table(collections: &[CollectionReport]) -> String {
    let rows = collections.iter().flat_map(|collection| {
        collection.fates.iter().map(|fate| {
            vec![
                collection.collection.to_string(),
                fate.backup_id.to_string(),
                HumanBytes(fate.stored_size_bytes).to_string(),
                fate.fate.to_string(),
                one_line(&fate.reasons.join("; ")),
            ]
        })
    });
    output::table(&["COLLECTION", "BACKUP", "STORED", "FATE", "REASONS"], &[2], rows)
}

/// Number and size of the backups with `fate`.
fn tally(collections: &[CollectionReport], fate: &Fate) -> String {
    let all: Vec<u64> = collections
        .iter()
        .flat_map(|collection| &collection.fates)
        .filter(|decided| decided.fate == *fate)
        .map(|decided| decided.stored_size_bytes)
        .collect();
    format!("{} ({})", number_of(all.len(), "backup"), HumanBytes(all.iter().sum()))
}

/// Logs the outcome of the prune in one line.
pub fn summarize(operation: &OperationReport) {
    let collections = &operation.collections;
    let deleted = tally(collections, &Fate::Deleted);
    let kept = tally(collections, &Fate::Keep);
    let failed: Vec<String> = collections
        .iter()
        .filter_map(|collection| {
            Some(format!("{} ({})", collection.collection, collection.failure.as_ref()?.kind))
        })
        .collect();
    match &operation.outcome {
        Outcome::Success => tracing::info!("Prune succeeded: deleted {deleted}, kept {kept}"),
        Outcome::Interrupted => tracing::error!("Prune interrupted by a signal: deleted {deleted}"),
        Outcome::Partial | Outcome::Failed | Outcome::Other(_) => {
            let why = operation.failure.as_ref().map(|failure| failure.message.clone());
            let why = why.unwrap_or_else(|| format!("failed: {}", failed.join(", ")));
            tracing::error!("Prune {}: deleted {deleted}; {}", operation.outcome, one_line(&why));
        }
    }
}
