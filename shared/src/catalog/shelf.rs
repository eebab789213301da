//! One directory of backups. This is the only place that decides what a backup is and what state it is in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::backup::{Backup, Copied};
use crate::backup_id::BackupId;
use crate::collection_name::CollectionName;
use crate::hold::Hold;
use crate::json_file::{self, ReadError};
use crate::layout::{
    FileRole, HOLD_SUFFIX, Layout, MANIFEST_SUFFIX, VERIFICATION_SUFFIX, component, role, stem,
};
use crate::links;
use crate::manifest::Manifest;
use crate::offsite::OffsiteRecord;
use crate::verification::VerificationRecord;

/// An archive without a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Path of the archive.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Path of the file or directory.
    pub path: PathBuf,
    /// Why, in one line that names the path.
    pub problem: String,
}

/// A directory that may contain backups: of a collection, or of configuration files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    of_files: bool,
    component: String,
    path: PathBuf,
}

/// Result of one scan of a [`Place`].
#[derive(Debug, Default)]
pub struct Shelf {
    /// The collection, once a manifest named it.
    pub collection: Option<Arc<CollectionName>>,
    /// Its backups, oldest first.
    pub backups: Vec<Backup>,
    /// Archives without a manifest.
    pub orphans: Vec<Orphan>,
    /// Temporary files.
    pub temporary: Vec<PathBuf>,
    /// Manifests, records and archives that cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// Cache of an earlier scan of the same place, so that unchanged files are not read again. It is called for each backup in the
/// order of ids.
pub trait Memory {
    /// The cached backup `id`, if none of `files` has changed: its manifest, its verification record, which may be absent, and
    /// its copy records.
    fn backup(&mut self, id: BackupId, files: &[PathBuf]) -> Option<Backup>;

    /// One of these files could not be read: read all of them again.
    fn forget(&mut self);

    /// Whether hold files are needed. Only a prune needs them.
    fn asks_for_holds(&self) -> bool;
}

/// Remembers nothing, so that everything is read.
#[derive(Debug)]
pub(super) struct NoMemory;

impl Memory for NoMemory {
    fn backup(&mut self, _id: BackupId, _files: &[PathBuf]) -> Option<Backup> {
        None
    }

    fn forget(&mut self) {}

    fn asks_for_holds(&self) -> bool {
        true
    }
}

impl Place {
    /// The directories of all collections, by name. A link to a directory counts, because a collection may be moved to another
    /// disk. A dangling link counts too; reading it reports the problem. Names that are not UTF-8 are not ours.
    ///
    /// # Errors
    /// When the directory of collections cannot be listed, or is a dangling link. If it does not exist yet, that is not an error.
    pub fn collections(layout: &Layout) -> io::Result<Vec<Self>> {
        let directory = layout.collections();
        links::trusted(layout, &directory)?;
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => return links::absent(&directory, error).map(|()| Vec::new()),
        };
        let mut places = Vec::new();
        for entry in entries {
            let entry = entry?;
            let is_place = match entry.file_type() {
                Ok(kind) if !kind.is_symlink() => kind.is_dir(),
                Ok(_) | Err(_) => leads_to_a_directory(&entry.path()),
            };
            places.extend(Self::at(entry.path(), false).filter(|_| is_place));
        }
        places.sort_unstable();
        Ok(places)
    }

    /// The directory of configuration files' backups, if there is one.
    pub fn files(layout: &Layout) -> Option<Self> {
        Self::at(layout.files(), true).filter(|place| leads_to_a_directory(&place.path))
    }

    fn at(path: PathBuf, of_files: bool) -> Option<Self> {
        let component = path.file_name()?.to_str()?.to_owned();
        Some(Self { of_files, path, component })
    }

    /// Directory that holds these backups.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is that of configuration files.
    pub fn is_of_files(&self) -> bool {
        self.of_files
    }

    /// That it cannot be read.
    pub fn unreadable(&self, error: &io::Error) -> Unreadable {
        Unreadable::io(&self.path, error)
    }

    fn manifest(&self, id: BackupId) -> PathBuf {
        self.path.join(format!("{}{MANIFEST_SUFFIX}", stem(&self.component, id)))
    }
}

/// Whether `path` may contain backups: it is a directory, a link to one, or cannot be examined.
fn leads_to_a_directory(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => error.kind() != io::ErrorKind::NotFound || path.is_symlink(),
    }
}

