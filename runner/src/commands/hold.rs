//! `qdrant-backup hold` and `unhold`: protect a backup from retention.

use std::fs;

use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::hold::Hold;
use qdrant_backup_shared::{CollectionName, Layout, atomic, json_file, links};

use super::{Refusal, collection, repository};
use crate::commands::cli::{HoldArgs, UnholdArgs};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::settings::Settings;
use crate::store::lock::{LockError, ReadersLock};

/// Puts a backup on hold. Works during a run: it only delays a prune for a moment.
pub fn hold(settings: &Settings, args: &HoldArgs, clock: Clock) -> Result<Exit, Refusal> {
    let (layout, collection) = (repository::layout(settings), collection(&args.collection)?);
    repository::open(settings)?;
    let _shared = share(&layout)?;
    let id = existing(&layout, &collection, &args.backup)?;
    let path = layout.hold(&collection, id);
    let hold = Hold::new(id, clock.now(), args.reason.clone());
    json_file::write(&path, &hold)
        .map_err(|error| Refusal::failed(format!("{}: cannot be written: {error}", path.display())))?;
    tracing::info!("Backup {id} of {collection} is on hold: it is kept until you run `qdrant-backup unhold`");
    Ok(Exit::Success)
}

/// Releases a backup from its hold.
pub fn unhold(settings: &Settings, args: &UnholdArgs) -> Result<Exit, Refusal> {
    let (layout, collection) = (repository::layout(settings), collection(&args.collection)?);
    repository::open(settings)?;
    let _shared = share(&layout)?;
    let id = existing(&layout, &collection, &args.backup)?;
    let path = layout.hold(&collection, id);
    match fs::remove_file(&path) {
        Ok(()) => {
            atomic::sync_directory(&layout.collection(&collection)).map_err(Refusal::failed)?;
            tracing::info!("Backup {id} of {collection} is no longer on hold");
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            tracing::info!("Backup {id} of {collection} was not on hold; nothing changed");
        }
        Err(error) => {
            return Err(Refusal::failed(format!("{}: cannot be removed: {error}", path.display())));
        }
    }
    Ok(Exit::Success)
}

/// Takes the lock of readers, which prevents deletions. Waits for a deletion in progress, which is short.
fn share(layout: &Layout) -> Result<ReadersLock, Refusal> {
    ReadersLock::share(&layout.readers_file()).map_err(|error| match error {
        LockError::Deleting { .. } => {
            Refusal { exit: Exit::Locked, message: format!("{error}; nothing was changed") }
        }
        LockError::Held { .. } | LockError::Io { .. } | LockError::Unsupported { .. } => {
            Refusal::failed(error)
        }
    })
}

fn existing(layout: &Layout, collection: &CollectionName, id: &str) -> Result<BackupId, Refusal> {
    let id: BackupId = id.parse().map_err(Refusal::failed)?;
    let directory = layout.collection(collection);
    links::trusted(layout, &directory)
        .map_err(|error| Refusal::failed(format!("{}: {error}", directory.display())))?;
    let path = layout.manifest(collection, id);
    match path.try_exists() {
        Ok(true) => Ok(id),
        Ok(false) => Err(Refusal::failed(format!(
            "collection \"{collection}\" has no backup {id}; `qdrant-backup list` shows what exists"
        ))),
        Err(error) => Err(Refusal::failed(format!("{}: {error}", path.display()))),
    }
}
