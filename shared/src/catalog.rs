//! What is really in a backup directory: backups, and everything that is not one.
//!
//! A backup exists if and only if its manifest does. A file that cannot be read never hides the
//! others: it becomes an entry of [`Catalog::unreadable`].

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::backup_id::BackupId;
use crate::collection_name::CollectionName;
use crate::hold::Hold;
use crate::json_file::{self, ReadError};
use crate::layout::{FileRole, Layout, role, stem};
use crate::manifest::Manifest;
use crate::verification::VerificationRecord;

/// Everything found in one look at a backup directory.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Each collection's backups, oldest first.
    pub collections: BTreeMap<CollectionName, Vec<Backup>>,
    /// Archives without a manifest: left by a run that was killed, or by a prune. Each may be a last copy.
    pub orphans: Vec<Orphan>,
    /// Temporary files: of the run that is going on, or of one that was killed.
    pub temporary: Vec<PathBuf>,
    /// Manifests, records and directories that cannot be read, each with one line that says why.
    pub unreadable: Vec<Unreadable>,
}

/// One backup, as its files are.
#[derive(Debug, Clone, PartialEq)]
pub struct Backup {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its verification record, once there is one.
    pub verification: Option<VerificationRecord>,
    /// Why it is on hold, if it is: the reason that was given, or nothing. A hold file that cannot be read holds too.
    pub hold: Option<String>,
    /// What is wrong with its archives' presence or size; nothing for a complete backup.
    pub missing: Option<String>,
}

/// Whether a backup can be trusted, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Complete, and not failed at any level of verification.
    Good,
    /// An archive is missing or has another size than the manifest says.
    Incomplete,
    /// Verification found it bad.
    Failed,
}

/// An archive without a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What.
    pub path: PathBuf,
    /// Why, in one line that names the path.
    pub problem: String,
}

impl Backup {
    /// Whether it can be trusted.
    pub fn condition(&self) -> Condition {
        if self.missing.is_some() {
            Condition::Incomplete
        } else if self.verification.as_ref().is_some_and(VerificationRecord::failed) {
            Condition::Failed
        } else {
            Condition::Good
        }
    }

    /// Whether it is complete and not known to be bad.
    pub fn is_good(&self) -> bool {
        self.condition() == Condition::Good
    }
}