impl Shelf {
    /// Scans `place`, and reads the files that `memory` does not know. Files that disappear during the scan are ignored, and
    /// files that seem to be missing are looked up again.
    ///
    /// # Errors
    /// When the directory cannot be listed, or is a link that is dangling or belongs to another user.
    pub fn read(layout: &Layout, place: &Place, memory: &mut dyn Memory) -> io::Result<Self> {
        links::trusted(layout, &place.path)?;
        Ok(Listing::read(place)?.map_or_else(Self::default, |listing| listing.judge(memory)))
    }
}

/// The files of a place by kind, sorted.
struct Listing<'a> {
    place: &'a Place,
    /// With the common prefix of their names.
    manifests: Vec<(BackupId, String)>,
    copies: Vec<(BackupId, PathBuf)>,
    archives: Vec<ArchiveFile>,
    found: Shelf,
}

struct ArchiveFile {
    name: Box<str>,
    id: BackupId,
    size_bytes: u64,
}

impl<'a> Listing<'a> {
    /// Lists the place. None if it does not exist.
    fn read(place: &'a Place) -> io::Result<Option<Self>> {
        let entries = match fs::read_dir(&place.path) {
            Ok(entries) => entries,
            Err(error) => return links::absent(&place.path, error).map(|()| None),
        };
        let (manifests, copies, archives) = (Vec::new(), Vec::new(), Vec::new());
        let mut listing = Self { place, manifests, copies, archives, found: Shelf::default() };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            match role(&place.component, name) {
                FileRole::Archive { id } => match entry.metadata() {
                    Ok(metadata) => {
                        listing.archives.push(ArchiveFile {
                            name: name.into(),
                            id,
                            size_bytes: metadata.len(),
                        });
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => listing.found.unreadable.push(Unreadable::io(&entry.path(), &error)),
                },
                FileRole::Manifest { id } => {
                    let stem = name.strip_suffix(MANIFEST_SUFFIX).unwrap_or(name);
                    listing.manifests.push((id, stem.to_owned()));
                }
                FileRole::Offsite { id } => listing.copies.push((id, entry.path())),
                FileRole::Temporary => listing.found.temporary.push(entry.path()),
                FileRole::Verification { .. } | FileRole::Hold { .. } | FileRole::Foreign => {}
            }
        }
        listing.manifests.sort_unstable();
        listing.copies.sort_unstable();
        listing.archives.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(listing))
    }

    fn judge(mut self, memory: &mut dyn Memory) -> Shelf {
        let mut described = vec![false; self.archives.len()];
        self.found.backups.reserve_exact(self.manifests.len());
        for (id, stem) in std::mem::take(&mut self.manifests) {
            match self.backup(id, &stem, memory) {
                Ok(backup) => {
                    for file in backup.archives.iter() {
                        if let Ok(at) = self.find(&file.name) {
                            described[at] = true;
                        }
                    }
                    self.found.collection.get_or_insert_with(|| Arc::clone(&backup.collection));
                    self.found.backups.push(backup);
                }
                Err(problem) => {
                    // Its archives may be good, so they are not orphans.
                    for (file, described) in self.archives.iter().zip(&mut described) {
                        *described |= file.id == id;
                    }
                    self.found.unreadable.extend(problem);
                }
            }
        }
        let alone = self.archives.iter().zip(described).filter(|(_, described)| !described);
        for (file, _) in alone {
            let path = self.place.path.join(&*file.name);
            // Its backup may have been completed, or its removal, since the listing.
            let of_a_backup = self.found.backups.binary_search_by_key(&file.id, |backup| backup.backup_id);
            if is_there(&path) && (of_a_backup.is_ok() || !is_there(&self.place.manifest(file.id))) {
                self.found.orphans.push(Orphan { path, size_bytes: file.size_bytes });
            }
        }
        self.found
    }

    /// One backup, or the problem if its manifest cannot be read. A failure without a problem means that it was pruned in the
    /// meantime.
    fn backup(
        &mut self,
        id: BackupId,
        stem: &str,
        memory: &mut dyn Memory,
    ) -> Result<Backup, Option<Unreadable>> {
        let place = self.place;
        let file = |suffix: &str| place.path.join([stem, suffix].concat());
        let mut files = vec![file(MANIFEST_SUFFIX), file(VERIFICATION_SUFFIX)];
        files.extend(self.copies_of(id));
        let problems = self.found.unreadable.len();
        let (mut missing, mut unknown, mut hold) = (None, None, None);
        let mut backup = match memory.backup(id, &files) {
            Some(backup) => backup,
            None => {
                let mut backup = self.read_manifest(id, &files[0])?;
                match about(id, &files[1], |record: &VerificationRecord| record.backup_id) {
                    Ok(record) => backup.take_record(record.as_ref()),
                    Err(problem) => {
                        unknown =
                            Some(format!("its verification record cannot be read ({})", problem.problem));
                        self.found.unreadable.push(problem);
                    }
                }
                backup.copies = self.read_copies(id, &files[2..]);
                if self.found.unreadable.len() > problems {
                    memory.forget();
                }
                backup
            }
        };
        if memory.asks_for_holds() {
            hold = match about(id, &file(HOLD_SUFFIX), |hold: &Hold| hold.backup_id) {
                Ok(hold) => hold.map(|hold| hold.reason.unwrap_or_default()),
                Err(problem) => {
                    self.found.unreadable.push(problem);
                    Some("its hold file cannot be read".to_owned())
                }
            };
        }
        for file in backup.archives.iter() {
            let (name, wanted) = (&file.name, file.size_bytes);
            if self.find(name).is_ok_and(|at| self.archives[at].size_bytes == wanted) {
                continue;
            }
            // A listing is not atomic: a file that was renamed into the directory in the meantime may be missing.
            match fs::symlink_metadata(place.path.join(&**name)).map(|metadata| metadata.len()) {
                Ok(size) if size == wanted => {}
                Ok(size) => missing = Some(format!("archive {name} has {size} bytes, expected {wanted}")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    missing = Some(format!("archive {name} is missing"));
                }
                Err(error) => unknown = Some(format!("archive {name} cannot be checked: {error}")),
            }
        }
        // When a backup is pruned, its manifest is deleted first.
        if missing.is_some() && !is_there(&files[0]) {
            self.found.unreadable.truncate(problems);
            return Err(None);
        }
        let before = backup.remarks();
        if (&before.missing, &before.unknown, &before.hold) != (&missing, &unknown, &hold) {
            backup.remark(|remarks| {
                (remarks.missing, remarks.unknown, remarks.hold) = (missing, unknown, hold);
            });
        }
        Ok(backup)
    }

    fn read_manifest(&self, id: BackupId, path: &Path) -> Result<Backup, Option<Unreadable>> {
        let manifest: Manifest = json_file::read(path)
            .map_err(|error| (!error.is_not_found()).then(|| Unreadable::file(path, &error)))?;
        let here = component(&manifest.collection) == self.place.component
            && manifest.collection.is_files() == self.place.of_files;
        if manifest.backup_id != id || !here {
            return Err(Some(Unreadable {
                path: path.to_owned(),
                problem: format!(
                    "{}:1: this manifest belongs elsewhere: it describes backup {} of collection \"{}\"",
                    path.display(),
                    manifest.backup_id,
                    manifest.collection
                ),
            }));
        }
        let collection = self.found.collection.as_ref().map(Arc::clone);
        let collection = collection.unwrap_or_else(|| Arc::new(manifest.collection.clone()));
        Ok(Backup::of(&manifest, collection))
    }

    /// The paths of the copy records of backup `id`.
    fn copies_of(&self, id: BackupId) -> impl Iterator<Item = PathBuf> {
        let begin = self.copies.partition_point(|(other, _)| *other < id);
        let of_it = self.copies[begin..].iter().take_while(move |(other, _)| *other == id);
        of_it.map(|(_, path)| path.clone())
    }

    /// The contents of these records. One that cannot be read is ignored: the next copy writes it again.
    fn read_copies(&mut self, id: BackupId, paths: &[PathBuf]) -> Arc<[Copied]> {
        let mut copies = Vec::with_capacity(paths.len());
        for path in paths {
            match about(id, path, |record: &OffsiteRecord| record.backup_id) {
                Ok(Some(record)) => copies.push(Copied {
                    place: record.place.into(),
                    copied_at: record.copied_at,
                    last_checked_at: record.last_checked_at,
                    only_copy: record.only_copy,
                }),
                Ok(None) => {}
                Err(problem) => self.found.unreadable.push(problem),
            }
        }
        copies.into()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.archives.binary_search_by(|file| (*file.name).cmp(name))
    }
}

