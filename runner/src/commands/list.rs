//! `qdrant-backup list`: the contents of the directory, independent of the status.

use indicatif::HumanBytes;
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::{Backup, Catalog, Condition};
use qdrant_backup_shared::manifest::Encoding;
use qdrant_backup_shared::text::{pretty_json, shortened};
use serde::Serialize;

use super::from::From;
use super::{Refusal, repository, selection};
use crate::commands::cli::ListArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::settings::Settings;

/// One backup, for `--json`.
#[derive(Serialize)]
struct Entry<'a> {
    collection: &'a CollectionName,
    backup_id: String,
    started_at: chrono::DateTime<chrono::Utc>,
    age_seconds: f64,
    points: Option<u64>,
    snapshot_size_bytes: u64,
    stored_size_bytes: u64,
    /// One archive, or one per shard.
    archives: usize,
    encoding: &'a [Encoding],
    condition: &'static str,
    verified: Option<String>,
    held: Option<&'a str>,
    problem: Option<&'a str>,
    /// The places that have a copy.
    offsite: Vec<&'a str>,
}

/// Everything in the directory, for `--json`.
#[derive(Serialize)]
struct Listing<'a> {
    backups: Vec<Entry<'a>>,
    orphans: Vec<String>,
    temporary_files: Vec<String>,
    unreadable: Vec<String>,
}

/// Lists the backups. Takes no lock.
pub fn list(settings: &Settings, args: &ListArgs, clock: Clock) -> Result<Exit, Refusal> {
    let selection = selection(&args.collections)?;
    let from = From::look(settings, &args.from, selection.names(), None, clock)?;
    let layout = repository::layout(from.settings());
    repository::open(from.settings())?;
    let catalog = repository::read_catalog(&layout)?;
    let backups: Vec<&Backup> = catalog
        .collections
        .iter()
        .filter(|(name, _)| selection.includes(name))
        .flat_map(|(_, backups)| backups)
        .collect();
    let text = if args.json {
        json(&backups, &catalog, clock)?
    } else {
        // The column for copies is only shown if there are any.
        let has_copies = backups.iter().any(|backup| !backup.copies.is_empty());
        let is_place = from.is_place();
        let rows = backups.iter().map(|backup| {
            let mut row = row(backup, is_place, clock);
            if has_copies {
                row.push(backup.places().collect::<Vec<_>>().join(", "));
            }
            row
        });
        let mut header = vec!["COLLECTION", "BACKUP", "AGE", "POINTS", "SNAPSHOT"];
        header.extend(if is_place { &["STATE"][..] } else { &["STORED", "ENCODING", "VERIFIED"] });
        if has_copies {
            header.push("OFFSITE");
        }
        let numbers = if is_place { &[3, 4][..] } else { &[3, 4, 5] };
        output::table(&header, numbers, rows)
    };
    output::print(&text).map_err(Refusal::failed)?;
    if !args.json {
        remark(&backups, &catalog);
    }
    Ok(Exit::Success)
}

/// A row of the table. How a place stores a copy, and when it was checked, is not known there.
fn row(backup: &Backup, is_place: bool, clock: Clock) -> Vec<String> {
    let mut state = if is_place && backup.is_good() { "copy".to_owned() } else { verified(backup) };
    match backup.remarks().hold.as_deref() {
        Some("") => state.push_str(", HELD"),
        Some(reason) => state.push_str(&format!(", HELD: {}", shortened(reason, 40))),
        None => {}
    }
    let mut row = vec![
        backup.collection.to_string(),
        backup.backup_id.to_string(),
        output::age(backup.started_at, clock.now()),
        backup.points.map_or_else(|| "?".to_owned(), |points| points.to_string()),
        HumanBytes(backup.snapshot_size_bytes).to_string(),
    ];
    if !is_place {
        row.push(HumanBytes(backup.stored_size_bytes()).to_string());
        row.push(backup.encoding.iter().map(Encoding::as_str).collect::<Vec<_>>().join("+"));
    }
    row.push(state);
    row
}

/// The state of the backup, in a word.
fn verified(backup: &Backup) -> String {
    match backup.condition() {
        Condition::OffsiteOnly => "only offsite".to_owned(),
        Condition::Incomplete => "INCOMPLETE".to_owned(),
        Condition::Failed => "FAILED".to_owned(),
        Condition::Unknown => "UNKNOWN".to_owned(),
        Condition::Good => backup
            .deepest_pass()
            .map_or_else(|| "never".to_owned(), |(level, at)| format!("{level} {}", at.format("%Y-%m-%d"))),
    }
}

fn json(backups: &[&Backup], catalog: &Catalog, clock: Clock) -> Result<String, Refusal> {
    let now = clock.now();
    let entries = backups.iter().map(|backup| Entry {
        collection: &backup.collection,
        backup_id: backup.backup_id.to_string(),
        started_at: backup.started_at,
        age_seconds: (now - backup.started_at).as_seconds_f64(),
        points: backup.points_count(),
        snapshot_size_bytes: backup.snapshot_size_bytes,
        stored_size_bytes: backup.stored_size_bytes(),
        archives: backup.archives.len(),
        encoding: &backup.encoding,
        condition: backup.condition().as_str(),
        verified: backup.deepest_pass().map(|(level, _)| level.to_string()),
        held: backup.remarks().hold.as_deref(),
        problem: backup.remarks().missing.as_deref().or(backup.remarks().unknown.as_deref()),
        offsite: backup.places().collect(),
    });
    let listing = Listing {
        backups: entries.collect(),
        orphans: catalog.orphans.iter().map(|orphan| orphan.path.display().to_string()).collect(),
        temporary_files: catalog.temporary.iter().map(|path| path.display().to_string()).collect(),
        unreadable: catalog.unreadable.iter().map(|entry| entry.problem.clone()).collect(),
    };
    pretty_json(&listing).map_err(Refusal::failed)
}

/// Details that are not in the table.
fn remark(backups: &[&Backup], catalog: &Catalog) {
    if backups.is_empty() {
        tracing::info!("No backups yet");
    }
    for backup in backups.iter().filter(|backup| !backup.is_offsite_only()) {
        if let Some(missing) = &backup.remarks().missing {
            tracing::warn!("Backup {} of {} is incomplete: {missing}", backup.backup_id, backup.collection);
        }
    }
    for backup in backups.iter().filter(|backup| backup.condition() == Condition::Unknown) {
        tracing::warn!(
            "Backup {} of {} is not known to be good or bad; check it with `qdrant-backup verify`",
            backup.backup_id,
            backup.collection
        );
    }
    for unreadable in &catalog.unreadable {
        tracing::warn!("{}", unreadable.problem);
    }
    for orphan in &catalog.orphans {
        let path = orphan.path.display();
        tracing::warn!(
            "{path}: an archive without a manifest, so not a backup ({})",
            HumanBytes(orphan.size_bytes)
        );
    }
}
