//! The contents of a place: copies, and remains of incomplete ones.
//!
//! A copy exists if and only if the snapshot of its manifest exists, and all snapshots of archives that this lists.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::error::OffsiteError;
use super::restic::Restic;
use super::tags::{Key, OURS, archives};

const MANIFEST: &str = ".manifest.json";
const HOLD: &str = ".hold.json";

/// One copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The copied backup.
    pub key: Key,
    /// When it was completed.
    pub copied_at: DateTime<Utc>,
    /// The snapshot of the manifest, and the path in it.
    pub manifest: File,
    /// Those of the archives, in the manifest's order.
    pub archives: Vec<File>,
    /// The hold file of the backup, if it was on hold at the last copying.
    pub hold: Option<File>,
}

/// A file in a separate snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The snapshot's id.
    pub snapshot: String,
    /// Its path there.
    pub path: String,
}

/// All our snapshots in a place.
#[derive(Debug, Default)]
pub struct Listing {
    /// The copies, by their backup.
    pub copies: BTreeMap<Key, Copy>,
    /// Snapshots that belong to no copy, left by a killed copy or deletion.
    pub leftovers: Vec<(Key, String)>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Snapshot {
    pub(super) id: String,
    time: DateTime<Utc>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Listing {
    /// Requests the list from restic.
    ///
    /// # Errors
    /// As [`OffsiteError`] says.
    pub fn read(restic: &Restic) -> Result<Self, OffsiteError> {
        let found: Option<Vec<Snapshot>> = restic.json("snapshots", &["snapshots", "--tag", OURS])?;
        Ok(Self::of(found.unwrap_or_default()))
    }

    pub(super) fn of(snapshots: Vec<Snapshot>) -> Self {
        let mut by_key: BTreeMap<Key, Vec<Snapshot>> = BTreeMap::new();
        for snapshot in snapshots {
            if let Some(key) = Key::read(snapshot.tags.as_deref().unwrap_or_default()) {
                by_key.entry(key).or_default().push(snapshot);
            }
        }
        let mut listing = Self::default();
        for (key, mut snapshots) in by_key {
            // If there are two complete ones, the newer one counts.
            snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.time));
            let copy = snapshots.iter().find_map(|snapshot| copy(&key, snapshot, &snapshots));
            let mut used = BTreeSet::new();
            if let Some(copy) = &copy {
                used.insert(copy.manifest.snapshot.clone());
                used.extend(copy.archives.iter().chain(&copy.hold).map(|file| file.snapshot.clone()));
            }
            let left = snapshots.into_iter().filter(|snapshot| !used.contains(&snapshot.id));
            listing.leftovers.extend(left.map(|snapshot| (key.clone(), snapshot.id)));
            listing.copies.extend(copy.map(|copy| (key, copy)));
        }
        listing
    }

    /// The copies of one backup directory's backups.
    pub fn of_repository<'a>(&'a self, repository_id: &'a str) -> impl Iterator<Item = &'a Copy> {
        self.copies.values().filter(move |copy| copy.key.repository_id == repository_id)
    }

    /// The backup directories with copies, and their numbers.
    pub fn repositories(&self) -> BTreeMap<&str, usize> {
        let mut found = BTreeMap::new();
        for copy in self.copies.values() {
            *found.entry(copy.key.repository_id.as_str()).or_insert(0) += 1;
        }
        found
    }
}

/// The copy with its manifest in `snapshot`, if all its snapshots are in `all`.
fn copy(key: &Key, snapshot: &Snapshot, all: &[Snapshot]) -> Option<Copy> {
    let manifest = file(snapshot).filter(|file| file.path.ends_with(MANIFEST))?;
    let named = archives(snapshot.tags.as_deref().unwrap_or_default());
    let find = |begin: &str| {
        let mut fitting = all.iter().filter(|other| other.id.starts_with(begin) && other.id != snapshot.id);
        // Only one snapshot can match.
        let found = fitting.next().and_then(file);
        if fitting.next().is_some() { None } else { found }
    };
    let archives: Option<Vec<File>> = named.into_iter().map(find).collect();
    let archives = archives.filter(|archives| !archives.is_empty())?;
    let hold = all.iter().filter_map(file).find(|file| file.path.ends_with(HOLD));
    Some(Copy { key: key.clone(), copied_at: snapshot.time, manifest, archives, hold })
}

