//! One collection's directory as read by [`Shelf`], with a cache so that nothing is read twice.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
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
    /// For each backup in the view, in the same order: a digest of the names and stamps of its files when they were read. None
    /// if one of them may have changed since.
    digests: Vec<Option<u64>>,
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
        let after = Vec::with_capacity(before.digests.len());
        let mut memory = Remembered { before, directory, now, after };
        let shelf = match Shelf::read(layout, place, &mut memory) {
            Ok(shelf) => shelf,
            Err(error) => return Self { problems: vec![place.unreadable(&error)], ..Self::default() },
        };
        let mut after = memory.after.into_iter();
        let digests = shelf.backups.iter().map(|backup| {
            let of_it = after.find(|(id, _)| *id == backup.backup_id);
            of_it.and_then(|(_, digest)| digest)
        });
        let digests = digests.collect();
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
            digests,
        }
    }
}

/// The cache from the previous observation while the next one runs.
struct Remembered<'a> {
    before: &'a Collection,
    /// Open, so that each stat needs only a name and not a path.
    directory: Option<File>,
    now: DateTime<Utc>,
    after: Vec<(BackupId, Option<u64>)>,
}

impl Remembered<'_> {
    /// The digest of these files. None if one of them may change without a change of its stamp, or cannot be checked.
    fn digest(&self, files: &[PathBuf]) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        for file in files {
            let name = file.file_name()?;
            let stamp = match Stamp::of_file(self.directory.as_ref()?, name) {
                Ok(stamp) => Some(stamp.settled(self.now)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(_) => return None,
            };
            (name, stamp).hash(&mut hasher);
        }
        Some(hasher.finish())
    }
}

impl Memory for Remembered<'_> {
    fn backup(&mut self, id: BackupId, files: &[PathBuf]) -> Option<Backup> {
        let digest = self.digest(files);
        self.after.push((id, digest));
        let backups = &self.before.view.backups;
        let at = backups.binary_search_by_key(&id, |backup| backup.backup_id).ok()?;
        (digest.is_some() && self.before.digests[at] == digest).then(|| backups[at].clone())
    }

    fn forget(&mut self) {
        if let Some((_, digest)) = self.after.last_mut() {
            *digest = None;
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