/// Whether something has this name. If that cannot be determined, assumes yes.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).err().is_none_or(|error| error.kind() != io::ErrorKind::NotFound)
}

/// The contents of the file at `path`. None if it does not exist.
fn about<T: json_file::JsonFile>(
    id: BackupId,
    path: &Path,
    id_of: impl FnOnce(&T) -> BackupId,
) -> Result<Option<T>, Unreadable> {
    match json_file::read::<T>(path).map(|file| (id_of(&file), file)) {
        Ok((of, file)) if of == id => Ok(Some(file)),
        Ok((of, _)) => Err(Unreadable {
            path: path.to_owned(),
            problem: format!("{}:1: this file belongs elsewhere: it is about backup {of}", path.display()),
        }),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(Unreadable::file(path, &error)),
    }
}

impl Unreadable {
    /// The first of `entries`, and how many more there are. None if there are none.
    pub fn first_and_more<'a>(entries: impl IntoIterator<Item = &'a Self>) -> Option<String> {
        let mut entries = entries.into_iter();
        let first = &entries.next()?.problem;
        Some(match entries.count() {
            0 => first.clone(),
            more => format!("{first} (and {more} more)"),
        })
    }

    fn io(path: &Path, error: &io::Error) -> Self {
        Self { path: path.to_owned(), problem: format!("{}: cannot be read: {error}", path.display()) }
    }

    fn file(path: &Path, error: &ReadError) -> Self {
        Self { path: path.to_owned(), problem: error.to_string() }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "changes by other programs are neither atomic nor durable")]
