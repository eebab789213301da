//! The contents of a backup directory: backups, and all other files. Used by runner and exporter.
//!
//! A backup exists if and only if its manifest does. A file that cannot be read never hides the others: it becomes an entry of
//! [`Catalog::unreadable`]. A reader without the lock may see an unfinished prune or commit: files that disappear during the scan
//! are ignored, and files that seem to be missing are looked up again.

mod backup;
mod shelf;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

pub use backup::{
    Backup, CLOCKS, Condition, Copied, LevelCheck, Remarks, StoredFile, Whole, WholeError, counts_as_newest,
};
pub use shelf::{Memory, Orphan, Place, Shelf, Unreadable};

use crate::collection_name::CollectionName;
use crate::layout::Layout;

/// Result of one scan of a backup directory.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Each collection's backups, oldest first: by start, then by id.
    pub collections: BTreeMap<CollectionName, Vec<Backup>>,
    /// Archives without a manifest, left by a killed run or a prune. Each may be the last copy.
    pub orphans: Vec<Orphan>,
    /// Temporary files of the current run, or of one that was killed.
    pub temporary: Vec<PathBuf>,
    /// Manifests, records and directories that cannot be read, each with one line that says why.
    pub unreadable: Vec<Unreadable>,
}

impl Catalog {
    /// Scans the directories of `layout`.
    ///
    /// # Errors
    /// Only when the directory of collections itself cannot be listed, or is a dangling link. If it does not exist yet, that is
    /// not an error.
    pub fn read(layout: &Layout) -> io::Result<Self> {
        let mut catalog = Self::default();
        for place in Place::collections(layout)?.into_iter().chain(Place::files(layout)) {
            match Shelf::read(layout, &place, &mut shelf::NoMemory) {
                Ok(shelf) => catalog.add(shelf),
                Err(error) => catalog.unreadable.push(place.unreadable(&error)),
            }
        }
        catalog.orphans.sort_by(|a, b| a.path.cmp(&b.path));
        catalog.temporary.sort();
        catalog.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(catalog)
    }

    fn add(&mut self, shelf: Shelf) {
        if let Some(collection) = shelf.collection {
            let mut backups = shelf.backups;
            // Ids alone are not enough: if several backups start within a second, the id of a pruned one can be
            // reused.
            backups.sort_by_key(|backup| (backup.started_at, backup.backup_id));
            self.collections.insert((*collection).clone(), backups);
        }
        self.orphans.extend(shelf.orphans);
        self.temporary.extend(shelf.temporary);
        self.unreadable.extend(shelf.unreadable);
    }

    /// The collections that have backups, without configuration files.
    pub fn collection_names(&self) -> impl Iterator<Item = &CollectionName> {
        self.collections.keys().filter(|name| !name.is_files())
    }

    /// Everything unreadable that may be, or hide, a manifest. Verification records are not among it: the next check writes them
    /// again.
    pub fn unreadable_manifests(&self) -> impl Iterator<Item = &Unreadable> {
        self.unreadable.iter().filter(|entry| !entry.path.to_string_lossy().ends_with(".verification.json"))
    }

