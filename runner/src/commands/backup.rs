//! `qdrant-backup backup`.

use std::num::NonZeroU8;
use std::time::Duration;

use indicatif::HumanBytes;
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::config_file;
use qdrant_backup_shared::config_file::keys::{
    CLUSTER_TIMEOUT, COMPRESSION, INCLUDE_FILES, JOBS, KEEP_DAYS, KEEP_SERVER_SNAPSHOTS, LIMIT_RATE, RETRIES,
    WAIT_FOR_SERVER,
};
use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::run_report::OperationReport;
use qdrant_backup_shared::text::one_line;

use super::scheduled::{Done, scheduled};
use super::{Refusal, client, exit, listen, named, print_report, repository, selection};
use crate::archive::write::{Compression, Throttle};
use crate::backup::{BackupContext, BackupOptions, back_up};
use crate::commands::cli::BackupArgs;
use crate::commands::exit::Exit;
use crate::commands::notify::Notifier;
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::session::Purpose;
use crate::settings::Settings;

/// Backs up, and logs the outcome in the last line. A backup of everything may be scheduled and notifies others; a backup of
/// selected collections does not.
pub async fn backup(
    settings: &Settings,
    args: &BackupArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    if !args.collections.is_empty() {
        return work(settings, args, clock, console, None).await.map(|done| done.exit);
    }
    scheduled(settings, "backup", async |notifier| work(settings, args, clock, console, Some(notifier)).await)
        .await
}

async fn work(
    settings: &Settings,
    args: &BackupArgs,
    clock: Clock,
    console: &Console,
    notifier: Option<&mut Notifier>,
) -> Result<Done, Refusal> {
    let signals = listen()?;
    let names = selection(&args.collections)?.names().to_vec();
    let client = client(settings, signals.token())?;
    // Before the session, so that a misspelled name is not a failed backup. Errors of the server are.
    if !names.is_empty()
        && named::are_unknown(settings, &names)
        && let Ok(listed) = client.collections().await
    {
        named::on_server(&names, &listed)?;
    }
    let mut held = repository::enter(Purpose::Run, settings, "backup", clock, &signals).await?;
    if let Some(notifier) = notifier {
        notifier.started();
    }
    let session = &mut held.session;
    let context =
        BackupContext { client, console: console.clone(), options: options(settings, names, clock) };
    back_up(session, &context).await;
    let finished = held.session.finish();
    if args.json {
        print_report(&finished)?;
    }
    for operation in &finished.report.operations {
        summarize(operation);
    }
    let exit = exit(&finished, signals.received())?;
    Ok(Done { exit, report: finished.report })
}

/// The backup options from the settings, for the collections `named` (if empty, for all selected ones).
pub(super) fn options(settings: &Settings, named: Vec<CollectionName>, clock: Clock) -> BackupOptions {
    BackupOptions {
        include_files: settings.get(&INCLUDE_FILES).into_iter().map(|pattern| pattern.value).collect(),
        compression: match settings.get(&COMPRESSION) {
            config_file::Compression::Gzip => Compression::Gzip,
            config_file::Compression::Zstd => Compression::Zstd,
            config_file::Compression::None => Compression::None,
        },
        keep_server_snapshots: settings.get(&KEEP_SERVER_SNAPSHOTS),
        jobs: settings.get(&JOBS).unwrap_or(NonZeroU8::MIN),
        cluster_timeout: settings.get(&CLUSTER_TIMEOUT),
        nodes: settings.qdrant.nodes.clone(),
        throttle: Throttle::new(settings.get(&LIMIT_RATE)),
        retries: settings.get(&RETRIES),
        // If a collection is given by name, a person is waiting.
        wait_for_server: if named.is_empty() { settings.get(&WAIT_FOR_SERVER) } else { Duration::ZERO },
        schedule_interval: settings.schedule.as_ref().map(|schedule| schedule.longest_gap(clock.now())),
        retention: settings.get(&KEEP_DAYS).map(|days| Duration::from_secs(u64::from(days.get()) * 86_400)),
        selection: settings.selection.clone().naming(named),
    }
}

/// Logs the outcome of the backup in one line.
pub(super) fn summarize(operation: &OperationReport) {
    let total = operation.collections.len();
    let succeeded =
        operation.collections.iter().filter(|collection| collection.outcome == Outcome::Success).count();
    let stored: u64 =
        operation.collections.iter().filter_map(|collection| collection.stored_size_bytes).sum();
    let took = operation.duration_seconds;
    let done = if total == 0 && operation.failure.is_some() {
        format!("nothing was backed up ({took:.1} s)")
    } else {
        format!("{succeeded} of {total} collections, {} stored, in {took:.1} s", HumanBytes(stored))
    };
    let failed: Vec<String> = operation
        .collections
        .iter()
        .filter_map(|collection| {
            Some(format!("{} ({})", collection.collection, collection.failure.as_ref()?.kind))
        })
        .collect();
    match &operation.outcome {
        Outcome::Success => tracing::info!("Backup succeeded: {done}"),
        Outcome::Interrupted => tracing::error!("Backup interrupted by a signal: {done}"),
        Outcome::Partial | Outcome::Failed | Outcome::Other(_) => {
            let why = operation.failure.as_ref().map(|failure| failure.message.clone());
            let why = why.unwrap_or_else(|| format!("failed: {}", failed.join(", ")));
            tracing::error!("Backup {}: {done}; {}", operation.outcome, one_line(&why));
        }
    }
}