mod tests {
    use super::super::Condition;
    use super::*;
    use crate::verification::{CheckOutcome, Level};

    const MANIFEST: &str = include_str!("../../testdata/manifest-v1.json");
    const STEM: &str = "mixtral_embeddings-2025-07-15-14-30-00";

    /// A place, its contents, and a change.
    struct Scene {
        directory: tempfile::TempDir,
        place: Place,
    }

    impl Scene {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("collections/mixtral_embeddings");
            fs::create_dir_all(&path).unwrap();
            Self { directory, place: Place::at(path, false).unwrap() }
        }

        fn path(&self, suffix: &str) -> PathBuf {
            self.place.path.join(format!("{STEM}.{suffix}"))
        }

        fn put_archive(&self) {
            fs::write(self.path("snapshot.gz"), vec![0; 61_234]).unwrap();
        }

        fn put_manifest(&self) {
            fs::write(self.path("manifest.json"), MANIFEST).unwrap();
        }

        fn remove(&self, suffix: &str) {
            fs::remove_file(self.path(suffix)).unwrap();
        }

        /// The result of a listing if `change` happens right after it.
        fn overtaken(&self, memory: &mut dyn Memory, change: impl FnOnce(&Self)) -> Shelf {
            let listing = Listing::read(&self.place).unwrap().unwrap();
            change(self);
            listing.judge(memory)
        }

