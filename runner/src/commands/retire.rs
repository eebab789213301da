//! `qdrant-backup prune --retire NAME...`: retires collections that were deleted on the server.

use std::collections::BTreeSet;
use std::fs;

use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::status::PrunedBackup;
use qdrant_backup_shared::text::{number_of, one_line};
use qdrant_backup_shared::{CollectionName, Layout, Status};

use super::orphans::busy;
use super::{Refusal, client, listen, repository, stopped};
use crate::choice::Globs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::signals::Signals;
use crate::prune::{Deletion, source_changed};
use crate::qdrant::Client;
use crate::session::{Purpose, Session};
use crate::settings::Settings;
use crate::store::lock::ReadersLock;

/// Marks the collections `names` as retired, so that no backups are expected. Their backups are kept, or with `yes` all deleted.
/// Checks first that they are not on the server.
pub async fn retire(settings: &Settings, names: &[String], yes: bool, clock: Clock) -> Result<Exit, Refusal> {
    let patterns = patterns(names)?;
    let signals = listen()?;
    let server = client(settings, signals.token())?;
    let mut held = repository::enter(Purpose::Upkeep, settings, "prune", clock, &signals).await?;
    let session = &mut held.session;
    // Read after taking the lock, because `hold` shares it.
    let alone = ReadersLock::try_exclusive(&session.layout().readers_file()).map_err(Refusal::failed)?;
    session.read_again().map_err(Refusal::failed)?;
    if session.status().source_changed {
        return Err(Refusal::failed(source_changed()));
    }
    let mut is_source = false;
    let listed = match server.collections().await {
        Ok(listed) => {
            is_source = is_source_of(session, &server, &listed).await?;
            Some(listed)
        }
        Err(error) if signals.received().is_some() => return Err(stopped(error, &signals)),
        Err(error) => {
            tracing::warn!(
                "{error}; only collections that the last full backup did not find there can be retired"
            );
            None
        }
    };
    let names = chosen(&patterns, session.catalog(), session.status(), listed.as_deref())?;
    if yes {
        if alone.is_none() {
            return Err(busy());
        }
        for name in &names {
            check_known_gone(session.status(), name, is_source)?;
            check_free(backups(session, name))?;
        }
    }
    for name in &names {
        let backups = backups(session, name).to_vec();
        if yes {
            delete_all(session, name, &backups, &signals)?;
        } else {
            set_aside(session, name, &backups)?;
        }
    }
    Ok(Exit::Success)
}

fn backups<'s>(session: &'s Session, name: &CollectionName) -> &'s [Backup] {
    session.catalog().collections.get(name).map_or(&[], Vec::as_slice)
}

/// The arguments of `--retire`: names or globs.
fn patterns(texts: &[String]) -> Result<Vec<(&str, Globs)>, Refusal> {
    let read = |text: &str| {
        Globs::of_name_or_glob(text)
            .map_err(|why| Refusal::configuration(format!("--retire: {}: {why}", one_line(text))))
    };
    texts.iter().map(|text| Ok((text.as_str(), read(text)?))).collect()
}

/// The matching collections that do not exist on the server. An exact name must not exist; a glob ignores existing
/// collections.
fn chosen(
    patterns: &[(&str, Globs)],
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
    for (text, globs) in patterns {
        if let Some(exact) = known.iter().find(|name| name.as_str() == *text) {
            check_gone(status, exact, listed)?;
            chosen.insert((*exact).clone());
            continue;
        }
        let (gone, there): (Vec<&CollectionName>, Vec<&CollectionName>) = known
            .iter()
            .copied()
            .filter(|name| globs.matches(name.as_str()))
            .partition(|name| check_gone(status, name, listed).is_ok());
        if gone.is_empty() {
            let there = if there.is_empty() {
                "`--retire` takes names and globs".to_owned()
            } else {
                format!("collections that match but are, or may be, on the server: {}", there.len())
            };
            return Err(Refusal::failed(format!(
                "no collection \"{}\" is known to be gone from the server; {there}",
                one_line(text)
            )));
        }
        if !there.is_empty() {
            tracing::info!(
                "Not retired, because they are, or may be, on the server: {} collections that match \"{}\"",
                there.len(),
                one_line(text)
            );
        }
        chosen.extend(gone.into_iter().cloned());
    }
    Ok(chosen)
}