impl Catalog {
    /// Looks at everything that `layout` says.
    ///
    /// # Errors
    /// Only when the directory of collections itself cannot be listed; that it is not there yet is no error.
    pub fn read(layout: &Layout) -> io::Result<Self> {
        let mut catalog = Self::default();
        match fs::read_dir(layout.collections()) {
            Ok(entries) => {
                for entry in entries {
                    let path = entry?.path();
                    // Also a link to a directory: somebody moved one collection to another disk.
                    match fs::metadata(&path) {
                        Ok(metadata) if !metadata.is_dir() => {}
                        Ok(_) | Err(_) => catalog.read_collection(&path, false),
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if layout.files().is_dir() {
            catalog.read_collection(&layout.files(), true);
        }
        for backups in catalog.collections.values_mut() {
            backups.sort_by_key(|backup| backup.manifest.backup_id);
        }
        catalog.orphans.sort_by(|a, b| a.path.cmp(&b.path));
        catalog.temporary.sort();
        catalog.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(catalog)
    }

    /// The collections that have backups; configuration files are none.
    pub fn collection_names(&self) -> impl Iterator<Item = &CollectionName> {
        self.collections.keys().filter(|name| !name.is_files())
    }

    /// The newest good backup of each collection that has one.
    pub fn newest_good(&self) -> impl Iterator<Item = (&CollectionName, &Backup)> {
        self.collections
            .iter()
            .filter_map(|(name, backups)| Some((name, backups.iter().rev().find(|backup| backup.is_good())?)))
    }

    fn read_collection(&mut self, directory: &Path, of_files: bool) {
        if let Err(error) = self.try_read_collection(directory, of_files) {
            self.note_unreadable(directory, format!("{}: cannot be read: {error}", directory.display()));
        }
    }

    fn try_read_collection(&mut self, directory: &Path, of_files: bool) -> io::Result<()> {
        // A name that is not UTF-8 is none of ours; its files count as foreign.
        let Some(component) = directory.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
        let mut archives: BTreeMap<String, (BackupId, u64)> = BTreeMap::new();
        let mut manifests = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let Some(file_name) = file_name.to_str() else { continue };
            match role(component, file_name) {
                FileRole::Archive { id } => {
                    archives.insert(file_name.to_owned(), (id, entry.metadata()?.len()));
                }
                FileRole::Manifest { id } => manifests.push((id, entry.path())),
                FileRole::Temporary => self.temporary.push(entry.path()),
                FileRole::Verification { .. } | FileRole::Hold { .. } | FileRole::Foreign => {}
            }
        }
        let mut described = Vec::new();
        for (id, path) in manifests {
            match read_backup((component, of_files), id, &path, &archives) {
                Ok((backup, problems)) => {
                    self.unreadable.extend(problems);
                    described
                        .extend(backup.manifest.archives.iter().map(|archive| archive.file_name.clone()));
                    self.collections.entry(backup.manifest.collection.clone()).or_default().push(backup);
                }
                Err(problem) => {
                    // Its archives may well be good: they are not orphans that could be deleted.
                    described.extend(
                        archives.iter().filter(|(_, (of, _))| *of == id).map(|(name, _)| name.clone()),
                    );
                    // Whoever looks without the lock may see a backup that is being pruned.
                    if !matches!(path.try_exists(), Ok(false)) {
                        self.note_unreadable(&path, problem);
                    }
                }
            }
        }
        for (name, (_, size_bytes)) in archives {
            if !described.contains(&name) {
                self.orphans.push(Orphan { path: directory.join(name), size_bytes });
            }
        }
        Ok(())
    }

    fn note_unreadable(&mut self, path: &Path, problem: String) {
        self.unreadable.push(Unreadable { path: path.to_owned(), problem });
    }
}

/// Reads one backup, and what is wrong with those of its lesser files that cannot be read.
fn read_backup(
    (component, of_files): (&str, bool),
    id: BackupId,
    path: &Path,
    archives: &BTreeMap<String, (BackupId, u64)>,
) -> Result<(Backup, Vec<Unreadable>), String> {
    let manifest: Manifest = json_file::read(path).map_err(|error| error.to_string())?;
    let here = crate::layout::component(&manifest.collection) == component
        && manifest.collection.is_files() == of_files;
    if manifest.backup_id != id || !here {
        return Err(format!(
            "{}:1: not this place's manifest: it describes backup {} of collection \"{}\"",
            path.display(),
            manifest.backup_id,
            manifest.collection
        ));
    }
    let beside = |suffix: &str| path.with_file_name(format!("{}{suffix}", stem(component, id)));
    let mut problems = Vec::new();
    let record_path = beside(".verification.json");
    let record = json_file::read::<VerificationRecord>(&record_path);
    let verification = about(id, &record_path, record, |record| record.backup_id).unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let hold_path = beside(".hold.json");
    let hold = about(id, &hold_path, json_file::read::<Hold>(&hold_path), |hold| hold.backup_id);
    let hold = hold.map(|hold| hold.map(|hold| hold.reason.unwrap_or_default())).unwrap_or_else(|problem| {
        problems.push(problem);
        Some("its hold file cannot be read".to_owned())
    });
    let missing = manifest.archives.iter().find_map(|archive| match archives.get(&archive.file_name) {
        None => Some(format!("archive {} is missing", archive.file_name)),
        Some((_, size)) if *size != archive.stored.size_bytes => Some(format!(
            "archive {} has {size} bytes and must have {}",
            archive.file_name, archive.stored.size_bytes
        )),
        Some(_) => None,
    });
    Ok((Backup { manifest, verification, hold, missing }, problems))
}

/// What was read from `path`, if it is there and about backup `id`.
fn about<T>(
    id: BackupId,
    path: &Path,
    read: Result<T, ReadError>,
    id_of: impl FnOnce(&T) -> BackupId,
) -> Result<Option<T>, Unreadable> {
    let unreadable = |problem: String| Unreadable { path: path.to_owned(), problem };
    match read {
        Ok(file) => match id_of(&file) {
            of if of == id => Ok(Some(file)),
            of => Err(unreadable(format!(
                "{}:1: not this place's file: it is about backup {of}",
                path.display()
            ))),
        },
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic;
    use crate::verification::{CheckOutcome, Level};

    const MANIFEST: &str = include_str!("../testdata/manifest-v1.json");
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

        fn catalog(&self) -> Catalog {
            Catalog::read(&Layout::new(self.directory.path(), self.directory.path())).unwrap()
        }

        fn only_backup(&self) -> Backup {
            self.catalog().collections.into_values().next().unwrap().remove(0)
        }
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
        assert!(backup.missing.unwrap().contains("has 5 bytes and must have 61234"));
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
        assert!(catalog.unreadable[1].problem.contains("not this place's manifest"));
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
        assert_eq!(
            place.only_backup().condition(),
            Condition::Good,
            "never checked is not bad, and the record is reported"
        );
    }
    #[test]
    fn a_hold_file_holds_even_when_it_cannot_be_read() {
        let place = Place::new();
        place.put(&format!("{STEM}.manifest.json"), MANIFEST.as_bytes());
        assert_eq!(place.only_backup().hold, None);
        let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();
        let hold = Hold::new(id, id.time(), Some("before the migration".to_owned()));
        place.put(&format!("{STEM}.hold.json"), &json_file::to_bytes(&hold).unwrap());
        assert_eq!(place.only_backup().hold.as_deref(), Some("before the migration"));
        place.put(&format!("{STEM}.hold.json"), b"");
        assert!(place.only_backup().hold.is_some());
        assert_eq!(place.catalog().unreadable.len(), 1);
    }
}