fn file(snapshot: &Snapshot) -> Option<File> {
    let [path] = snapshot.paths.as_slice() else { return None };
    Some(File { snapshot: snapshot.id.clone(), path: path.clone() })
}

#[cfg(test)]
mod tests {
    use qdrant_backup_shared::{BackupId, CollectionName};

    use super::*;

    fn key() -> Key {
        let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();
        Key::new("r1", &CollectionName::new("docs").unwrap(), id)
    }

    fn snapshot(id: &str, minute: u32, path: &str, tags: Vec<String>) -> Snapshot {
        Snapshot {
            id: id.repeat(16),
            time: format!("2025-07-16T00:{minute:02}:00Z").parse().unwrap(),
            paths: vec![path.to_owned()],
            tags: Some(tags),
        }
    }

    fn archive(id: &str, minute: u32) -> Snapshot {
        snapshot(id, minute, "/docs-2025-07-15-14-30-00.snapshot", key().tags())
    }

    fn manifest(id: &str, minute: u32, archives: &[&str]) -> Snapshot {
        let archives: Vec<String> = archives.iter().map(|archive| archive.repeat(2)).collect();
        snapshot(id, minute, "/docs-2025-07-15-14-30-00.manifest.json", key().tags_of_manifest(&archives))
    }

    #[test]
    fn a_copy_is_its_manifest_with_every_archive_that_it_names() {
        let whole =
            Listing::of(vec![archive("aaaa", 1), archive("bbbb", 2), manifest("cccc", 3, &["aaaa", "bbbb"])]);
        let copy = &whole.copies[&key()];
        assert_eq!(copy.archives.len(), 2);
        assert_eq!(copy.archives[1].snapshot, "bbbb".repeat(16));
        assert!(whole.leftovers.is_empty());
        assert_eq!(whole.repositories(), [("r1", 1)].into());

        let torn = Listing::of(vec![archive("bbbb", 2), manifest("cccc", 3, &["aaaa", "bbbb"])]);
        assert!(torn.copies.is_empty());
        assert_eq!(torn.leftovers.len(), 2);

        let unfinished = Listing::of(vec![archive("aaaa", 1)]);
        assert!(unfinished.copies.is_empty() && unfinished.leftovers.len() == 1);
    }

    #[test]
    fn what_a_killed_copying_left_beside_a_copy_is_no_part_of_it() {
        let listing =
            Listing::of(vec![archive("dddd", 0), archive("aaaa", 1), manifest("cccc", 3, &["aaaa"])]);
        assert_eq!(listing.copies[&key()].archives[0].snapshot, "aaaa".repeat(16));
        assert_eq!(listing.leftovers, [(key(), "dddd".repeat(16))]);
    }

    #[test]
    fn a_hold_belongs_to_its_copy_and_is_left_over_without_one() {
        let hold = |id, minute| snapshot(id, minute, "/docs-2025-07-15-14-30-00.hold.json", key().tags());
        let all = vec![archive("aaaa", 1), manifest("cccc", 3, &["aaaa"]), hold("eeee", 4), hold("ffff", 5)];
        let listing = Listing::of(all);
        let found = listing.copies[&key()].hold.clone();
        assert_eq!(found.map(|file| file.snapshot), Some("ffff".repeat(16)), "the newest one");
        assert_eq!(listing.leftovers, [(key(), "eeee".repeat(16))]);
        assert_eq!(Listing::of(vec![hold("eeee", 4)]).leftovers.len(), 1);
    }

    #[test]
    fn of_two_complete_ones_the_newer_counts_and_the_snapshots_of_others_are_none_of_ours() {
        let mut foreign = archive("eeee", 9);
        foreign.tags = Some(vec!["theirs".to_owned()]);
        let all = vec![
            archive("aaaa", 1),
            manifest("bbbb", 2, &["aaaa"]),
            archive("cccc", 3),
            manifest("dddd", 4, &["cccc"]),
            foreign,
        ];
        let listing = Listing::of(all);
        assert_eq!(listing.copies[&key()].manifest.snapshot, "dddd".repeat(16));
        assert_eq!(listing.leftovers.len(), 2);
    }
}
