//! `qdrant-backup prune --retire NAME`: lets a collection go that is gone from the server.

use std::fs;

use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::status::PrunedBackup;
use qdrant_backup_shared::{CollectionName, Layout, Status};

use super::orphans::busy;
use super::{Refusal, place};
use crate::clock::Clock;
use crate::exit::Exit;
use crate::lock::ReadersLock;
use crate::prune::{Deletion, source_changed};
use crate::settings::Settings;
use crate::status_store::StatusStore;

/// Takes the collection out of the status, so that nothing is expected of it any more; its backups stay. With `yes` they are
/// deleted, all of them.
pub async fn retire(settings: &Settings, name: &str, yes: bool, clock: Clock) -> Result<Exit, Refusal> {
    let name =
        CollectionName::new(name).map_err(|error| Refusal::configuration(format!("--retire: {error}")))?;
    let layout = place::layout(settings);
    place::open(&layout)?;
    place::make_state_directory(&layout)?;
    let _lock = place::lock(settings, &layout, "prune", clock).await?;
    let alone = ReadersLock::try_exclusive(&layout.readers_file()).map_err(Refusal::failed)?;
    let catalog = Catalog::read(&layout).map_err(Refusal::failed)?;
    let (mut store, warnings) = StatusStore::open(&layout, &catalog, &place::hostname(), clock.now());
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let backups = catalog.collections.get(&name).map_or(&[][..], Vec::as_slice);
    check_gone(store.get(), &name)?;
    if yes {
        if alone.is_none() {
            return Err(busy());
        }
        check_free(backups)?;
        delete(&layout, &mut store, backups)?;
        drop(fs::remove_dir(layout.collection(&name)));
        store
            .update(|status| {
                status.collections.remove(&name);
                status.retired_collections.remove(&name);
            })
            .map_err(Refusal::failed)?;
        tracing::info!("Retired {name}: all its {} backups are deleted", backups.len());
    } else {
        store
            .update(|status| {
                status.collections.remove(&name);
                if !backups.is_empty() {
                    status.retired_collections.insert(name.clone());
                }
            })
            .map_err(Refusal::failed)?;
        let bytes = backups.iter().map(|backup| backup.manifest.stored_size_bytes()).sum();
        tracing::info!(
            "Retired {name}: no backup of it is expected any more. Its {} backups ({}) are kept; \
             `qdrant-backup prune --retire NAME --yes` deletes them all",
            backups.len(),
            HumanBytes(bytes)
        );
    }
    Ok(Exit::Success)
}

/// Only what the last look at the right server did not see may go.
fn check_gone(status: &Status, name: &CollectionName) -> Result<(), Refusal> {
    if status.source_changed {
        return Err(Refusal::failed(source_changed()));
    }
    if status.retired_collections.contains(name) {
        return Ok(());
    }
    match status.collections.get(name).map(|entry| entry.on_server) {
        Some(Some(false)) => Ok(()),
        Some(Some(true)) => Err(Refusal::failed(format!(
            "collection \"{name}\" was on the server when it was last backed up, so it is not retired"
        ))),
        Some(None) => Err(Refusal::failed(format!(
            "it is not known whether collection \"{name}\" is gone from the server: call `qdrant-backup backup` (of all collections, \
             this one not excluded) first"
        ))),
        None => Err(Refusal::failed(format!(
            "no collection \"{name}\" is known to be gone from the server; `--retire` takes the exact name"
        ))),
    }
}

/// Refuses when something keeps a backup from being deleted by anybody.
fn check_free(backups: &[Backup]) -> Result<(), Refusal> {
    for backup in backups {
        let id = backup.manifest.backup_id;
        if backup.hold.is_some() {
            return Err(Refusal::failed(format!(
                "backup {id} is on hold; `qdrant-backup unhold` releases it. Nothing was deleted"
            )));
        }
        if let Some(requirement) = backup.manifest.unknown_requirement() {
            return Err(Refusal::failed(format!(
                "backup {id} requires {requirement:?}, which this version does not know. Nothing was deleted"
            )));
        }
    }
    Ok(())
}

/// Deletes as prune does: noted first, newest first, so that whatever needs another one goes before it.
fn delete(layout: &Layout, store: &mut StatusStore, backups: &[Backup]) -> Result<(), Refusal> {
    let noted = backups.iter().map(|backup| PrunedBackup {
        collection: backup.manifest.collection.clone(),
        backup_id: backup.manifest.backup_id,
    });
    match store.update(|status| status.pruning.extend(noted)) {
        // What is deleted makes the room.
        Err(error) if error.lacks_room() => tracing::warn!("{error}"),
        noted => noted.map_err(Refusal::failed)?,
    }
    for backup in backups.iter().rev() {
        let id = backup.manifest.backup_id;
        Deletion::of(layout, &backup.manifest)
            .perform()
            .map_err(|error| Refusal::failed(format!("deleting backup {id}: {error}")))?;
        tracing::info!(
            "Deleted backup {id} of {} ({})",
            backup.manifest.collection,
            HumanBytes(backup.manifest.stored_size_bytes())
        );
    }
    store.amend(|status| {
        status.pruning.retain(|noted| {
            !backups.iter().any(|backup| {
                backup.manifest.backup_id == noted.backup_id && backup.manifest.collection == noted.collection
            })
        });
    });
    Ok(())
}
