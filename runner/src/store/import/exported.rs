//! Imports a directory that `export` wrote for a backup by shards.

use std::fs::File;
use std::path::Path;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::atomic::AtomicFile;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::Backup;
use qdrant_backup_shared::json_file::{self, SCHEMA_VERSION};
use qdrant_backup_shared::manifest::{Archive, Manifest, Origin};
use qdrant_backup_shared::regular_file::{self, Links};

use super::adopt::{Adopted, Importer};
use super::error::ImportError;
use super::examine::examine;
use crate::archive::inspect::SnapshotKind;
use crate::store;

/// The backup's manifest, in an exported directory.
pub const MANIFEST: &str = "manifest.json";

/// The file with the plain snapshot of a shard, there.
pub fn shard_file_name(shard_id: u32) -> String {
    format!("shard-{shard_id}.snapshot")
}

/// One shard's file.
struct Found<'a> {
    shard_id: u32,
    /// Its entry in the manifest.
    archive: &'a Archive,
    file: File,
}

impl Importer<'_> {
    /// Makes a backup from the exported backup in `directory`: compares every shard with the manifest there, checks its contents,
    /// and keeps the manifest's information about the collection.
    ///
    /// # Crash safety
    /// A killed import leaves temporary files, or archives without a manifest. The exported directory is not changed.
    ///
    /// # Errors
    /// When it is not such a directory, a shard's file does not match the manifest, or something cannot be read or written.
    /// Nothing is changed then.
    pub(super) fn import_exported(
        &self,
        directory: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Adopted, ImportError> {
        let exported = manifest_in(directory)?;
        let collection = self.collection.unwrap_or(&exported.collection);
        if collection.is_files() {
            return Err(ImportError::NotACollection);
        }
        if let Some(known) = self.known_by_shard(collection, &exported) {
            return Ok(Adopted::Known(known));
        }
        let mut shards = Vec::new();
        for archive in &exported.archives {
            let shard_id = archive.shard_ids.first().copied().unwrap_or_default();
            let path = directory.join(shard_file_name(shard_id));
            let file = regular_file::open(&path, Links::Follow)
                .map_err(|error| of_shard(shard_id)(ImportError::io("opening its file")(error)))?;
            shards.push(Found { shard_id, archive, file });
        }
        self.check_room(exported.snapshot_size_bytes())?;
        let id = store::prepare(self.layout, collection, exported.started_at)
            .map_err(ImportError::io("creating the collection's directory"))?;
        let (mut files, mut archives, mut remarks) = (Vec::new(), Vec::new(), Vec::new());
        for shard in shards {
            let shard_id = shard.shard_id;
            let (file, archive, oddities) =
                self.copy_shard(collection, id, shard, progress).map_err(of_shard(shard_id))?;
            files.push(file);
            archives.push(archive);
            remarks.extend(oddities);
        }
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            backup_id: id,
            collection: collection.clone(),
            origin: Origin::Imported,
            run_id: uuid::Uuid::new_v4().to_string(),
            completed_at: self.clock.now(),
            archives,
            runner_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..exported
        };
        store::commit(self.layout, files, &manifest)
            .map_err(ImportError::io("moving the archives into place"))?;
        Ok(Adopted::New { manifest: Box::new(manifest), remarks })
    }

    fn copy_shard(
        &self,
        collection: &CollectionName,
        id: BackupId,
        shard: Found<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(AtomicFile, Archive, Vec<String>), ImportError> {
        let Found { shard_id, archive, mut file } = shard;
        let at = |encoding: &[_]| self.layout.shard_archive(collection, id, shard_id, encoding);
        let mut begun = store::begin_archive(&at(&[])).map_err(ImportError::io("creating the copy"))?;
        let copy = Some(begun.file());
        let examined = examine(&mut file, SnapshotKind::Shard, copy, &self.interrupt, progress)?;
        if examined.snapshot != archive.snapshot {
            let (expected, got) = (archive.snapshot.sha256, examined.snapshot.sha256);
            return Err(ImportError::NotTheExported { expected, got });
        }
        let oddities = examined.inspection.findings.iter().take(3);
        let remarks =
            oddities.map(|oddity| format!("shard {shard_id}: unusual snapshot: {oddity}")).collect();
        let target = at(&examined.encoding);
        let file_name = target.file_name().map(|name| name.to_string_lossy().into_owned());
        let archive = Archive {
            file_name: file_name.unwrap_or_default(),
            encoding: examined.encoding,
            stored: examined.stored,
            ..archive.clone()
        };
        Ok((begun.renamed(target), archive, remarks))
    }

    /// The backup that contains exactly the same snapshots of the same shards.
    fn known_by_shard(&self, collection: &CollectionName, exported: &Manifest) -> Option<BackupId> {
        let backups = self.catalog.collections.get(collection)?;
        let has = |manifest: &Manifest, wanted: &Archive| {
            let same = |archive: &Archive| {
                archive.shard_ids == wanted.shard_ids && archive.snapshot == wanted.snapshot
            };
            manifest.archives.iter().any(same)
        };
        let same = |backup: &&Backup| {
            backup.whole(self.layout).is_ok_and(|whole| {
                whole.manifest.is_by_shard()
                    && exported.archives.iter().all(|archive| has(&whole.manifest, archive))
            })
        };
        let size_bytes = exported.snapshot_size_bytes();
        let may_be = |backup: &&Backup| backup.is_good() && backup.snapshot_size_bytes == size_bytes;
        backups.iter().filter(may_be).find(same).map(|backup| backup.backup_id)
    }
}

/// The manifest of an exported backup by shards.
fn manifest_in(directory: &Path) -> Result<Manifest, ImportError> {
    let not_exported = |problem: String| ImportError::NotExported { problem };
    let path = directory.join(MANIFEST);
    let manifest: Manifest = json_file::read(&path).map_err(|error| {
        not_exported(if error.is_not_found() { format!("it has no {MANIFEST}") } else { error.to_string() })
    })?;
    if let Some(requirement) = manifest.unknown_requirement() {
        return Err(not_exported(format!("it requires \"{requirement}\", which this version does not know")));
    }
    if !manifest.is_by_shard() {
        return Err(not_exported("its manifest.json describes another kind of backup".to_owned()));
    }
    Ok(manifest)
}

fn of_shard(shard_id: u32) -> impl FnOnce(ImportError) -> ImportError {
    move |error| {
        // This does not belong to the shard.
        let of_none = matches!(error, ImportError::Interrupted);
        if of_none { error } else { ImportError::Shard { shard_id, error: Box::new(error) } }
    }
}
