//! One collection's directory: its backups, and what is remembered so that nothing is read twice.

use std::io;
use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::layout::{self, stem};
use qdrant_backup_shared::{CollectionName, Manifest, VerificationRecord, json_file};
use rustix::fd::OwnedFd;

use super::files::{ArchiveFile, Listing, Stamp, stat_in};
use super::observation::{BackupView, CollectionView, Problem, levels};

/// What was found in one collection's directory, and what it was found by.
#[derive(Debug, Default)]
pub(super) struct Collection {
    /// The directory as it was before it was listed, once that was long enough after its last change.
    pub stamp: Option<Stamp>,
    /// The collection's name, once a manifest has told it.
    pub name: Option<CollectionName>,
    /// Its backups.
    pub view: Arc<CollectionView>,
    pub orphan_files: u64,
    pub orphan_bytes: u64,
    pub temporary_files: u64,
    pub problems: Vec<Problem>,
    /// For each backup of the view, in the same order.
    memory: Vec<Memory>,
}

/// What is remembered of one backup.
#[derive(Debug)]
struct Memory {
    /// The manifest that was read.
    manifest: Option<Stamp>,
    /// The record that was read.
    record: Option<Stamp>,
    /// The files that must be there, with their length in bytes.
    archives: Box<[(Box<str>, u64)]>,
}

/// One backup on its way into a [`Collection`].
struct Found {
    view: BackupView,
    memory: Memory,
}

impl Collection {
    /// Looks at every file of the directory again, and reads those that have changed since `before`.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn look(
        directory: &OwnedFd,
        path: &Path,
        component: &str,
        before: Self,
        now: DateTime<Utc>,
    ) -> io::Result<Self> {
        // Before the listing: a change during it moves the stamp, and the next look lists again.
        let stamp = Stamp::of(&rustix::fs::fstat(directory)?).settled(now);
        let listing = Listing::read(directory, component)?;
        let mut look = Look { directory, path, component, now, before, after: Self::default() };
        look.after.stamp = stamp;
        look.after.temporary_files = listing.temporary_files;
        Ok(look.compare(&listing))
    }
}

/// One look at one directory, under way.
struct Look<'a> {
    directory: &'a OwnedFd,
    path: &'a Path,
    component: &'a str,
    now: DateTime<Utc>,
    before: Collection,
    after: Collection,
}

