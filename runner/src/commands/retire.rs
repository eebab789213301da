//! `qdrant-backup prune --retire NAME...`: lets collections go that are gone from the server.

use std::collections::BTreeSet;
use std::fs;

use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::status::PrunedBackup;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{CollectionName, Layout, Status};

use super::orphans::busy;
use super::{Refusal, client, listen, place};
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::prune::{Deletion, source_changed};
use crate::session::status_store::StatusStore;
use crate::settings::{Globs, Settings};
use crate::store::lock::ReadersLock;

/// Takes the collections that `patterns` name out of the status, so that nothing is expected of them any more; their backups
/// stay. With `yes` they are deleted, all of them. The server is asked first, whether it really has none of them.
pub async fn retire(
    settings: &Settings,
    patterns: &[String],
    yes: bool,
    clock: Clock,
) -> Result<Exit, Refusal> {
    let patterns = patterns.iter().map(|text| Pattern::read(text)).collect::<Result<Vec<_>, _>>()?;
    let signals = listen()?;
    let server = client(settings, signals.token())?;
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
    if store.get().source_changed {
        return Err(Refusal::failed(source_changed()));
    }
    let listed = match server.collections().await {
        Ok(listed) => Some(listed),
        Err(error) if signals.received().is_some() => return Err(Refusal::failed(error)),
        Err(error) => {
            tracing::warn!("{error}; so only what the last full backup did not find there can be retired");
            None
        }
    };
    let names = chosen(&patterns, &catalog, store.get(), listed.as_deref())?;
    let backups = |name: &CollectionName| catalog.collections.get(name).map_or(&[][..], Vec::as_slice);
    if yes {
        if alone.is_none() {
            return Err(busy());
        }
        for name in &names {
            check_known_gone(store.get(), name, listed.as_deref())?;
            check_free(backups(name))?;
        }
    }
    for name in &names {
        if yes {
            delete_all(&layout, &mut store, name, backups(name))?;
        } else {
            set_aside(&mut store, name, backups(name))?;
        }
    }
    Ok(Exit::Success)
}

/// What `--retire` was given: a name, or a glob over names.
struct Pattern<'a> {
    text: &'a str,
    globs: Globs,
}

impl<'a> Pattern<'a> {
    fn read(text: &'a str) -> Result<Self, Refusal> {
        let refuse = |why: String| Refusal::configuration(format!("--retire: {}: {why}", one_line(text)));
        if text.is_empty() {
            return Err(refuse("a collection name cannot be empty".to_owned()));
        }
        let globs = Globs::compile(vec![text.to_owned()])
            .or_else(|_| Globs::compile(vec![escaped(text)]))
            .map_err(|problems| refuse(problems.into_iter().map(|(_, problem)| problem).collect()))?;
        Ok(Self { text, globs })
    }
}

/// A text that as a glob matches only itself.
fn escaped(text: &str) -> String {
    text.chars()
        .map(
            |character| {
                if "*?[]{}!\\".contains(character) { format!("[{character}]") } else { character.to_string() }
            },
        )
        .collect()
}

