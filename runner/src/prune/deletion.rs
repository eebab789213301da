//! Deletes a backup so that a kill at any point leaves either a whole backup or recognizable remains.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::atomic::sync_directory;
use qdrant_backup_shared::catalog::Backup;
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::layout::{FileRole, component, role};
use qdrant_backup_shared::status::PrunedBackup;
use qdrant_backup_shared::{Layout, OffsiteRecord};

/// The steps to delete a backup. Each can be repeated safely.
#[derive(Debug)]
pub struct Deletion {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    /// Records in a copy's record that the archives were removed on purpose.
    Leave(PathBuf),
    Remove(PathBuf),
    Sync(PathBuf),
}

impl Deletion {
    /// The local deletion of `backup`. If it has offsite copies, only the archives are deleted; its manifest and the records of
    /// the copies stay. Otherwise everything is deleted.
    pub fn of(layout: &Layout, backup: &Backup) -> Self {
        if backup.copies.is_empty() {
            Self::entirely(layout, backup)
        } else {
            Self::but_for_copies(layout, backup)
        }
    }

    /// # Crash safety
    /// The records are changed first: from then on, missing archives are expected. As long as an archive is left, the deletion
    /// can be continued.
    fn but_for_copies(layout: &Layout, backup: &Backup) -> Self {
        let (collection, id) = (&backup.collection, backup.backup_id);
        let mut steps: Vec<Step> =
            backup.places().map(|place| Step::Leave(layout.offsite(collection, id, place))).collect();
        if backup.verification_failed {
            // It is only about the local archives.
            steps.push(Step::Remove(layout.verification(collection, id)));
        }
        steps.extend(Self::archives(layout, backup));
        steps.push(Step::Sync(layout.collection(collection)));
        Self { steps }
    }

    fn archives(layout: &Layout, backup: &Backup) -> Vec<Step> {
        let (collection, id) = (&backup.collection, backup.backup_id);
        let directory = layout.collection(collection);
        let component = component(collection);
        backup
            .archives
            .iter()
            .filter(|archive| role(&component, &archive.name) == FileRole::Archive { id })
            .map(|archive| Step::Remove(directory.join(&*archive.name)))
            .collect()
    }

    /// The deletion of `backup` with all its records. Of the files in its manifest, only those with names of this backup's
    /// archives are deleted.
    ///
    /// # Crash safety
    /// The manifest is deleted first and synced: from then on there is no backup, and its remains are orphans. The archives are
    /// deleted last, so that the deletion can be continued as long as anything is left.
    pub fn entirely(layout: &Layout, backup: &Backup) -> Self {
        let (collection, id) = (&backup.collection, backup.backup_id);
        let directory = layout.collection(collection);
        let mut steps = vec![
            Step::Remove(layout.manifest(collection, id)),
            Step::Sync(directory.clone()),
            Step::Remove(layout.verification(collection, id)),
            Step::Remove(layout.hold(collection, id)),
        ];
        steps.extend(backup.places().map(|place| Step::Remove(layout.offsite(collection, id, place))));
        steps.extend(Self::archives(layout, backup));
        steps.push(Step::Sync(directory));
        Self { steps }
    }

    /// Deletes.
    ///
    /// # Errors
    /// When the file system fails. Files that were not deleted yet remain.
    pub fn perform(&self) -> io::Result<()> {
        self.steps.iter().try_for_each(Step::perform)
    }
}

impl Step {
    fn perform(&self) -> io::Result<()> {
        match self {
            Self::Leave(path) => leave(path),
            Self::Remove(path) => remove(path),
            Self::Sync(directory) => sync_directory(directory),
        }
    }
}

/// Finishes an interrupted deletion: deletes the remains of a backup without a manifest, and returns their paths. If there is a
/// manifest, there is a backup, and nothing is deleted.
///
/// # Errors
/// When the file system refuses.
pub fn finish(layout: &Layout, backup: &PrunedBackup) -> io::Result<Vec<PathBuf>> {
    let directory = layout.collection(&backup.collection);
    let component = component(&backup.collection);
    let is_there = layout.manifest(&backup.collection, backup.backup_id).try_exists()?;
    // A backup that was put on hold in the meantime keeps its archives.
    if is_there
        && (!is_left(layout, backup)? || layout.hold(&backup.collection, backup.backup_id).try_exists()?)
    {
        return Ok(Vec::new());
    }
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut archives = Vec::new();
    let mut removed = Vec::new();
    for entry in entries {
        let entry = entry?;
        match role(&component, &entry.file_name().to_string_lossy()) {
            FileRole::Verification { id } | FileRole::Hold { id } | FileRole::Offsite { id }
                if id == backup.backup_id && !is_there =>
            {
                remove(&entry.path())?;
                removed.push(entry.path());
            }
            FileRole::Archive { id } if id == backup.backup_id => archives.push(entry.path()),
            FileRole::Archive { .. }
            | FileRole::Manifest { .. }
            | FileRole::Verification { .. }
            | FileRole::Hold { .. }
            | FileRole::Offsite { .. }
            | FileRole::Temporary
            | FileRole::Foreign => {}
        }
    }
    if !archives.is_empty() {
        // The interrupted deletion may not have done this.
        sync_directory(&directory)?;
    }
    for archive in archives {
        remove(&archive)?;
        removed.push(archive);
    }
    if !removed.is_empty() {
        sync_directory(&directory)?;
    }
    Ok(removed)
}

