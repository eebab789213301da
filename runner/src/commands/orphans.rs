//! `qdrant-backup prune --orphans`: archives without a manifest, listed or deleted.

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;
use qdrant_backup_shared::Layout;
use qdrant_backup_shared::catalog::Orphan;

use super::{Refusal, listen, repository, stopped};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::prune::remove_orphan;
use crate::settings::Settings;
use crate::store::lock::ReadersLock;

/// Lists the orphans without a lock, or deletes them all.
pub async fn orphans(settings: &Settings, yes: bool, clock: Clock) -> Result<Exit, Refusal> {
    let layout = repository::layout(settings);
    repository::open(settings)?;
    if !yes {
        let orphans = read(&layout)?;
        output::print(&table(&orphans)).map_err(Refusal::failed)?;
        if orphans.is_empty() {
            tracing::info!("There are no archives without a manifest");
        } else {
            tracing::info!(
                "Each may be the last copy of its data: `qdrant-backup import FILE` makes a backup of it, \
                 `qdrant-backup prune --orphans --yes` deletes all of them. An archive that a current run \
                 has just written is not an orphan"
            );
        }
        return Ok(Exit::Success);
    }
    let signals = listen()?;
    let _lock = repository::lock(settings, &layout, "prune", clock, &signals).await?;
    let Some(_alone) = ReadersLock::try_exclusive(&layout.readers_file()).map_err(Refusal::failed)? else {
        return Err(busy());
    };
    let orphans = read(&layout)?;
    let mut exit = Exit::Success;
    for orphan in &orphans {
        if signals.received().is_some() {
            return Err(stopped("interrupted by a signal; the other orphans are still there", &signals));
        }
        let (path, size) = (orphan.path.display(), HumanBytes(orphan.size_bytes));
        match remove_orphan(&orphan.path) {
            Ok(()) => tracing::info!("Deleted {path} ({size})"),
            Err(error) => {
                tracing::error!("{path}: cannot be deleted: {error}");
                exit = Exit::Failed;
            }
        }
    }
    if orphans.is_empty() {
        tracing::info!("There are no archives without a manifest");
    }
    Ok(exit)
}

/// The error if archives are being read.
pub fn busy() -> Refusal {
    Refusal {
        exit: Exit::Locked,
        message: "archives are being read (by a restore, a drill, an export or a hold); nothing was deleted"
            .to_owned(),
    }
}

fn read(layout: &Layout) -> Result<Vec<Orphan>, Refusal> {
    Ok(repository::read_catalog(layout)?.orphans)
}

fn table(orphans: &[Orphan]) -> String {
    let rows = orphans.iter().map(|orphan| {
        let modified = orphan.path.metadata().and_then(|metadata| metadata.modified());
        let modified = modified.map_or_else(|_| "?".to_owned(), |at| output::time(DateTime::<Utc>::from(at)));
        vec![orphan.path.display().to_string(), HumanBytes(orphan.size_bytes).to_string(), modified]
    });
    output::table(&["ORPHAN", "SIZE", "WRITTEN"], &[1], rows)
}