    /// The newest good backup of each collection that has one.
    pub fn newest_good(&self) -> impl Iterator<Item = (&CollectionName, &Backup)> {
        self.collections
            .iter()
            .filter_map(|(name, backups)| Some((name, backups.iter().rev().find(|backup| backup.is_good())?)))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "changes by other programs are neither atomic nor durable")]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::atomic;
    use crate::backup_id::BackupId;
    use crate::hold::Hold;
    use crate::json_file;
    use crate::verification::{CheckOutcome, Level, VerificationRecord};

    const MANIFEST: &str = include_str!("../../testdata/manifest-v1.json");
    const STEM: &str = "mixtral_embeddings-2025-07-15-14-30-00";

    struct Place {
        directory: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            fs::create_dir_all(directory.path().join("collections/mixtral_embeddings")).unwrap();
            Self { directory }
        }

        fn put(&self, name: &str, contents: &[u8]) {
            atomic::write(
                &self.directory.path().join("collections/mixtral_embeddings").join(name),
                0o600,
                contents,
            )
            .unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join("collections/mixtral_embeddings").join(name)
        }

        fn catalog(&self) -> Catalog {
            Catalog::read(&Layout::new(self.directory.path(), self.directory.path())).unwrap()
        }

        fn only_backup(&self) -> Backup {
            self.catalog().collections.into_values().next().unwrap().remove(0)
        }
    }

    #[test]
    fn a_backup_that_took_the_id_of_a_pruned_one_is_still_the_newest() {
        let place = Place::new();
        for (id, started_at) in [("00", "00.900Z"), ("01", "00.300Z"), ("02", "00.600Z")] {
            let id = format!("2025-07-15-14-30-{id}");
            let manifest = MANIFEST
                .replace(STEM, &format!("mixtral_embeddings-{id}"))
                .replace("\"2025-07-15-14-30-00\"", &format!("\"{id}\""))
                .replace(
                    "\"started_at\": \"2025-07-15T14:30:00.125Z\"",
                    &format!("\"started_at\": \"2025-07-15T14:30:{started_at}\""),
                );
            place.put(&format!("mixtral_embeddings-{id}.manifest.json"), manifest.as_bytes());
            place.put(&format!("mixtral_embeddings-{id}.snapshot.gz"), &vec![0; 61_234]);
        }
        let catalog = place.catalog();
        let backups = catalog.collections.values().next().unwrap();
        let seconds: Vec<i64> =
            backups.iter().map(|backup| backup.backup_id.time().timestamp() % 60).collect();
        assert_eq!(seconds, [1, 2, 0]);
        let (_, newest) = catalog.newest_good().next().unwrap();
        assert_eq!(newest.backup_id.time().timestamp() % 60, 0);
    }

    #[test]
    fn a_manifest_with_its_archive_is_a_good_backup() {
        let place = Place::new();
        place.put(&format!("{STEM}.manifest.json"), MANIFEST.as_bytes());
        place.put(&format!("{STEM}.snapshot.gz"), &vec![0; 61_234]);
        assert_eq!(place.only_backup().condition(), Condition::Good);
        assert_eq!(place.catalog().newest_good().count(), 1);
        assert!(place.catalog().orphans.is_empty());
    }

    #[test]
    fn an_archive_that_is_missing_or_of_another_size_is_incomplete() {
        let place = Place::new();
        place.put(&format!("{STEM}.manifest.json"), MANIFEST.as_bytes());
        assert_eq!(place.only_backup().condition(), Condition::Incomplete);
        place.put(&format!("{STEM}.snapshot.gz"), b"short");
        let backup = place.only_backup();
        assert_eq!(backup.condition(), Condition::Incomplete);
        assert!(backup.remarks().missing.as_ref().unwrap().contains("has 5 bytes, expected 61234"));
        assert_eq!(place.catalog().newest_good().count(), 0);
    }

    #[test]
    fn an_archive_without_a_manifest_is_an_orphan_and_no_backup() {
        let place = Place::new();
        place.put(&format!("{STEM}.snapshot.gz"), b"12345");
        place.put(&format!(".{STEM}.snapshot.gz.abc.tmp"), b"1");
        place.put("notes.txt", b"foreign");
        let catalog = place.catalog();
        assert!(catalog.collections.is_empty());
        assert_eq!(catalog.orphans.len(), 1);
        assert_eq!(catalog.orphans[0].size_bytes, 5);
        assert_eq!(catalog.temporary.len(), 1);
    }

    #[test]
    fn a_bad_manifest_hides_nothing_and_its_archive_is_no_orphan() {
        let place = Place::new();
        place.put(&format!("{STEM}.manifest.json"), &MANIFEST.as_bytes()[..300]);
        place.put(&format!("{STEM}.snapshot.gz"), b"x");
        place.put("mixtral_embeddings-2025-07-16-14-30-00.manifest.json", MANIFEST.as_bytes());
        let catalog = place.catalog();
        assert_eq!(catalog.unreadable.len(), 2, "{:?}", catalog.unreadable);
        assert!(catalog.unreadable[1].problem.contains("this manifest belongs elsewhere"));
        assert!(catalog.orphans.is_empty());
    }

    #[test]
    fn a_failed_verification_makes_a_backup_bad_and_a_torn_record_is_reported() {
        let place = Place::new();
        place.put(&format!("{STEM}.manifest.json"), MANIFEST.as_bytes());
        place.put(&format!("{STEM}.snapshot.gz"), &vec![0; 61_234]);
        let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();
        let mut record = VerificationRecord::new(id);
        record.enter(Level::Archive, id.time(), CheckOutcome::Failed, 1.0, Vec::new());
        place.put(&format!("{STEM}.verification.json"), &json_file::to_bytes(&record).unwrap());
        assert_eq!(place.only_backup().condition(), Condition::Failed);
        place.put(&format!("{STEM}.verification.json"), b"{");
        assert_eq!(place.catalog().unreadable.len(), 1);
        let unknown = place.only_backup();
        assert_eq!(unknown.condition(), Condition::Unknown, "what it said may have been that it is bad");
        assert!(unknown.remarks().unknown.as_ref().unwrap().contains("verification record cannot be read"));
        assert_eq!(place.catalog().newest_good().count(), 0);
        fs::remove_file(place.path(&format!("{STEM}.verification.json"))).unwrap();
        assert_eq!(place.only_backup().condition(), Condition::Good, "never checked is not bad");
    }

    #[test]
    fn every_record_that_cannot_be_read_leaves_unknown_whether_the_backup_is_good() {
        let place = Place::new();
        place.put(&format!("{STEM}.manifest.json"), MANIFEST.as_bytes());
        place.put(&format!("{STEM}.snapshot.gz"), &vec![0; 61_234]);
        let record = place.path(&format!("{STEM}.verification.json"));
        let other = VerificationRecord::new("2020-01-01-00-00-00".parse().unwrap());
        for contents in
            [b"".to_vec(), b"{\"schema_version\": 2}".to_vec(), json_file::to_bytes(&other).unwrap()]
        {
            place.put(&format!("{STEM}.verification.json"), &contents);
            assert_eq!(place.only_backup().condition(), Condition::Unknown, "{contents:?}");
        }
        fs::remove_file(&record).unwrap();
        fs::create_dir(&record).unwrap();
        assert_eq!(place.only_backup().condition(), Condition::Unknown);
        fs::remove_dir(&record).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", &record).unwrap();
        assert_eq!(place.only_backup().condition(), Condition::Unknown, "a link that leads nowhere");
        assert!(place.catalog().unreadable[0].problem.contains("/nowhere/at/all"));
    }

    /// Prunes and commits may happen while this reads without the lock.
    #[test]
    fn what_vanishes_or_comes_while_it_is_looked_at_is_neither_damage_nor_a_failure() {
        let place = Place::new();
        let collection = place.directory.path().join("collections/mixtral_embeddings");
        let path = |suffix: &str| collection.join(format!("{STEM}.{suffix}"));
        let (manifest, archive) = (path("manifest.json"), path("snapshot.gz"));
        let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();

        // A writer that never pauses, and a reader that reads all the time.
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                for _ in 0..3000 {
                    let catalog = place.catalog();
                    assert_eq!(catalog.unreadable, []);
                    assert!(catalog.collections.values().flatten().all(Backup::is_good), "{catalog:?}");
                }
            });
            for second in 0.. {
                if looking.is_finished() {
                    break;
                }
                let new = BackupId::at(id.time() + chrono::TimeDelta::seconds(second)).to_string();
                let named =
                    |path: &Path| PathBuf::from(path.to_str().unwrap().replace(&id.to_string(), &new));
                let (manifest, archive) = (named(&manifest), named(&archive));
                fs::create_dir_all(&collection).unwrap();
                fs::write(&archive, vec![0; 61_234]).unwrap();
                fs::write(collection.join("t"), MANIFEST.replace(&id.to_string(), &new)).unwrap();
                fs::rename(collection.join("t"), &manifest).unwrap();
                fs::remove_file(&manifest).unwrap();
                fs::remove_file(&archive).unwrap();
                fs::remove_dir(&collection).unwrap();
            }
        });
    }

    #[test]
    fn links_are_followed_to_directories_and_those_that_lead_nowhere_are_problems() {
        use std::os::unix::fs::symlink;
        let place = Place::new();
        place.put(&format!("{STEM}.manifest.json"), MANIFEST.as_bytes());
        place.put(&format!("{STEM}.snapshot.gz"), &vec![0; 61_234]);
        let root = place.directory.path();
        let collections = root.join("collections");
        fs::rename(collections.join("mixtral_embeddings"), root.join("moved")).unwrap();
        symlink("../moved", collections.join("mixtral_embeddings")).unwrap();
        assert_eq!(place.only_backup().condition(), Condition::Good);
        fs::rename(&collections, root.join("all")).unwrap();
        symlink("all", &collections).unwrap();
        assert_eq!(place.only_backup().condition(), Condition::Good);

        symlink("/nowhere/at/all", collections.join("gone")).unwrap();
        symlink("/nowhere/at/all", root.join("files")).unwrap();
        let catalog = place.catalog();
        let problems: Vec<&str> = catalog.unreadable.iter().map(|entry| entry.problem.as_str()).collect();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains("/nowhere/at/all")), "{problems:?}");
        assert_eq!(catalog.newest_good().count(), 1, "and hide nothing");

        fs::rename(root.join("all"), root.join("lost")).unwrap();
        let error = Catalog::read(&Layout::new(root, root)).unwrap_err();
        assert!(error.to_string().contains("a link to all, which does not exist"), "{error}");
    }

    #[test]
    fn behind_a_link_only_our_own_temporary_files_are_ours() {
        let place = Place::new();
        let ours = [
            format!(".{STEM}.snapshot.gz.aBcDeF.tmp"),
            format!(".{STEM}.manifest.json.aBcDeF.tmp"),
            format!(".{STEM}.verification.json.aBcDeF.tmp"),
        ];
        for name in ours
            .iter()
            .map(String::as_str)
            .chain([".settings.tmp", ".other-2025-07-15-14-30-00.snapshot.x.tmp"])
        {
            place.put(name, b"x");
        }
        let found = place.catalog().temporary;
        let mut names: Vec<&str> =
            found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        names.sort_unstable();
        let mut ours: Vec<&str> = ours.iter().map(String::as_str).collect();
        ours.sort_unstable();
        assert_eq!(names, ours);
    }

    #[test]
    fn a_hold_file_holds_even_when_it_cannot_be_read() {
        let place = Place::new();
        place.put(&format!("{STEM}.manifest.json"), MANIFEST.as_bytes());
        assert_eq!(place.only_backup().remarks().hold, None);
        let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();
        let hold = Hold::new(id, id.time(), Some("before the migration".to_owned()));
        place.put(&format!("{STEM}.hold.json"), &json_file::to_bytes(&hold).unwrap());
        assert_eq!(place.only_backup().remarks().hold.as_deref(), Some("before the migration"));
        place.put(&format!("{STEM}.hold.json"), b"");
        assert!(place.only_backup().remarks().hold.is_some());
        assert_eq!(place.catalog().unreadable.len(), 1);
    }
}