/// Whether the record of a copy states that the archives of this backup were removed on purpose.
fn is_left(layout: &Layout, backup: &PrunedBackup) -> io::Result<bool> {
    let directory = layout.collection(&backup.collection);
    let component = component(&backup.collection);
    for entry in fs::read_dir(&directory)? {
        let entry = entry?;
        if role(&component, &entry.file_name().to_string_lossy())
            == (FileRole::Offsite { id: backup.backup_id })
            && json_file::read::<OffsiteRecord>(&entry.path())
                .is_ok_and(|record| record.backup_id == backup.backup_id && record.only_copy)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes one orphan for good.
///
/// # Errors
/// When the file system refuses.
pub fn remove_orphan(path: &Path) -> io::Result<()> {
    remove(path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

fn leave(path: &Path) -> io::Result<()> {
    let mut record: OffsiteRecord = json_file::read(path).map_err(io::Error::other)?;
    if record.only_copy {
        return Ok(());
    }
    record.only_copy = true;
    json_file::write(path, &record)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use qdrant_backup_shared::atomic;
    use qdrant_backup_shared::backup_id::BackupId;
    use qdrant_backup_shared::catalog::Catalog;
    use qdrant_backup_shared::hold::Hold;
    use qdrant_backup_shared::json_file;
    use qdrant_backup_shared::manifest::{Archive, Scope};
    use qdrant_backup_shared::verification::VerificationRecord;
    use qdrant_backup_shared::{CollectionName, Manifest};

    use super::*;

    fn place() -> (tempfile::TempDir, Layout, Manifest) {
        place_of(&[])
    }

    /// The same with an archive per shard.
    fn by_shard(mut manifest: Manifest, shards: &[u32]) -> Manifest {
        if let (false, [one]) = (shards.is_empty(), manifest.archives.as_slice()) {
            let archive = |id: &u32| Archive {
                file_name: one.file_name.replace(".snapshot", &format!(".shard-{id}.snapshot")),
                scope: Scope::Shard,
                shard_ids: vec![*id],
                ..one.clone()
            };
            manifest.archives = shards.iter().map(archive).collect();
            manifest.source.shard_count = u32::try_from(shards.len()).ok();
        }
        manifest
    }

    /// A backup, optionally by shards, with every possible file, next to a backup that must not be touched.
    fn place_of(shards: &[u32]) -> (tempfile::TempDir, Layout, Manifest) {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path(), directory.path());
        let collection = CollectionName::new("mixtral_embeddings").unwrap();
        fs::create_dir_all(layout.collection(&collection)).unwrap();
        let text = include_str!("../../../shared/testdata/manifest-v1.json");
        let manifest: Manifest = json_file::parse(Path::new("m"), text.as_bytes()).unwrap();
        let other = text.replace("2025-07-15-14-30-00", "2025-07-16-14-30-00");
        let other: Manifest = json_file::parse(Path::new("m"), other.as_bytes()).unwrap();
        let (manifest, other) = (by_shard(manifest, shards), by_shard(other, shards));
        for manifest in [&manifest, &other] {
            let id = manifest.backup_id;
            for archive in &manifest.archives {
                let size = usize::try_from(archive.stored.size_bytes).unwrap();
                let path = layout.collection(&collection).join(&archive.file_name);
                atomic::write(&path, 0o600, &vec![0; size]).unwrap();
            }
            json_file::write(&layout.manifest(&collection, id), manifest).unwrap();
            let record = VerificationRecord::new(id);
            json_file::write(&layout.verification(&collection, id), &record).unwrap();
            let hold = Hold::new(id, id.time(), None);
            json_file::write(&layout.hold(&collection, id), &hold).unwrap();
        }
        (directory, layout, manifest)
    }

    fn of(manifest: &Manifest) -> Backup {
        Backup::of(manifest, Arc::new(manifest.collection.clone()))
    }

    fn files(layout: &Layout, id: BackupId) -> usize {
        let directory = layout.collection(&CollectionName::new("mixtral_embeddings").unwrap());
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().contains(&id.to_string())).count()
    }

    #[test]
    fn a_kill_between_any_two_steps_leaves_a_whole_backup_or_what_the_next_prune_finishes() {
        for (shards, archives) in [(&[][..], 1), (&[1, 2, 4], 3)] {
            let steps = {
                let (_directory, layout, manifest) = place_of(shards);
                Deletion::of(&layout, &of(&manifest)).steps.len()
            };
            assert_eq!(steps, 5 + archives);
            for done in 0..=steps {
                let (_directory, layout, manifest) = place_of(shards);
                let id = manifest.backup_id;
                for step in &Deletion::of(&layout, &of(&manifest)).steps[..done] {
                    step.perform().unwrap();
                }
                let noted = PrunedBackup { collection: manifest.collection.clone(), backup_id: id };
                let finished = finish(&layout, &noted).unwrap();
                let catalog = Catalog::read(&layout).unwrap();
                let backups = &catalog.collections[&manifest.collection];
                assert!(backups.iter().all(Backup::is_good), "after {done} steps");
                assert!(catalog.orphans.is_empty() && catalog.unreadable.is_empty());
                assert_eq!(backups.len(), if done == 0 { 2 } else { 1 });
                assert_eq!(files(&layout, id), if done == 0 { 3 + archives } else { 0 });
                assert_eq!(files(&layout, id.next().unwrap()), 0);
                assert_eq!(finished.is_empty(), done == 0 || done >= 4 + archives);
                assert_eq!(
                    finish(&layout, &noted).unwrap(),
                    Vec::<PathBuf>::new(),
                    "finishing again does nothing"
                );
            }
        }
    }

    #[test]
    fn a_kill_while_what_has_a_copy_is_deleted_leaves_a_whole_backup_or_one_that_is_elsewhere() {
        let put = |layout: &Layout, manifest: &Manifest| {
            let id = manifest.backup_id;
            let record =
                OffsiteRecord::new(id, "s3", "ab", id.time(), "cd".to_owned(), vec!["ef".to_owned()]);
            json_file::write(&layout.offsite(&manifest.collection, id, "s3"), &record).unwrap();
            Catalog::read(layout).unwrap().collections[&manifest.collection]
                .iter()
                .find(|backup| backup.backup_id == id)
                .unwrap()
                .clone()
        };
        for done in 0..=3 {
            let (_directory, layout, manifest) = place();
            // A hold would keep it.
            fs::remove_file(layout.hold(&manifest.collection, manifest.backup_id)).unwrap();
            let backup = put(&layout, &manifest);
            let deletion = Deletion::of(&layout, &backup);
            assert_eq!(deletion.steps.len(), 3);
            for step in &deletion.steps[..done] {
                step.perform().unwrap();
            }
            let noted =
                PrunedBackup { collection: manifest.collection.clone(), backup_id: manifest.backup_id };
            finish(&layout, &noted).unwrap();
            let catalog = Catalog::read(&layout).unwrap();
            let backup = catalog.collections[&manifest.collection]
                .iter()
                .find(|backup| backup.backup_id == manifest.backup_id)
                .unwrap();
            assert_eq!(backup.is_good(), done == 0, "after {done} steps");
            assert_eq!(backup.is_offsite_only(), done > 0, "after {done} steps");
            assert!(catalog.orphans.is_empty() && catalog.unreadable.is_empty());
            assert_eq!(backup.places().collect::<Vec<_>>(), ["s3"]);
        }
        let (_directory, layout, manifest) = place();
        let backup = put(&layout, &manifest);
        Deletion::entirely(&layout, &backup).perform().unwrap();
        assert_eq!(files(&layout, manifest.backup_id), 0);
    }

    #[test]
    fn a_hold_that_was_placed_after_a_kill_keeps_the_archives() {
        let (_directory, layout, manifest) = place();
        let (collection, id) = (&manifest.collection, manifest.backup_id);
        let record = OffsiteRecord::new(id, "s3", "ab", id.time(), "cd".to_owned(), vec!["ef".to_owned()]);
        json_file::write(&layout.offsite(collection, id, "s3"), &record).unwrap();
        leave(&layout.offsite(collection, id, "s3")).unwrap();
        let noted = PrunedBackup { collection: collection.clone(), backup_id: id };
        assert_eq!(finish(&layout, &noted).unwrap(), Vec::<PathBuf>::new(), "it is on hold");
        fs::remove_file(layout.hold(collection, id)).unwrap();
        assert_eq!(finish(&layout, &noted).unwrap().len(), 1);
    }

    #[test]
    fn a_manifest_that_names_other_files_makes_nobody_delete_them() {
        let (_directory, layout, mut manifest) = place();
        let directory = layout.collection(&manifest.collection);
        atomic::write(&directory.join("notes.txt"), 0o600, b"mine").unwrap();
        let mut archives = manifest.archives.clone();
        archives[0].file_name = "notes.txt".to_owned();
        archives.push(manifest.archives[0].clone());
        archives[1].file_name = "mixtral_embeddings-2025-07-16-14-30-00.snapshot.gz".to_owned();
        manifest.archives.extend(archives);
        Deletion::of(&layout, &of(&manifest)).perform().unwrap();
        assert_eq!(files(&layout, manifest.backup_id), 0);
        assert_eq!(files(&layout, "2025-07-16-14-30-00".parse().unwrap()), 4);
        assert!(directory.join("notes.txt").exists());
    }
}
