//! Removes one defense from a recording, as if the program did not have it.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Id, ROOT};
use super::disk::Disk;
use super::recording::Recording;

/// The defense that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// No directory is synced.
    NoDirectorySync,
    /// No archive is synced.
    NoArchiveSync,
    /// No manifest is synced.
    NoManifestSync,
    /// Neither the status nor its journal is synced.
    NoStatusSync,
    /// No line of the status journal is synced.
    NoJournalSync,
    /// A manifest gets its name before its archive.
    ManifestFirst,
    /// A prune deletes the archive before the manifest.
    ArchiveDeletedFirst,
    /// A prune does not wait until the manifest's deletion is durable.
    NoSyncBetweenDeletions,
    /// A prune deletes before it records what it deletes.
    DeletedBeforeNoted,
    /// The status is written in place.
    StatusInPlace,
    /// A snapshot is requested before the status records it.
    NoIntent,
}

const ARCHIVE: &str = ".snapshot";
const MANIFEST: &str = ".manifest.json";
const STATUS: &str = "status.json";
const JOURNAL: &str = "status.json.journal";

impl Mutation {
    /// All defenses.
    pub const ALL: [Self; 11] = [
        Self::NoDirectorySync,
        Self::NoArchiveSync,
        Self::NoManifestSync,
        Self::NoStatusSync,
        Self::NoJournalSync,
        Self::ManifestFirst,
        Self::ArchiveDeletedFirst,
        Self::NoSyncBetweenDeletions,
        Self::DeletedBeforeNoted,
        Self::StatusInPlace,
        Self::NoIntent,
    ];

    /// The changes that the program would have made without this defense. Each change has its number in the
    /// recording.
    pub fn of(self, recording: &Recording) -> Vec<(usize, Change)> {
        let changes = &recording.changes()[..];
        let finals = final_names(changes);
        let named = |id: Id, part: &str| {
            finals.get(&id).is_some_and(|names| names.iter().any(|name| name.contains(part)))
        };
        let numbered: Vec<(usize, Change)> = changes.iter().cloned().enumerate().collect();
        let without_syncs = |of: &dyn Fn(Id) -> bool| {
            let goes = |change: &Change| matches!(change, Change::Sync { id } if of(*id));
            numbered.iter().filter(|(_, change)| !goes(change)).cloned().collect::<Vec<_>>()
        };
        match self {
            Self::NoDirectorySync => without_syncs(&|id| is_directory(changes, id)),
            Self::NoArchiveSync => without_syncs(&|id| named(id, ARCHIVE)),
            Self::NoManifestSync => without_syncs(&|id| named(id, MANIFEST)),
            Self::NoStatusSync => without_syncs(&|id| named(id, STATUS)),
            Self::NoJournalSync => without_syncs(&|id| named(id, JOURNAL)),
            Self::ManifestFirst => {
                swapped(numbered, |change| renamed_to(change, ARCHIVE), |change| renamed_to(change, MANIFEST))
            }
            Self::ArchiveDeletedFirst => archive_deleted_first(numbered),
            Self::NoSyncBetweenDeletions => {
                let manifest = |change: &Change| matches!(change, Change::Remove { name, .. } if name.ends_with(MANIFEST));
                let mut after_manifest = false;
                let keeps = |(_, change): &(usize, Change)| {
                    let goes =
                        after_manifest && matches!(change, Change::Sync { id } if is_directory(changes, *id));
                    after_manifest = manifest(change) || (after_manifest && !goes);
                    !goes
                };
                numbered.into_iter().filter(keeps).collect()
            }
            Self::DeletedBeforeNoted => deleted_before_noted(numbered),
            Self::StatusInPlace => status_in_place(numbered, Disk::of(&recording.before).find(STATUS)),
            Self::NoIntent => {
                let intent = |change: &Change| matches!(change, Change::Write { id, bytes, .. } if named(*id, JOURNAL) && holds(bytes, b"\"creating\":{"));
                let blank = |(number, change): (usize, Change)| match change {
                    Change::Write { id, offset, bytes } if intent(&changes[number]) => {
                        (number, Change::Write { id, offset, bytes: without_intent(bytes) })
                    }
                    other => (number, other),
                };
                numbered.into_iter().map(blank).collect()
            }
        }
    }
}

/// The final names of each file, without temporary ones.
fn final_names(changes: &[Change]) -> BTreeMap<Id, BTreeSet<&str>> {
    let mut names: BTreeMap<Id, BTreeSet<&str>> = BTreeMap::new();
    for change in changes {
        if let Change::Rename { to, id, .. } = change {
            names.entry(*id).or_default().insert(to);
        }
    }
    names
}

