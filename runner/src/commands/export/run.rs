//! The command: selects the backup, and reports the outcome.

use std::time::Instant;

use indicatif::HumanBytes;
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::{Backup, Catalog, Condition};
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::text::one_line;
use tokio_util::sync::CancellationToken;

use super::directory::Directory;
use super::target::{ExportError, Target, copy};
use crate::archive::read::{ArchiveError, Source};
use crate::choice::{Accept, ChoiceError, Present, Which, choose_one};
use crate::commands::cli::ExportArgs;
use crate::commands::exit::Exit;
use crate::commands::from::From;
use crate::commands::{Refusal, collection, corrupt, listen, repository};
use crate::host::clock::Clock;
use crate::host::console::Console;
use crate::host::shell::quoted;
use crate::settings::Settings;
use crate::store::lock::ReadersLock;

/// Writes the snapshots and checks their digests. Takes only the lock of readers, so that it works during a backup.
pub async fn export(
    settings: &Settings,
    args: &ExportArgs,
    clock: Clock,
    console: &Console,
) -> Result<Exit, Refusal> {
    let begun = Instant::now();
    let signals = listen()?;
    let collection = collection(&args.collection)?;
    let from = From::look(settings, &args.from, std::slice::from_ref(&collection), Some(&signals), clock)?;
    let layout = repository::layout(from.settings());
    let source = from.source();
    repository::open(from.settings())?;
    let _lock = ReadersLock::share(&layout.readers_file()).map_err(Refusal::failed)?;
    let catalog = repository::catalog(&layout)?;
    let status = repository::history(&layout);
    let present = Present { status: status.as_ref(), now: clock.now() };
    let backup =
        choose(&catalog, &collection, args.backup, present)?.whole(&layout).map_err(Refusal::failed)?;
    let manifest = &backup.manifest;
    if let Some(requirement) = manifest.unknown_requirement() {
        return Err(Refusal::failed(format!(
            "backup {} requires \"{requirement}\", which this version does not know",
            manifest.backup_id
        )));
    }
    let exported = if manifest.is_by_shard() {
        shards(&source, manifest, args, console, &signals.token())?
    } else {
        snapshot(&source, manifest, args, console, &signals.token())?
    };
    let Err(Failed { error, problem }) = exported else { return Ok(Exit::Success) };
    let exit = match &error {
        ExportError::Interrupted => signals.received().map_or(Exit::Failed, Exit::Interrupted),
        ExportError::Mismatch | ExportError::Archive(ArchiveError::Corrupt { .. }) => {
            Exit::VerificationFailed
        }
        ExportError::Archive(_) | ExportError::Write { .. } => Exit::Failed,
    };
    let mut message = format!("export of {collection} {} failed: {problem}", manifest.backup_id);
    if exit == Exit::VerificationFailed && !from.is_place() {
        let again = |other| {
            let (collection, output) = (collection.as_str(), args.output.display().to_string());
            format!(
                "export {other} instead: `qdrant-backup export --collection {} --backup {other} -o {}{}`",
                quoted(collection),
                quoted(&output),
                settings.shown_options()
            )
        };
        let took = begun.elapsed();
        let advice = corrupt::on_record(&layout, &catalog, manifest, &problem, took, clock, again);
        message = format!("{message}; {advice}");
    }
    Err(Refusal { exit, message })
}

/// A failed export, with advice.
struct Failed {
    error: ExportError,
    problem: String,
}

/// The one snapshot of a backup to a file or to stdout.
fn snapshot(
    source: &Source,
    manifest: &Manifest,
    args: &ExportArgs,
    console: &Console,
    interrupt: &CancellationToken,
) -> Result<Result<(), Failed>, Refusal> {
    let [archive] = manifest.archives.as_slice() else {
        return Err(Refusal::failed(format!(
            "backup {} has {} archives, one for each node; export takes one snapshot",
            manifest.backup_id,
            manifest.archives.len()
        )));
    };
    let target = Target::open(&args.output, args.force)?;
    let bar = console.transfer(&manifest.collection, archive.stored.size_bytes);
    let copied = copy(source, manifest, archive, target, &|bytes| bar.set_position(bytes), interrupt);
    bar.finish_and_clear();
    Ok(match copied {
        Ok(to) => {
            tracing::info!(
                "Exported {} {} to {to}: {}, digest matches the manifest ({})",
                manifest.collection,
                manifest.backup_id,
                HumanBytes(archive.snapshot.size_bytes),
                archive.snapshot.sha256
            );
            Ok(())
        }
        Err(error) => Err(Failed { problem: error.to_string(), error }),
    })
}

/// The snapshots of all shards of a backup to a directory.
fn shards(
    source: &Source,
    manifest: &Manifest,
    args: &ExportArgs,
    console: &Console,
    interrupt: &CancellationToken,
) -> Result<Result<(), Failed>, Refusal> {
    let directory = Directory::open(&args.output, manifest)?;
    let bar = console.transfer(&manifest.collection, manifest.stored_size_bytes());
    let filled = directory.fill(source, manifest, &bar, interrupt);
    bar.finish_and_clear();
    Ok(match filled {
        Ok(()) => {
            tracing::info!(
                "Exported {} {} to {}: {} in {} shards, digests match the manifest; README.md there explains how to restore it by hand",
                manifest.collection,
                manifest.backup_id,
                args.output.display(),
                HumanBytes(manifest.snapshot_size_bytes()),
                manifest.archives.len()
            );
            Ok(())
        }
        Err(error) => Err(Failed { problem: error.to_string(), error: error.error }),
    })
}

/// The selected backup.
fn choose<'c>(
    catalog: &'c Catalog,
    collection: &CollectionName,
    which: Which,
    present: Present<'_>,
) -> Result<&'c Backup, Refusal> {
    let backups = catalog.collections.get(collection).map(Vec::as_slice).unwrap_or_default();
    let chosen = choose_one(backups, which, Accept::Named, present).map_err(|error| match error {
        ChoiceError::None => Refusal::failed(format!(
            "there is no backup of collection \"{collection}\"; `qdrant-backup list` shows what exists"
        )),
        ChoiceError::NoneFits { .. } => Refusal::failed(format!(
            "collection \"{collection}\": {error}; to export one anyway, give its id with --backup"
        )),
        ChoiceError::NoSuchId(_)
        | ChoiceError::OffsiteOnly { .. }
        | ChoiceError::Incomplete { .. }
        | ChoiceError::Failed { .. } => Refusal::failed(format!("collection \"{collection}\": {error}")),
    })?;
    if chosen.condition() == Condition::Failed {
        tracing::warn!(
            "Backup {} of {collection} has failed verification; `qdrant-backup list` shows others",
            chosen.backup_id
        );
    }
    if chosen.condition() == Condition::Unknown {
        tracing::warn!(
            "Backup {} of {collection} is not known to be good: {}; check it with `qdrant-backup verify`",
            chosen.backup_id,
            one_line(chosen.remarks().unknown.as_deref().unwrap_or_default())
        );
    }
    Ok(chosen)
}
