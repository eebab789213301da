//! Names on the command line that exist nowhere: collections, backups, places.
//!
//! Only a person misspells them, so they are refused before the command begins, and monitoring is not told. Wrong settings are.

use std::fs;
use std::io;

use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::config_file::closest;
use qdrant_backup_shared::{CollectionName, Layout, Status};

use super::compare::WORDS;
use super::from::place;
use super::scratch_server::other_server;
use super::{Refusal, drill, repository, selection};
use crate::choice::{ChoiceError, Which};
use crate::commands::cli::{Command, OffsiteCommand, RestoreArgs};
use crate::session::status_store;
use crate::settings::Settings;

/// Checks the names that `command` was given.
///
/// # Errors
/// With the first one that exists nowhere, and a similar one that does. Without a readable backup directory nothing is checked:
/// the command itself fails then.
pub fn check(command: &Command, settings: &Settings) -> Result<(), Refusal> {
    let (collections, backups, from): (&[String], Vec<Which>, Option<&str>) = match command {
        Command::Backup(args) => return selection(&args.collections).map(drop),
        Command::Offsite(command) => {
            return command.place().map_or(Ok(()), |name| place(settings, name).map(drop));
        }
        Command::Hold(args) => (std::slice::from_ref(&args.collection), Vec::new(), None),
        Command::Unhold(args) => (std::slice::from_ref(&args.collection), Vec::new(), None),
        Command::Prune(args) => (&args.collections, Vec::new(), None),
        Command::List(args) => (&args.collections, Vec::new(), args.from.from.as_deref()),
        Command::Verify(args) => (&args.collections, vec![args.backup], args.from.from.as_deref()),
        Command::Restore(args) if args.points => {
            other_server(settings, args.on_source, WORDS)?;
            (&args.collections, vec![args.which()], None)
        }
        Command::Restore(args) => (&args.collections, vec![args.which()], args.from.from.as_deref()),
        Command::Compare(args) => {
            let both = [Some(args.which()), args.with].into_iter().flatten().collect();
            (std::slice::from_ref(&args.collection), both, None)
        }
        Command::Export(args) => {
            (std::slice::from_ref(&args.collection), vec![args.backup], args.from.from.as_deref())
        }
        Command::Drill(args) => {
            drill::server(settings, args)?;
            (&args.collections, vec![args.backup], args.from.from.as_deref())
        }
        Command::Setup(_)
        | Command::Init
        | Command::Import(_)
        | Command::Run(_)
        | Command::Status(_)
        | Command::AcceptSource
        | Command::Schedule(_)
        | Command::Config(_) => return Ok(()),
    };
    let names = if matches!(command, Command::Restore(RestoreArgs { files: true, .. })) {
        vec![CollectionName::files()]
    } else {
        selection(collections)?.names().to_vec()
    };
    if let Some(name) = from {
        // The copies there are not known yet.
        return place(settings, name).map(drop);
    }
    let layout = repository::layout(settings);
    if !layout.repository_file().is_file() {
        return Ok(());
    }
    if let Some(name) = names.iter().find(|name| !name.is_files() && !is_known(&layout, name)) {
        let all = Catalog::read(&layout).unwrap_or_default();
        let all = all.collection_names().map(CollectionName::as_str);
        return Err(no_such(name, "among the backups", all));
    }
    // Other commands than `verify` refuse an id without a collection themselves.
    if names.is_empty() && !matches!(command, Command::Verify(_)) {
        return Ok(());
    }
    let ids = backups.into_iter().filter_map(|which| if let Which::Id(id) = which { Some(id) } else { None });
    for id in ids.filter(|id| !names.iter().any(|name| layout.manifest(name, *id).is_file())) {
        check_id(&layout, &names, id)?;
    }
    Ok(())
}

/// Whether none of the collections has backups or a status, so that only the server can know them. If one has, the others fail alone.
pub fn are_unknown(settings: &Settings, names: &[CollectionName]) -> bool {
    let layout = repository::layout(settings);
    !names.iter().any(|name| is_known(&layout, name))
}

/// Checks that any of the collections is on the server.
///
/// # Errors
/// As [`check`].
pub fn on_server(names: &[CollectionName], listed: &[CollectionName]) -> Result<(), Refusal> {
    match names {
        [first, ..] if !names.iter().any(|name| listed.contains(name)) => {
            Err(no_such(first, "on the server", listed.iter().map(CollectionName::as_str)))
        }
        _ => Ok(()),
    }
}

fn no_such<'a>(name: &CollectionName, place: &str, all: impl Iterator<Item = &'a str>) -> Refusal {
    let meant = closest(name.as_str(), all).map(|meant| format!("; did you mean {meant}?"));
    Refusal::failed(format!("there is no collection \"{name}\" {place}{}", meant.unwrap_or_default()))
}

/// Whether the collection has a directory or a status, or this cannot be read.
fn is_known(layout: &Layout, name: &CollectionName) -> bool {
    let in_status =
        |status: Status| status.collections.contains_key(name) || status.retired_collections.contains(name);
    match fs::symlink_metadata(layout.collection(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            status_store::look(layout).map_or(true, |status| status.is_some_and(in_status))
        }
        Ok(_) | Err(_) => true,
    }
}

/// Checks that one of the collections `names` (any, if empty) has this backup.
fn check_id(layout: &Layout, names: &[CollectionName], id: BackupId) -> Result<(), Refusal> {
    let Ok(catalog) = Catalog::read(layout) else { return Ok(()) };
    let mut backups = catalog.collections.values().flatten();
    let is_one = backups
        .any(|backup| backup.backup_id == id && (names.is_empty() || names.contains(&*backup.collection)));
    // It may be one that cannot be read.
    if is_one || catalog.unreadable_manifests().next().is_some() {
        return Ok(());
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    Err(Refusal::failed(if names.is_empty() {
        format!("no collection has a backup {id}; `qdrant-backup list` shows them")
    } else {
        format!("{}: {}", names.join(", "), ChoiceError::NoSuchId(id))
    }))
}

impl OffsiteCommand {
    /// The place that it was given.
    fn place(&self) -> Option<&str> {
        match self {
            Self::Copy { place, .. } | Self::List { place, .. } => place.as_deref(),
            Self::Init { place }
            | Self::Check { place, .. }
            | Self::Prune { place, .. }
            | Self::Recover { place, .. } => Some(place),
        }
    }
}