/// Whether a directory is changed or created in `changes`. A directory without changes needs no sync.
fn is_directory(changes: &[Change], id: Id) -> bool {
    id == ROOT || changes.iter().any(|change| change.directory() == Some(id))
}

fn renamed_to(change: &Change, part: &str) -> bool {
    matches!(change, Change::Rename { to, .. } if to.contains(part) && (part != ARCHIVE || !to.contains(MANIFEST)))
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Moves each `first` and its sync behind the next `second` and its sync.
fn swapped(
    changes: Vec<(usize, Change)>,
    first: impl Fn(&Change) -> bool,
    second: impl Fn(&Change) -> bool,
) -> Vec<(usize, Change)> {
    let mut swapped = Vec::new();
    let mut held = Vec::new();
    let mut ends = false;
    for (number, change) in changes {
        let is_sync = matches!(change, Change::Sync { .. });
        let follows = held.len() % 2 == 1 && is_sync && !ends;
        if first(&change) || follows {
            held.push((number, change));
            continue;
        }
        ends |= second(&change);
        swapped.push((number, change));
        if ends && is_sync {
            swapped.append(&mut held);
            ends = false;
        }
    }
    swapped.append(&mut held);
    swapped
}

fn archive_deleted_first(mut changes: Vec<(usize, Change)>) -> Vec<(usize, Change)> {
    let removed = |change: &Change, part: &str| match change {
        Change::Remove { name, .. } => {
            name.contains(part).then(|| name.split('.').next().unwrap_or("").to_owned())
        }
        _ => None,
    };
    let mut at = 0;
    while at < changes.len() {
        let archive = removed(&changes[at].1, ARCHIVE).filter(|_| !renamed_to(&changes[at].1, MANIFEST));
        let manifest = archive.and_then(|stem| {
            changes[..at].iter().position(|(_, change)| removed(change, MANIFEST).as_deref() == Some(&*stem))
        });
        if let Some(manifest) = manifest {
            let change = changes.remove(at);
            changes.insert(manifest, change);
        }
        at += 1;
    }
    changes
}

/// Moves removals below the root before the status first mentions them.
fn deleted_before_noted(changes: Vec<(usize, Change)>) -> Vec<(usize, Change)> {
    let noted =
        |change: &Change| matches!(change, Change::Write { bytes, .. } if holds(bytes, b"\"pruning\""));
    let Some(note) = changes.iter().position(|(_, change)| noted(change)) else { return changes };
    let deletes = |change: &Change| {
        let removes = matches!(change, Change::Remove { directory, name, .. } if *directory != ROOT && !name.ends_with(".tmp"));
        removes || matches!(change, Change::Sync { id } if *id != ROOT && change_of_directory(&changes, *id))
    };
    let (deletions, rest): (Vec<_>, Vec<_>) =
        changes[note..].iter().cloned().partition(|(_, change)| deletes(change));
    [&changes[..note], &deletions, &rest].concat()
}

fn change_of_directory(changes: &[(usize, Change)], id: Id) -> bool {
    changes.iter().any(|(_, change)| change.directory() == Some(id))
}

/// Writes directly to `status.json` what is written to a temporary file and renamed to it.
fn status_in_place(changes: Vec<(usize, Change)>, there: Option<Id>) -> Vec<(usize, Change)> {
    let status = |change: &Change| match change {
        Change::Rename { to, id, .. } if to == STATUS => Some(*id),
        _ => None,
    };
    let temporary: BTreeSet<Id> = changes.iter().filter_map(|(_, change)| status(change)).collect();
    let Some(place) = there.or(temporary.first().copied()) else { return changes };
    let mut in_place = Vec::new();
    let mut named = there.is_some();
    for (number, change) in changes {
        let ours = temporary.contains(&change.id()) && !matches!(change, Change::Sync { id } if id == ROOT);
        match change {
            Change::Name { directory, .. } if ours => {
                if !named {
                    let name = STATUS.to_owned();
                    in_place.push((number, Change::Name { directory, name, id: place }));
                    named = true;
                }
                in_place.push((number, Change::SetLength { id: place, length: 0 }));
            }
            Change::Write { offset, bytes, .. } if ours => {
                in_place.push((number, Change::Write { id: place, offset, bytes }));
            }
            Change::SetLength { length, .. } if ours => {
                in_place.push((number, Change::SetLength { id: place, length }));
            }
            Change::Sync { .. } if ours => in_place.push((number, Change::Sync { id: place })),
            Change::Rename { .. } if ours => {}
            other => in_place.push((number, other)),
        }
    }
    in_place
}

/// A line of the same length without the creation.
fn without_intent(mut bytes: Vec<u8>) -> Vec<u8> {
    let (from, to) = (b"\"creating\":{".as_slice(), b"\"cREATING\":{".as_slice());
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
    bytes
}