/// Retires one collection.
fn set_aside(session: &mut Session, name: &CollectionName, backups: &[Backup]) -> Result<(), Refusal> {
    session
        .record(|status| {
            status.collections.remove(name);
            if !backups.is_empty() {
                status.retired_collections.insert(name.clone());
            }
        })
        .map_err(Refusal::failed)?;
    let bytes = backups.iter().map(|backup| backup.stored_size_bytes()).sum();
    tracing::info!(
        "Retired {name}: no new backups of it are expected. Its {} backups ({}) are kept; `qdrant-backup \
         prune --retire NAME --yes` deletes them all",
        backups.len(),
        HumanBytes(bytes)
    );
    Ok(())
}

/// Deletes every backup of one collection.
fn delete_all(
    session: &mut Session,
    name: &CollectionName,
    backups: &[Backup],
    signals: &Signals,
) -> Result<(), Refusal> {
    delete(session, backups, Deletion::entirely, signals)?;
    drop(fs::remove_dir(session.layout().collection(name)));
    session
        .record(|status| {
            status.collections.remove(name);
            status.retired_collections.remove(name);
        })
        .map_err(Refusal::failed)?;
    tracing::info!("Retired {name}: deleted {}", number_of(backups.len(), "backup"));
    Ok(())
}

/// A collection may only be retired if the server does not list it; if the server does not answer, if the last run did not find
/// it.
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
            "cannot tell whether collection \"{name}\" is gone from the server: try again when the server answers"
        ))),
    }
}

/// Whether the server proves to be the source of these backups. One without collections, or whose peers are not shown to this
/// key, proves nothing.
async fn is_source_of(
    session: &Session,
    server: &Client,
    listed: &[CollectionName],
) -> Result<bool, Refusal> {
    let Some(first) = listed.first() else { return Ok(false) };
    let Ok(cluster) = server.collection_cluster(first).await else { return Ok(false) };
    let (repository, shown) = (session.repository(), cluster.peer_ids().collect());
    if repository.is_other_server(&shown) {
        return Err(Refusal::failed(format!(
            "Qdrant at {} is not the server that these backups came from, so it does not show which of its \
             collections are gone. If it is the new server, confirm it with `qdrant-backup accept-source`. \
             Nothing was changed",
            server.url()
        )));
    }
    Ok(repository.known_peer_ids.iter().any(|peer| shown.contains(peer)))
}

/// Nothing is deleted because of a server that is not known to be the right one.
fn check_known_gone(status: &Status, name: &CollectionName, is_source: bool) -> Result<(), Refusal> {
    let known = status.retired_collections.contains(name)
        || status.collections.get(name).is_some_and(|entry| entry.on_server == Some(false));
    if known || is_source {
        return Ok(());
    }
    Err(Refusal::failed(format!(
        "the server does not prove that it is the source of these backups, and \"{name}\" is not retired \
         yet: is this the right server? Run this without --yes first. Nothing was deleted"
    )))
}

/// Refuses if a backup must not be deleted.
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

/// Deletes like a prune: recorded first, then newest first, so that dependent backups go before the ones they need. After a
/// signal, the next prune continues.
pub(super) fn delete(
    session: &mut Session,
    backups: &[Backup],
    deletion: fn(&Layout, &Backup) -> Deletion,
    signals: &Signals,
) -> Result<(), Refusal> {
    let noted = backups
        .iter()
        .map(|backup| PrunedBackup { collection: (*backup.collection).clone(), backup_id: backup.backup_id });
    match session.record(|status| status.pruning.extend(noted)) {
        // The deletion frees the space.
        Err(error) if error.lacks_room() => tracing::warn!("{error}"),
        noted => noted.map_err(Refusal::failed)?,
    }
    for (done, backup) in backups.iter().rev().enumerate() {
        let id = backup.backup_id;
        if signals.received().is_some() {
            let so_far = format!("{done} of {} backups were deleted", backups.len());
            return Err(stopped(format!("interrupted by a signal; {so_far}"), signals));
        }
        deletion(session.layout(), backup)
            .perform()
            .map_err(|error| Refusal::failed(format!("deleting backup {id}: {error}")))?;
        tracing::info!(
            "Deleted backup {id} of {} ({})",
            backup.collection,
            HumanBytes(backup.stored_size_bytes())
        );
    }
    session.amend_status(|status| {
        status.pruning.retain(|noted| {
            !backups
                .iter()
                .any(|backup| backup.backup_id == noted.backup_id && *backup.collection == noted.collection)
        });
    });
    Ok(())
}
