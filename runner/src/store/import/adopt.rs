//! Makes a backup from a file: copies it into the backup directory, or uses it in place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SubsecRound, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::digest::Sha256Digest;
use qdrant_backup_shared::json_file::{self, SCHEMA_VERSION};
use qdrant_backup_shared::layout::{FileRole, role};
use qdrant_backup_shared::manifest::{Archive, Manifest, Origin, Scope, ServerChecksum, Source};
use qdrant_backup_shared::regular_file::{self, Links};
use qdrant_backup_shared::{CollectionName, Layout, shard_key};
use tokio_util::sync::CancellationToken;

use super::error::ImportError;
use super::examine::{Examined, examine};
use super::name::{self, Named};
use crate::archive::inspect::SnapshotKind;
use crate::host::clock::Clock;
use crate::host::user::refused;
use crate::store;

/// Size limit for checksum files.
const CHECKSUM_MAX_BYTES: u64 = 4 << 10;

/// Imports files into one backup directory. The caller holds the lock.
#[derive(Debug)]
pub struct Importer<'a> {
    /// The paths of the backup directory.
    pub layout: &'a Layout,
    /// The existing backups, read after taking the lock and after each import.
    pub catalog: &'a Catalog,
    /// Returns the current time.
    pub clock: Clock,
    /// The collection that the user named.
    pub collection: Option<&'a CollectionName>,
    /// When the snapshot was made, if its name does not contain that.
    pub at: Option<DateTime<Utc>>,
    /// Cancels the work.
    pub interrupt: CancellationToken,
}

/// Result of an import.
#[derive(Debug)]
pub enum Adopted {
    /// It is now a backup.
    New {
        /// Manifest of the new backup.
        manifest: Box<Manifest>,
        /// Remarks, one line each.
        remarks: Vec<String>,
    },
    /// Its snapshot was already a backup.
    Known(BackupId),
}

/// Information before the content is read.
struct Draft {
    named: Named,
    started_at: DateTime<Utc>,
    remarks: Vec<String>,
}

/// The current or future path of an archive.
struct Target {
    id: BackupId,
    file_name: String,
}