impl Look<'_> {
    fn compare(mut self, listing: &Listing) -> Collection {
        for (name, error) in &listing.unknown {
            let path = self.path.join(name);
            let message = format!("{}: cannot be read: {error}", path.display());
            self.after.problems.push(Problem { path, modified: None, message });
        }
        let mut described = vec![false; listing.archives.len()];
        let mut backups = Vec::with_capacity(listing.manifests.len());
        for &(id, stamp) in &listing.manifests {
            match self.backup(id, stamp, listing) {
                Some(found) => {
                    for (name, _) in &found.memory.archives {
                        if let Ok(at) = listing.archives.binary_search_by(|file| file.name.cmp(name)) {
                            described[at] = true;
                        }
                    }
                    self.after.memory.push(found.memory);
                    backups.push(found.view);
                }
                None => {
                    // Its archives may well be good: they are not orphans that could be deleted.
                    for (file, described) in listing.archives.iter().zip(&mut described) {
                        *described |= file.id == id;
                    }
                }
            }
        }
        for (file, _) in listing.archives.iter().zip(&described).filter(|(_, described)| !**described) {
            if listing.has_manifest(file.id) || self.is_alone(file) {
                self.after.orphan_files += 1;
                self.after.orphan_bytes += file.size_bytes;
            }
        }
        let view = CollectionView { backups };
        self.after.view = if view == *self.before.view { self.before.view } else { Arc::new(view) };
        self.after
    }

    /// One backup, from memory as far as its files have not changed; nothing when its manifest cannot be read.
    fn backup(&mut self, id: BackupId, stamp: Stamp, listing: &Listing) -> Option<Found> {
        let known = self.before.view.backups.binary_search_by_key(&id, |backup| backup.backup_id).ok();
        let known = known.filter(|at| self.before.memory[*at].manifest == Some(stamp));
        let mut found = match known {
            Some(at) => {
                self.after.name = self.after.name.take().or_else(|| self.before.name.clone());
                let memory = &mut self.before.memory[at];
                let archives = std::mem::take(&mut memory.archives);
                let memory = Memory { manifest: memory.manifest, record: memory.record, archives };
                Found { view: self.before.view.backups[at].clone(), memory }
            }
            None => self.read_manifest(id, stamp)?,
        };
        let mut known = self.record(&mut found, listing.record(id));
        let mut complete = true;
        for (name, size_bytes) in &found.memory.archives {
            let at = listing.archives.binary_search_by(|file| file.name.cmp(name)).ok();
            if at.map(|at| listing.archives[at].size_bytes) == Some(*size_bytes) {
                continue;
            }
            // A listing is no instant: what was renamed into the directory meanwhile may be missing in it.
            match self.size_now(name) {
                Ok(size) => complete &= size == Some(*size_bytes),
                Err(_) => known = false,
            }
        }
        found.view.condition = match (complete, found.view.verification_failed) {
            (false, _) => Condition::Incomplete,
            (true, true) => Condition::Failed,
            (true, false) if known => Condition::Good,
            (true, false) => Condition::Unknown,
        };
        // As with archives: of a backup that is being pruned, the manifest goes first.
        let pruned =
            !complete && matches!(stat_in(self.directory, &self.file_name(id, "manifest")), Ok(None));
        (!pruned).then_some(found)
    }

    fn read_manifest(&mut self, id: BackupId, stamp: Stamp) -> Option<Found> {
        let path = self.path.join(self.file_name(id, "manifest"));
        let manifest = match json_file::read::<Manifest>(&path) {
            Ok(manifest) => manifest,
            Err(error) if error.is_not_found() => return None,
            Err(error) => {
                self.note(path, stamp, error.to_string());
                return None;
            }
        };
        // A collection called `files` has the component of the configuration files and another place.
        let of_files = self.component == "files"
            && self.path.parent().is_some_and(|parent| !parent.ends_with("collections"));
        let other_name = manifest.collection.is_files() != of_files
            || self.after.name.as_ref().is_some_and(|name| *name != manifest.collection);
        if manifest.backup_id != id || layout::component(&manifest.collection) != self.component || other_name
        {
            let message = format!(
                "{}:1: not this place's manifest: it describes backup {} of collection \"{}\"",
                path.display(),
                manifest.backup_id,
                manifest.collection
            );
            self.note(path, stamp, message);
            return None;
        }
        let view = BackupView {
            backup_id: id,
            started_at: manifest.started_at,
            points: manifest.points_count(),
            snapshot_size_bytes: manifest.snapshot_size_bytes(),
            stored_size_bytes: manifest.stored_size_bytes(),
            condition: Condition::Good,
            verification_failed: false,
            levels: Box::default(),
        };
        let archives = manifest.archives.into_iter();
        let archives =
            archives.map(|archive| (archive.file_name.into_boxed_str(), archive.stored.size_bytes)).collect();
        self.after.name = Some(manifest.collection);
        Some(Found { view, memory: Memory { manifest: stamp.settled(self.now), record: None, archives } })
    }

    /// Brings what is known of a backup's verification up to date. Whether anything is: a record that cannot be read may
    /// say that the backup is bad.
    fn record(&mut self, found: &mut Found, stamp: Option<Stamp>) -> bool {
        if stamp.is_some() && found.memory.record == stamp {
            return true;
        }
        found.memory.record = None;
        found.view.verification_failed = false;
        found.view.levels = Box::default();
        let Some(stamp) = stamp else { return true };
        let id = found.view.backup_id;
        let path = self.path.join(self.file_name(id, "verification"));
        match json_file::read::<VerificationRecord>(&path) {
            Ok(record) if record.backup_id == id => {
                found.memory.record = stamp.settled(self.now);
                found.view.verification_failed = record.failed();
                found.view.levels = levels(&record);
                true
            }
            Ok(record) => {
                let about = record.backup_id;
                let message =
                    format!("{}:1: not this place's record: it is about backup {about}", path.display());
                self.note(path, stamp, message);
                false
            }
            Err(error) if error.is_not_found() => true,
            Err(error) => {
                self.note(path, stamp, error.to_string());
                false
            }
        }
    }

    /// Whether an archive is still there, and still without a manifest: its backup may have been completed, or
    /// its removal, since the listing.
    fn is_alone(&self, file: &ArchiveFile) -> bool {
        let there = |name: &str| matches!(stat_in(self.directory, name), Ok(Some(_)));
        there(&file.name) && !there(&self.file_name(file.id, "manifest"))
    }

    fn size_now(&self, name: &str) -> io::Result<Option<u64>> {
        let stat = stat_in(self.directory, name)?;
        Ok(stat.and_then(|stat| u64::try_from(stat.st_size).ok()))
    }

    fn file_name(&self, id: BackupId, what: &str) -> String {
        format!("{}.{what}.json", stem(self.component, id))
    }

    fn note(&mut self, path: std::path::PathBuf, stamp: Stamp, message: String) {
        self.after.problems.push(Problem { path, modified: stamp.modified(), message });
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use qdrant_backup_shared::atomic;
    use rustix::fs::CWD;

    use super::super::files::open_directory;
    use super::*;

    const MANIFEST: &str = include_str!("../../../shared/testdata/manifest-v1.json");
    const STEM: &str = "mixtral_embeddings-2025-07-15-14-30-00";

    fn look(path: &Path, before: Collection, now: DateTime<Utc>) -> Collection {
        let directory = open_directory(CWD, path).unwrap();
        Collection::look(&directory, path, "mixtral_embeddings", before, now).unwrap()
    }

    /// What was read, with a mark that is in no file: it stays exactly as long as nothing is read again.
    fn marked(mut collection: Collection) -> Collection {
        let mut view = (*collection.view).clone();
        view.backups[0].points = Some(77);
        collection.view = Arc::new(view);
        collection
    }

    #[test]
    fn an_unchanged_manifest_is_not_read_again_and_a_fresh_one_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(format!("{STEM}.manifest.json"));
        atomic::write(&path, 0o600, MANIFEST.as_bytes()).unwrap();
        let written = Stamp::at(&path).unwrap().modified().unwrap();
        let points = |collection: &Collection| collection.view.backups[0].points;

        let fresh = look(directory.path(), Collection::default(), written);
        assert_eq!(points(&look(directory.path(), marked(fresh), written)), Some(250));

        let settled = look(directory.path(), Collection::default(), written + TimeDelta::seconds(5));
        let again = look(directory.path(), marked(settled), written + TimeDelta::seconds(6));
        assert_eq!(points(&again), Some(77), "from memory");
        assert_eq!(again.name.as_ref().map(CollectionName::as_str), Some("mixtral_embeddings"));

        atomic::write(&path, 0o600, MANIFEST.as_bytes()).unwrap();
        assert_eq!(points(&look(directory.path(), again, written + TimeDelta::seconds(9))), Some(250));
    }

    /// What comes of a listing when `change` happens right after it.
    fn overtaken(path: &Path, before: Collection, change: impl FnOnce()) -> Collection {
        let directory = open_directory(CWD, path).unwrap();
        let component = "mixtral_embeddings";
        let listing = Listing::read(&directory, component).unwrap();
        change();
        let now = DateTime::UNIX_EPOCH;
        let look = Look { directory: &directory, path, component, now, before, after: Collection::default() };
        look.compare(&listing)
    }

    #[test]
    fn what_changes_after_the_listing_is_not_taken_for_damage() {
        let directory = tempfile::tempdir().unwrap();
        let path = |suffix: &str| directory.path().join(format!("{STEM}.{suffix}"));
        let (manifest, archive) = (path("manifest.json"), path("snapshot.gz"));
        let put_archive = || atomic::write(&archive, 0o600, &vec![0; 61_234]).unwrap();
        let put_manifest = || atomic::write(&manifest, 0o600, MANIFEST.as_bytes()).unwrap();

        put_archive();
        let completed = overtaken(directory.path(), Collection::default(), put_manifest);
        assert_eq!(completed.orphan_files, 0, "its manifest came later");

        std::fs::remove_file(&archive).unwrap();
        let completed = overtaken(directory.path(), Collection::default(), put_archive);
        assert_eq!(completed.view.backups[0].condition, Condition::Good, "its archive came later");

        std::fs::remove_file(&archive).unwrap();
        let settled = Stamp::at(&manifest).unwrap().modified().unwrap() + TimeDelta::seconds(5);
        let before = look(directory.path(), Collection::default(), settled);
        assert_eq!(before.view.backups[0].condition, Condition::Incomplete);
        let pruned = overtaken(directory.path(), before, || std::fs::remove_file(&manifest).unwrap());
        assert!(pruned.view.backups.is_empty() && pruned.problems.is_empty(), "{pruned:?}");

        put_archive();
        let pruned = overtaken(directory.path(), Collection::default(), || {
            std::fs::remove_file(&archive).unwrap();
        });
        assert_eq!(pruned.orphan_files, 0);
        put_archive();
        assert_eq!(look(directory.path(), Collection::default(), settled).orphan_files, 1, "a real one");
    }
}
