//! `qdrant-backup prune --bad`: backups that are known to be bad, listed or deleted.

use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::text::{number_of, one_line};

use super::orphans::busy;
use super::retire::delete;
use super::{Refusal, listen, repository, selection};
use crate::choice::Selection;
use crate::commands::cli::PruneArgs;
use crate::commands::exit::Exit;
use crate::host::clock::Clock;
use crate::host::output;
use crate::prune::{Deletion, flaw};
use crate::session::Purpose;
use crate::settings::Settings;
use crate::store::lock::ReadersLock;

/// A backup that is known to be bad.
struct Bad<'a> {
    backup: &'a Backup,
    /// The problem of the backup.
    flaw: String,
    /// Why it is not deleted.
    stays: Option<Stays>,
}

/// Why a bad backup is kept.
enum Stays {
    /// It must not be deleted.
    Kept(String),
    /// It may be the only copy of its collection.
    Last,
}

/// Lists the bad backups without a lock, or deletes them. If a collection has no good backup, they may be the only copies and are
/// only deleted with `even_the_last`.
pub async fn bad(settings: &Settings, args: &PruneArgs, clock: Clock) -> Result<Exit, Refusal> {
    let selection = selection(&args.collections)?;
    let layout = repository::layout(settings);
    repository::open(settings)?;
    if !args.yes {
        let catalog = repository::read_catalog(&layout)?;
        let found = find(&catalog, &selection);
        output::print(&table(&found)).map_err(Refusal::failed)?;
        let (going, last) = (going(&found, false).count(), last(&found));
        match found.len() {
            0 => tracing::info!("No backup is known to be bad"),
            number => tracing::info!(
                "{}. `qdrant-backup prune --bad --yes` deletes {going} of them{}",
                how_many(number),
                if last > 0 {
                    format!(
                        "; {last} belong to collections without a good backup: add `--even-the-last` to delete these too"
                    )
                } else {
                    String::new()
                }
            ),
        }
        return Ok(Exit::Success);
    }
    let signals = listen()?;
    let mut held = repository::enter(Purpose::Upkeep, settings, "prune", clock, &signals).await?;
    let session = &mut held.session;
    let Some(_alone) = ReadersLock::try_exclusive(&layout.readers_file()).map_err(Refusal::failed)? else {
        return Err(busy());
    };
    // Only after taking the lock, because `hold` shares it.
    let catalog = repository::read_catalog(&layout)?;
    let found = find(&catalog, &selection);
    let doomed: Vec<Backup> = going(&found, args.even_the_last).map(|bad| bad.backup.clone()).collect();
    delete(session, &doomed, Deletion::of, &signals)?;
    // The end of the deletion is recorded too.
    session.record(|_| {}).map_err(Refusal::failed)?;
    for bad in &found {
        let backup = bad.backup;
        let why = match &bad.stays {
            Some(Stays::Kept(why)) => why.as_str(),
            Some(Stays::Last) if !args.even_the_last => {
                "its collection has no good backup, so this may be the only copy; add `--even-the-last` to delete it too"
            }
            Some(Stays::Last) | None => continue,
        };
        tracing::warn!("Keeping bad backup {} of {}: {why}", backup.backup_id, backup.collection);
    }
    let bytes = doomed.iter().map(|backup| backup.stored_size_bytes()).sum();
    tracing::info!("Deleted {} ({})", number_of(doomed.len(), "bad backup"), HumanBytes(bytes));
    Ok(Exit::Success)
}

/// Every bad backup, each collection's newest last.
fn find<'c>(catalog: &'c Catalog, selection: &Selection) -> Vec<Bad<'c>> {
    let wanted = catalog.collections.iter().filter(|(name, _)| selection.includes(name));
    wanted
        .flat_map(|(_, backups)| {
            let has_good = backups.iter().any(Backup::is_good);
            backups.iter().filter_map(move |backup| {
                let flaw = flaw(backup)?;
                Some(Bad { backup, flaw, stays: stays(backup, backups, has_good) })
            })
        })
        .collect()
}

fn stays(bad: &Backup, all: &[Backup], has_good: bool) -> Option<Stays> {
    let id = bad.backup_id;
    let needs = |other: &&Backup| other.remarks().depends_on.contains(&id) && flaw(other).is_none();
    if bad.remarks().hold.is_some() {
        Some(Stays::Kept("it is on hold; `qdrant-backup unhold` releases it".to_owned()))
    } else if let Some(requirement) = &bad.remarks().requires {
        Some(Stays::Kept(format!("it requires {requirement:?}, which this version does not know")))
    } else if let Some(other) = all.iter().find(needs) {
        Some(Stays::Kept(format!("backup {} needs it", other.backup_id)))
    } else if has_good {
        None
    } else {
        Some(Stays::Last)
    }
}

fn going<'a>(found: &'a [Bad<'a>], even_the_last: bool) -> impl Iterator<Item = &'a Bad<'a>> {
    found.iter().filter(move |bad| match bad.stays {
        None => true,
        Some(Stays::Last) => even_the_last,
        Some(Stays::Kept(_)) => false,
    })
}

fn last(found: &[Bad<'_>]) -> usize {
    found.iter().filter(|bad| matches!(bad.stays, Some(Stays::Last))).count()
}

fn table(found: &[Bad<'_>]) -> String {
    let rows = found.iter().map(|bad| {
        let backup = bad.backup;
        let stays = match &bad.stays {
            None => "",
            Some(Stays::Kept(why)) => why.as_str(),
            Some(Stays::Last) => "its collection has no good backup",
        };
        vec![
            backup.collection.to_string(),
            backup.backup_id.to_string(),
            HumanBytes(backup.stored_size_bytes()).to_string(),
            one_line(&bad.flaw),
            one_line(stays),
        ]
    });
    output::table(&["COLLECTION", "BACKUP", "STORED", "WHAT IS WRONG", "KEPT BECAUSE"], &[2], rows)
}

/// The number of bad backups, as text.
pub fn how_many(number: usize) -> String {
    if number == 1 { "1 backup is bad".to_owned() } else { format!("{number} backups are bad") }
}