impl Importer<'_> {
    /// Makes a backup from the snapshot in `path`, or from the exported backup by shards in the directory `path`. The bytes are
    /// not changed, compressed or not.
    ///
    /// # Crash safety
    /// A killed import leaves a temporary file, or an archive without a manifest, which can be imported in its place.
    ///
    /// # Errors
    /// When it is not a whole snapshot, or a file cannot be read or written. Nothing is changed then.
    pub fn import(&self, path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Adopted, ImportError> {
        if path.is_dir() {
            return self.import_exported(path, progress);
        }
        let mut file = regular_file::open(path, Links::Follow).map_err(|error| {
            if error.kind() == io::ErrorKind::InvalidInput {
                ImportError::NotAFile
            } else {
                ImportError::io("opening")(io::Error::new(error.kind(), refused(path, &error)))
            }
        })?;
        let metadata = file.metadata().map_err(ImportError::io("opening"))?;
        if let Some((directory, file_name)) = self.place_in_repository(path)? {
            return self.adopt_in_place(path, &directory, file_name, &mut file, progress);
        }
        let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let known = |name: &CollectionName| self.catalog.collections.contains_key(name);
        let named = name::read(&file_name, self.collection, known)?;
        if named.collection.is_files() {
            return Err(ImportError::NotACollection);
        }
        let mut remarks = Vec::new();
        let started_at = match (named.stamped_at, self.at) {
            (Some(stamp), Some(at)) if stamp != at => {
                remarks.push(format!("its name gives the time {stamp}, so `--at` was ignored"));
                stamp
            }
            (Some(at), _) | (None, Some(at)) => at,
            (None, None) => {
                let modified = metadata.modified().map_err(ImportError::io("reading its age"))?;
                let at = DateTime::<Utc>::from(modified).trunc_subsecs(3);
                remarks.push(format!(
                    "its name does not give its time: using the time of its last change, {at}; set another one with `--at`"
                ));
                at
            }
        };
        self.copy(path, &mut file, metadata.len(), Draft { named, started_at, remarks }, progress)
    }

    /// The collection's directory and the file's name, if `path` is in one of this backup directory.
    fn place_in_repository(&self, path: &Path) -> Result<Option<(String, String)>, ImportError> {
        let resolve = |path: &Path| fs::canonicalize(path).map_err(ImportError::io("finding"));
        let collections = self.layout.collections();
        if !collections.exists() {
            return Ok(None);
        }
        let path = resolve(path)?;
        let Ok(relative) = path.strip_prefix(resolve(&collections)?) else { return Ok(None) };
        let parts: Vec<&str> = relative.iter().filter_map(|part| part.to_str()).collect();
        let [directory, file_name] = parts.as_slice() else { return Err(ImportError::NotAnOrphan) };
        let orphan = collections.join(directory).join(file_name);
        if self.catalog.orphans.iter().any(|known| known.path == orphan) {
            Ok(Some(((*directory).to_owned(), (*file_name).to_owned())))
        } else {
            Err(ImportError::NotAnOrphan)
        }
    }

    fn adopt_in_place(
        &self,
        path: &Path,
        directory: &str,
        file_name: String,
        file: &mut File,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Adopted, ImportError> {
        let FileRole::Archive { id } = role(directory, &file_name) else {
            return Err(ImportError::NotAnOrphan);
        };
        let collection = match self.collection {
            Some(collection) if collection.component() == directory => collection.clone(),
            Some(other) => return Err(ImportError::OtherDirectory { collection: other.to_string() }),
            None => name::collection_of(directory).ok_or(ImportError::NoCollection)?,
        };
        if collection.is_files() {
            return Err(ImportError::NotACollection);
        }
        let named = name::read(&file_name, Some(&collection), |_| false)?;
        let examined = examine(file, SnapshotKind::Collection, None, &self.interrupt, progress)?;
        if let Some(known) = self.known(&collection, &examined) {
            return Ok(Adopted::Known(known));
        }
        let checksum = compare(path, &examined)?;
        file.sync_all().map_err(ImportError::io("syncing the archive"))?;
        let remarks = oddities(&examined);
        let target = Target { id, file_name };
        let manifest = self.describe(named, id.time(), examined, target, checksum);
        json_file::write_new(&self.layout.manifest(&collection, id), &manifest)
            .map_err(|error| ImportError::io("writing the manifest")(error.into()))?;
        Ok(Adopted::New { manifest: Box::new(manifest), remarks })
    }

    fn copy(
        &self,
        path: &Path,
        file: &mut File,
        size_bytes: u64,
        draft: Draft,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Adopted, ImportError> {
        let Draft { named, started_at, mut remarks } = draft;
        self.check_room(size_bytes)?;
        let id = store::prepare(self.layout, &named.collection, started_at)
            .map_err(ImportError::io("creating the collection's directory"))?;
        // Its final name depends on its contents, so the copy starts with the name of a plain one and is renamed later.
        let mut begun = store::begin_archive(&self.layout.archive(&named.collection, id, &[]))
            .map_err(ImportError::io("creating the copy"))?;
        let examined =
            examine(file, SnapshotKind::Collection, Some(begun.file()), &self.interrupt, progress)?;
        if let Some(known) = self.known(&named.collection, &examined) {
            return Ok(Adopted::Known(known));
        }
        let checksum = compare(path, &examined)?;
        remarks.extend(oddities(&examined));
        let target = self.layout.archive(&named.collection, id, &examined.encoding);
        let file_name = target.file_name().map(|name| name.to_string_lossy().into_owned());
        let begun = begun.renamed(target);
        let target = Target { id, file_name: file_name.unwrap_or_default() };
        let manifest = self.describe(named, started_at, examined, target, checksum);
        store::commit(self.layout, vec![begun], &manifest)
            .map_err(ImportError::io("moving the archive into place"))?;
        Ok(Adopted::New { manifest: Box::new(manifest), remarks })
    }

    /// Checks that there is enough space for this number of bytes.
    pub(super) fn check_room(&self, size_bytes: u64) -> Result<(), ImportError> {
        let needed = size_bytes.saturating_add(store::RESERVE_BYTES);
        let available = store::available_bytes(self.layout.root())
            .map_err(ImportError::io("reading the free disk space"))?;
        match available.filter(|available| *available < needed) {
            Some(available) => Err(ImportError::NoRoom { needed, available }),
            None => Ok(()),
        }
    }

    /// The backup that contains exactly the same snapshot.
    fn known(&self, collection: &CollectionName, examined: &Examined) -> Option<BackupId> {
        let backups = self.catalog.collections.get(collection)?;
        let same = |backup: &&Backup| {
            let whole = backup.whole(self.layout);
            whole.is_ok_and(|it| it.manifest.archives.iter().any(|it| it.snapshot == examined.snapshot))
        };
        let may_be = |backup: &&Backup| {
            let of_its_size = backup.snapshot_size_bytes == examined.snapshot.size_bytes;
            backup.is_good() && (of_its_size || backup.archives.len() > 1)
        };
        backups.iter().filter(may_be).find(same).map(|backup| backup.backup_id)
    }

    /// The version of a node at a time, which is not in a snapshot. Known if backups of the same node before and after have the
    /// same version.
    fn version_at(&self, peer_id: u64, at: DateTime<Utc>) -> Option<String> {
        let told = |backup: &Backup| {
            let it = backup.whole(self.layout).ok()?.manifest;
            let of_it = it.origin == Origin::Snapshot
                && it.archives.iter().any(|archive| archive.peer_id == Some(peer_id));
            it.source.qdrant_version.filter(|_| of_it)
        };
        let mut by_time: Vec<&Backup> = self.catalog.collections.values().flatten().collect();
        by_time.sort_by_key(|backup| backup.started_at);
        let mut before = by_time.iter().rev().filter(|backup| backup.started_at <= at);
        let before = before.find_map(|backup| told(backup))?;
        let after =
            by_time.iter().filter(|backup| backup.started_at >= at).find_map(|backup| told(backup))?;
        (before == after).then_some(before)
    }

    fn describe(
        &self,
        named: Named,
        started_at: DateTime<Utc>,
        examined: Examined,
        target: Target,
        server_checksum: ServerChecksum,
    ) -> Manifest {
        let inspection = examined.inspection;
        let mut replicas = inspection.shards.values().filter_map(|shard| shard.replica_state.as_ref());
        let peer_id = named.peer_id.or_else(|| replicas.find_map(|state| state.this_peer_id));
        Manifest {
            schema_version: SCHEMA_VERSION,
            requires: Vec::new(),
            backup_id: target.id,
            collection: named.collection,
            origin: Origin::Imported,
            run_id: uuid::Uuid::new_v4().to_string(),
            started_at,
            completed_at: self.clock.now(),
            depends_on: Vec::new(),
            source: Source {
                qdrant_version: peer_id.and_then(|peer| self.version_at(peer, started_at)),
                shard_count: u32::try_from(inspection.shards.len()).ok(),
                config: inspection.config.clone(),
                shard_keys: inspection.shard_keys(),
                ..Source::default()
            },
            points_sample: None,
            archives: vec![Archive {
                file_name: target.file_name,
                node_url: None,
                peer_id,
                shard_ids: inspection.shards_with_segments(),
                scope: Scope::Collection,
                snapshot_name: named.snapshot_name,
                encoding: examined.encoding,
                snapshot: examined.snapshot,
                stored: examined.stored,
                server_checksum,
            }],
            runner_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Compares with Qdrant's checksum file beside a snapshot, if there is one.
fn compare(path: &Path, examined: &Examined) -> Result<ServerChecksum, ImportError> {
    let beside = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".checksum");
        PathBuf::from(name)
    };
    let candidates = [beside(path), beside(&path.with_extension(""))];
    for candidate in candidates {
        let problem = |problem: String| ImportError::Checksum { path: candidate.clone(), problem };
        let text = match regular_file::read_text(&candidate, Links::Follow, CHECKSUM_MAX_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(problem(format!("cannot be read: {error}"))),
        };
        let Some(expected) =
            text.split_whitespace().next().and_then(|word| word.parse::<Sha256Digest>().ok())
        else {
            return Err(problem("does not begin with a SHA-256 in hexadecimal".to_owned()));
        };
        let got = examined.snapshot.sha256;
        return if expected == got {
            Ok(ServerChecksum::Matched)
        } else {
            Err(ImportError::ChecksumMismatch { expected, got })
        };
    }
    Ok(ServerChecksum::NotChecked)
}

fn oddities(examined: &Examined) -> Vec<String> {
    let inspection = &examined.inspection;
    let mut lines: Vec<String> =
        inspection.findings.iter().take(3).map(|oddity| format!("unusual snapshot: {oddity}")).collect();
    let (all, here) = (inspection.shards.len(), inspection.shards_with_segments().len());
    if here < all {
        lines.push(format!("it contains only {here} of the collection's {all} shards, those of one cluster node: not the whole collection"));
    }
    if let Some(keys) = inspection.shard_keys().filter(|keys| !keys.is_empty()) {
        lines.push(format!(
            "its collection has custom sharding: it can only be restored into a collection with the same shard keys, {}",
            shard_key::list(&keys)
        ));
    }
    lines
}
