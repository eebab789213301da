//! One collection's directory as read by [`Shelf`], with a cache so that nothing is read twice.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Memory, Place, Shelf, Unreadable};
use qdrant_backup_shared::{CollectionName, Layout};

use super::collection_view::CollectionView;
use super::stamp::Stamp;

/// The contents of a collection's directory, and the stamps they were read with.
#[derive(Debug, Default)]
pub(super) struct Collection {
    /// The directory's stamp before it was listed, if its last change was not too recent.
    pub stamp: Option<Stamp>,
    /// The collection's name, once a manifest has been read.
    pub name: Option<Arc<CollectionName>>,
    /// Its backups.
    pub view: Arc<CollectionView>,
    pub orphan_files: u64,
    pub orphan_bytes: u64,
    pub temporary_files: u64,
    pub problems: Vec<Unreadable>,
    /// The stamps of each backup in the view, in the same order.
    read: Vec<Read>,
}

/// The stamps of a backup's files when they were read. A file that may have changed since has none.
#[derive(Debug, Clone, Copy, Default)]
struct Read {
    manifest: Option<Stamp>,
    /// `Some(None)` means that there was no record.
    record: Option<Option<Stamp>>,
    /// A digest of the names and stamps of all copy records.
    copies: Option<u64>,
}

impl Collection {
    /// Whether the directory at `path` is unchanged since it was listed.
    pub fn is_unchanged(&self, path: &Path) -> bool {
        self.stamp.is_some() && Stamp::at(path).ok() == self.stamp
    }

    /// Checks every file of the directory and reads those that have changed since `before`. If the directory cannot
    /// be listed, the result has only this problem and no stamp, so that the next observation tries again.
    pub fn look(layout: &Layout, place: &Place, before: &Self, now: DateTime<Utc>) -> Self {
        // Taken before the listing: a change during the listing changes the stamp, and the next observation lists
        // again.
        let stamp = Stamp::at(place.path()).ok().and_then(|stamp| stamp.settled(now));
        let directory = File::open(place.path()).ok();
        let after = Vec::with_capacity(before.read.len());
        let mut memory = Remembered { before, directory, at: None, now, after };
        let shelf = match Shelf::read(layout, place, &mut memory) {
            Ok(shelf) => shelf,
            Err(error) => return Self { problems: vec![place.unreadable(&error)], ..Self::default() },
        };
        let mut after = memory.after.into_iter();
        let read = shelf.backups.iter().map(|backup| {
            let of_it = after.find(|(id, _)| *id == backup.backup_id);
            of_it.map(|(_, read)| read).unwrap_or_default()
        });
        let read = read.collect();
        let is_same = shelf.backups == before.view.backups;
        Self {
            stamp,
            name: shelf.collection,
            view: if is_same {
                Arc::clone(&before.view)
            } else {
                Arc::new(CollectionView::of(shelf.backups))
            },
            orphan_files: shelf.orphans.len() as u64,
            orphan_bytes: shelf.orphans.iter().map(|orphan| orphan.size_bytes).sum(),
            temporary_files: shelf.temporary.len() as u64,
            problems: shelf.unreadable,
            read,
        }
    }
}

/// The cache from the previous observation while the next one runs.
struct Remembered<'a> {
    before: &'a Collection,
    /// Open, so that each stat needs only a name and not a path.
    directory: Option<File>,
    /// The index in `before` of the current backup.
    at: Option<usize>,
    now: DateTime<Utc>,
    after: Vec<(BackupId, Read)>,
}

impl Remembered<'_> {
    fn stamp(&self, path: &Path) -> Option<Stamp> {
        Stamp::of_file(self.directory.as_ref()?, path.file_name()?).ok()
    }
}

impl Memory for Remembered<'_> {
    fn backup(&mut self, id: BackupId, path: &Path) -> Option<Backup> {
        let stamp = self.stamp(path);
        let backups = &self.before.view.backups;
        self.at = backups.binary_search_by_key(&id, |backup| backup.backup_id).ok();
        let manifest = stamp.and_then(|stamp| stamp.settled(self.now));
        self.after.push((id, Read { manifest, record: None, copies: None }));
        let at = self.at.filter(|at| stamp.is_some() && self.before.read[*at].manifest == stamp)?;
        Some(backups[at].clone())
    }

    fn has_record(&mut self, path: &Path, listed: bool) -> bool {
        let known = self.at.and_then(|at| self.before.read[at].record);
        let is_looked_for = listed || matches!(known, Some(Some(_)));
        let stamp = if is_looked_for { self.stamp(path) } else { None };
        let Some((_, read)) = self.after.last_mut() else { return false };
        if !is_looked_for {
            read.record = Some(None);
            return known == Some(None);
        }
        read.record = stamp.and_then(|stamp| stamp.settled(self.now)).map(Some);
        stamp.is_some() && known == Some(stamp)
    }

    fn forget_record(&mut self) {
        if let Some((_, read)) = self.after.last_mut() {
            read.record = None;
        }
    }

    fn has_copies(&mut self, paths: &[PathBuf]) -> bool {
        let known = self.at.and_then(|at| self.before.read[at].copies);
        let mut hasher = DefaultHasher::new();
        let mut is_settled = true;
        for path in paths {
            let stamp = self.stamp(path).and_then(|stamp| stamp.settled(self.now));
            is_settled &= stamp.is_some();
            (path.file_name(), stamp).hash(&mut hasher);
        }
        let found = is_settled.then(|| hasher.finish());
        if let Some((_, read)) = self.after.last_mut() {
            read.copies = found;
        }
        found.is_some() && found == known
    }

    fn forget_copies(&mut self) {
        if let Some((_, read)) = self.after.last_mut() {
            read.copies = None;
        }
    }

    fn asks_for_holds(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use qdrant_backup_shared::{PointsCount, atomic};

    use super::*;

    const MANIFEST: &str = include_str!("../../../shared/testdata/manifest-v1.json");

    /// Contents with a mark that is in no file. The mark remains as long as nothing is read again.
    fn marked(mut collection: Collection) -> Collection {
        let mut view = (*collection.view).clone();
        view.backups[0].points = Some(PointsCount::exact(77));
        collection.view = Arc::new(view);
        collection
    }

    #[test]
    fn an_unchanged_manifest_is_not_read_again_and_a_fresh_one_is() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path(), directory.path());
        let name = CollectionName::new("mixtral_embeddings").unwrap();
        let path = layout.manifest(&name, "2025-07-15-14-30-00".parse().unwrap());
        std::fs::create_dir_all(layout.collection(&name)).unwrap();
        atomic::write(&path, 0o600, MANIFEST.as_bytes()).unwrap();
        let place = Place::collections(&layout).unwrap().remove(0);
        let look = |before: &Collection, now| Collection::look(&layout, &place, before, now);
        let written: DateTime<Utc> = std::fs::metadata(&path).unwrap().modified().unwrap().into();
        let points = |collection: &Collection| collection.view.backups[0].points_count();

        let fresh = look(&Collection::default(), written);
        assert_eq!(points(&look(&marked(fresh), written)), Some(250));

        let settled = look(&Collection::default(), written + TimeDelta::seconds(5));
        let again = look(&marked(settled), written + TimeDelta::seconds(6));
        assert_eq!(points(&again), Some(77), "from memory");
        assert_eq!(again.name.as_deref(), Some(&name));

        atomic::write(&path, 0o600, MANIFEST.as_bytes()).unwrap();
        assert_eq!(points(&look(&again, written + TimeDelta::seconds(9))), Some(250));
    }
}