/// The collections that the patterns name and that are gone. A name has to be gone; of what a glob matches, what is there stays.
fn chosen(
    patterns: &[Pattern<'_>],
    catalog: &Catalog,
    status: &Status,
    listed: Option<&[CollectionName]>,
) -> Result<BTreeSet<CollectionName>, Refusal> {
    let known: BTreeSet<&CollectionName> = catalog
        .collection_names()
        .chain(status.collections.keys().filter(|name| !name.is_files()))
        .chain(&status.retired_collections)
        .collect();
    let mut chosen = BTreeSet::new();
    for pattern in patterns {
        if let Some(exact) = known.iter().find(|name| name.as_str() == pattern.text) {
            check_gone(status, exact, listed)?;
            chosen.insert((*exact).clone());
            continue;
        }
        let (gone, there): (Vec<&CollectionName>, Vec<&CollectionName>) = known
            .iter()
            .copied()
            .filter(|name| pattern.globs.matches(name.as_str()))
            .partition(|name| check_gone(status, name, listed).is_ok());
        if gone.is_empty() {
            let there = if there.is_empty() {
                "`--retire` takes names and globs".to_owned()
            } else {
                format!("of what it matches, {} are on the server or may be", there.len())
            };
            return Err(Refusal::failed(format!(
                "no collection \"{}\" is known to be gone from the server; {there}",
                one_line(pattern.text)
            )));
        }
        if !there.is_empty() {
            tracing::info!(
                "Not retired, because they are on the server or may be: {} of what \"{}\" matches",
                there.len(),
                one_line(pattern.text)
            );
        }
        chosen.extend(gone.into_iter().cloned());
    }
    Ok(chosen)
}

/// Takes one collection out of the status.
fn set_aside(store: &mut StatusStore, name: &CollectionName, backups: &[Backup]) -> Result<(), Refusal> {
    store
        .update(|status| {
            status.collections.remove(name);
            if !backups.is_empty() {
                status.retired_collections.insert(name.clone());
            }
        })
        .map_err(Refusal::failed)?;
    let bytes = backups.iter().map(|backup| backup.stored_size_bytes()).sum();
    tracing::info!(
        "Retired {name}: no backup of it is expected any more. Its {} backups ({}) are kept; \
         `qdrant-backup prune --retire NAME --yes` deletes them all",
        backups.len(),
        HumanBytes(bytes)
    );
    Ok(())
}

/// Deletes every backup of one collection.
fn delete_all(
    layout: &Layout,
    store: &mut StatusStore,
    name: &CollectionName,
    backups: &[Backup],
) -> Result<(), Refusal> {
    delete(layout, store, backups)?;
    drop(fs::remove_dir(layout.collection(name)));
    store
        .update(|status| {
            status.collections.remove(name);
            status.retired_collections.remove(name);
        })
        .map_err(Refusal::failed)?;
    tracing::info!("Retired {name}: all its {} backups are deleted", backups.len());
    Ok(())
}

/// Only what the server does not list may go; where it does not answer, what the last look at it did not see.
fn check_gone(
    status: &Status,
    name: &CollectionName,
    listed: Option<&[CollectionName]>,
) -> Result<(), Refusal> {
    match listed {
        Some(listed) if listed.contains(name) => {
            return Err(Refusal::failed(format!(
                "collection \"{name}\" is on the server, so it is not retired"
            )));
        }
        Some(_) => return Ok(()),
        None => {}
    }
    if status.retired_collections.contains(name) {
        return Ok(());
    }
    match status.collections.get(name).map(|entry| entry.on_server) {
        Some(Some(false)) => Ok(()),
        Some(Some(true)) => Err(Refusal::failed(format!(
            "collection \"{name}\" was on the server when it was last backed up, so it is not retired"
        ))),
        Some(None) | None => Err(Refusal::failed(format!(
            "it is not known whether collection \"{name}\" is gone from the server: try again when it answers"
        ))),
    }
}

/// A server that lists nothing at all may be the wrong one. Nothing is deleted on its word alone.
fn check_known_gone(
    status: &Status,
    name: &CollectionName,
    listed: Option<&[CollectionName]>,
) -> Result<(), Refusal> {
    let known = status.retired_collections.contains(name)
        || status.collections.get(name).is_some_and(|entry| entry.on_server == Some(false));
    if known || listed.is_some_and(|listed| !listed.is_empty()) {
        return Ok(());
    }
    Err(Refusal::failed(format!(
        "the server lists no collection at all, and \"{name}\" was not retired yet: is it the right server? Call it without --yes \
         first. Nothing was deleted"
    )))
}

/// Refuses when something keeps a backup from being deleted by anybody.
fn check_free(backups: &[Backup]) -> Result<(), Refusal> {
    for backup in backups {
        let id = backup.backup_id;
        if backup.remarks().hold.is_some() {
            return Err(Refusal::failed(format!(
                "backup {id} is on hold; `qdrant-backup unhold` releases it. Nothing was deleted"
            )));
        }
        if let Some(requirement) = &backup.remarks().requires {
            return Err(Refusal::failed(format!(
                "backup {id} requires {requirement:?}, which this version does not know. Nothing was deleted"
            )));
        }
    }
    Ok(())
}

/// Deletes as prune does: noted first, newest first, so that whatever needs another one goes before it.
pub(super) fn delete(layout: &Layout, store: &mut StatusStore, backups: &[Backup]) -> Result<(), Refusal> {
    let noted = backups
        .iter()
        .map(|backup| PrunedBackup { collection: (*backup.collection).clone(), backup_id: backup.backup_id });
    match store.update(|status| status.pruning.extend(noted)) {
        // What is deleted makes the room.
        Err(error) if error.lacks_room() => tracing::warn!("{error}"),
        noted => noted.map_err(Refusal::failed)?,
    }
    for backup in backups.iter().rev() {
        let id = backup.backup_id;
        Deletion::of(layout, backup)
            .perform()
            .map_err(|error| Refusal::failed(format!("deleting backup {id}: {error}")))?;
        tracing::info!(
            "Deleted backup {id} of {} ({})",
            backup.collection,
            HumanBytes(backup.stored_size_bytes())
        );
    }
    store.amend(|status| {
        status.pruning.retain(|noted| {
            !backups
                .iter()
                .any(|backup| backup.backup_id == noted.backup_id && *backup.collection == noted.collection)
        });
    });
    Ok(())
}
