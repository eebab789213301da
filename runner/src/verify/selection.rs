//! Selects the backups to check. Pure functions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::verification::Level;
use qdrant_backup_shared::{CollectionName, Status};

use crate::choice::{Accept, ChoiceError, Present, Selection, Which, choose};

/// The selection of backups in each collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Those selected by the user, in any state.
    Asked(Which),
    /// Those that are due at a scheduled run, see [`due`].
    Due {
        /// Time in which every backup must be read again.
        within: Duration,
        /// The time between two runs.
        interval: Duration,
    },
}

/// The backups to check, and requested ones that do not exist.
#[derive(Debug, Default)]
pub(super) struct ToCheck {
    /// Each collection's backups, newest first.
    pub(super) chosen: BTreeMap<CollectionName, Vec<Backup>>,
    /// Requested collections, each with the missing backup.
    pub(super) absent: Vec<(CollectionName, String)>,
    /// A backup that no collection has.
    pub(super) nowhere: Option<String>,
}

/// Chooses from `catalog`, of these collections.
pub(super) fn select(
    catalog: &Catalog,
    status: &Status,
    collections: &Selection,
    extent: Extent,
    now: DateTime<Utc>,
) -> ToCheck {
    let mut selection = ToCheck::default();
    let wanted: BTreeMap<&CollectionName, &Vec<Backup>> =
        catalog.collections.iter().filter(|(name, _)| collections.includes(name)).collect();
    for name in collections.names().iter().filter(|name| !wanted.contains_key(name)) {
        selection.absent.push((name.clone(), ChoiceError::None.to_string()));
    }
    let present = Present { status: Some(status), now };
    let due = match extent {
        Extent::Due { within, interval } => {
            let is_gone = |name: &CollectionName| {
                status.retired_collections.contains(name)
                    || status.collections.get(name).is_some_and(|entry| entry.on_server == Some(false))
            };
            due(&wanted, &is_gone, present, within, interval)
        }
        Extent::Asked(_) => BTreeSet::new(),
    };
    for (name, backups) in &wanted {
        let chosen = match extent {
            Extent::Asked(which) => choose(backups, which, Accept::Any, present),
            Extent::Due { .. } => {
                let newest_first = backups.iter().rev();
                Ok(newest_first.filter(|backup| due.contains(&(*name, backup.backup_id))).collect())
            }
        };
        match chosen {
            Ok(chosen) if chosen.is_empty() => {}
            Ok(chosen) => {
                selection.chosen.insert((*name).clone(), chosen.into_iter().cloned().collect());
            }
            Err(error @ (ChoiceError::NoSuchId(_) | ChoiceError::OffsiteOnly { .. }))
                if collections.is_named() =>
            {
                selection.absent.push(((*name).clone(), error.to_string()));
            }
            Err(_) => {}
        }
    }
    let nothing = selection.chosen.is_empty() && !collections.is_named();
    if let (Extent::Asked(Which::Id(id)), true) = (extent, nothing) {
        selection.nowhere = Some(format!("no collection has a backup {id}; `qdrant-backup list` shows them"));
    }
    selection
}

/// The backups that are due now: the newest and the newest good one of each collection, and of the others those
/// whose archive was read longest ago, as many as one run every `interval` must read to cover all of them `within` a
/// time. A time in the future counts as never. The newest backup of a collection that `is_gone` does not change: once
/// read, it counts as one of the others.
pub fn due<'c>(
    collections: &BTreeMap<&'c CollectionName, &'c Vec<Backup>>,
    is_gone: &dyn Fn(&CollectionName) -> bool,
    present: Present<'_>,
    within: Duration,
    interval: Duration,
) -> BTreeSet<(&'c CollectionName, BackupId)> {
    let now = present.now;
    let mut due = BTreeSet::new();
    let mut others = Vec::new();
    for (name, backups) in collections {
        // Offsite-only backups cannot be read here.
        let here = || backups.iter().filter(|backup| !backup.is_offsite_only());
        let newest = present.newest(here().rev());
        let newest_good = present.newest(backups.iter().rev().filter(|backup| backup.is_good()));
        let newest = newest.into_iter().chain(newest_good);
        let unread = newest.filter(|backup| !is_gone(name) || last_read(backup, now).is_none());
        due.extend(unread.map(|backup| (*name, backup.backup_id)));
        others.extend(here().map(|backup| (last_read(backup, now), *name, backup.backup_id)));
    }
    others.retain(|(_, name, id)| !due.contains(&(*name, *id)));
    // Backups that were never read come first. Of equal ones the newest, which is the most likely to be restored.
    others.sort_by_key(|(read, name, id)| (*read, std::cmp::Reverse(*id), *name));
    let runs = within.as_secs().checked_div(interval.as_secs()).unwrap_or(u64::MAX).max(1);
    let share = u64::try_from(others.len()).unwrap_or(u64::MAX).div_ceil(runs);
    let share = usize::try_from(share).unwrap_or(usize::MAX);
    due.extend(others.into_iter().take(share).map(|(_, name, id)| (name, id)));
    due
}

/// When the archive was last read completely, with any result.
fn last_read(backup: &Backup, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    [Level::Archive, Level::Restore]
        .iter()
        .filter_map(|level| backup.check(level))
        .map(|check| check.last_at)
        .filter(|at| *at <= now)
        .max()
}