        fn whole(&self) -> Shelf {
            self.overtaken(&mut NoMemory, |_| ())
        }
    }

    /// Remembers one backup, and that its files have not changed.
    struct Remembers(Backup);

    impl Memory for Remembers {
        fn backup(&mut self, _id: BackupId, _files: &[PathBuf]) -> Option<Backup> {
            Some(self.0.clone())
        }

        fn forget(&mut self) {}

        fn asks_for_holds(&self) -> bool {
            false
        }
    }

    #[test]
    fn what_changes_after_the_listing_is_not_taken_for_damage() {
        let scene = Scene::new();
        scene.put_archive();
        let completed = scene.overtaken(&mut NoMemory, Scene::put_manifest);
        assert!(completed.orphans.is_empty(), "its manifest came later");

        scene.remove("snapshot.gz");
        let completed = scene.overtaken(&mut NoMemory, Scene::put_archive);
        assert_eq!(completed.backups[0].condition(), Condition::Good, "its archive came later");

        scene.remove("snapshot.gz");
        let before = scene.whole().backups.remove(0);
        assert_eq!(before.condition(), Condition::Incomplete);
        for mut memory in [Box::new(NoMemory) as Box<dyn Memory>, Box::new(Remembers(before))] {
            scene.put_manifest();
            fs::write(scene.path("verification.json"), "{").unwrap();
            let pruned = scene.overtaken(&mut *memory, |scene| scene.remove("manifest.json"));
            assert!(pruned.backups.is_empty() && pruned.unreadable.is_empty(), "{pruned:?}");
        }

        scene.put_archive();
        let pruned = scene.overtaken(&mut NoMemory, |scene| scene.remove("snapshot.gz"));
        assert!(pruned.orphans.is_empty());
        scene.put_archive();
        assert_eq!(scene.whole().orphans.len(), 1, "a real one");
        scene.put_manifest();
        let pruned = scene.overtaken(&mut NoMemory, |scene| {
            scene.remove("manifest.json");
            scene.remove("snapshot.gz");
        });
        assert!(pruned.orphans.is_empty() && pruned.backups.is_empty() && pruned.unreadable.is_empty());
    }

    #[test]
    fn a_record_that_no_listing_shows_because_it_was_being_replaced_still_counts() {
        let scene = Scene::new();
        scene.put_archive();
        scene.put_manifest();
        let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();
        let mut record = VerificationRecord::new(id);
        record.enter(Level::Archive, id.time(), CheckOutcome::Failed, 1.0, Vec::new());
        let shelf = scene.overtaken(&mut NoMemory, |scene| {
            fs::write(scene.path("verification.json"), json_file::to_bytes(&record).unwrap()).unwrap();
        });
        assert_eq!(shelf.backups[0].condition(), Condition::Failed);
    }

    #[test]
    fn what_another_place_alone_is_to_have_is_neither_good_nor_incomplete() {
        let scene = Scene::new();
        scene.put_manifest();
        let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();
        let mut record =
            OffsiteRecord::new(id, "s3", "ab", id.time(), "cd".to_owned(), vec!["ef".to_owned()]);
        let put = |record: &OffsiteRecord| {
            fs::write(scene.path("offsite-s3.json"), json_file::to_bytes(record).unwrap()).unwrap();
        };
        put(&record);
        let condition = || scene.whole().backups[0].condition();
        assert_eq!(condition(), Condition::Incomplete, "nobody meant it to be so");
        record.only_copy = true;
        put(&record);
        assert_eq!(condition(), Condition::OffsiteOnly);
        assert_eq!(scene.whole().backups[0].places().collect::<Vec<_>>(), ["s3"]);
        scene.put_archive();
        assert_eq!(condition(), Condition::Good, "it is there all the same");
        scene.remove("snapshot.gz");
        fs::write(scene.path("offsite-s3.json"), "{").unwrap();
        let shelf = scene.whole();
        assert_eq!(shelf.backups[0].condition(), Condition::Incomplete);
        assert_eq!(shelf.unreadable.len(), 1);
    }

    #[test]
    fn what_is_remembered_is_judged_by_the_files_as_they_are_now() {
        let scene = Scene::new();
        scene.put_archive();
        scene.put_manifest();
        let good = scene.whole().backups.remove(0);
        scene.remove("snapshot.gz");
        let incomplete = scene.overtaken(&mut Remembers(good.clone()), |_| ()).backups.remove(0);
        assert_eq!(incomplete.condition(), Condition::Incomplete);
        scene.put_archive();
        assert_eq!(scene.overtaken(&mut Remembers(incomplete), |_| ()).backups, [good]);
    }

    #[test]
    fn the_whole_of_a_backup_is_what_was_listed_or_an_error() {
        let scene = Scene::new();
        scene.put_archive();
        scene.put_manifest();
        let layout = Layout::new(scene.directory.path(), scene.directory.path());
        let backup = scene.whole().backups.remove(0);
        assert_eq!(backup.whole(&layout).unwrap().manifest.runner_version, "0.1.0");
        for (changed, problem) in [
            (MANIFEST.replace("61234", "61235"), "was changed"),
            (MANIFEST.replace("2025-07-15T14:30:04.500Z", "2025-07-15T14:30:05Z"), "was changed"),
            ("{".to_owned(), "not a valid backup manifest"),
        ] {
            fs::write(scene.path("manifest.json"), changed).unwrap();
            let error = backup.whole(&layout).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        scene.remove("manifest.json");
        assert!(backup.whole(&layout).unwrap_err().to_string().contains("was deleted"));
    }
}
