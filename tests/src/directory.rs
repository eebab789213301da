//! Backup directories as the runner leaves them, written with the product's own types and without a server. The tests
//! of the catalog and of the exporter include this file.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::json_file::{self, JsonFile};
use qdrant_backup_shared::manifest::{
    Archive, Encoding, Manifest, Origin, SHARD_ARCHIVES, Scope, ServerChecksum, SizeAndDigest, Source,
};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{
    BackupId, CollectionName, Layout, OffsiteRecord, Repository, Sha256Digest, Status, VerificationRecord,
    atomic,
};

/// A backup directory, which is also the state directory.
pub struct Directory {
    path: PathBuf,
    /// The temporary directory, which is removed at the end. None if something else removes it.
    _temporary: Option<tempfile::TempDir>,
}

/// Converts a valid collection name.
pub fn name(text: &str) -> CollectionName {
    CollectionName::new(text).unwrap()
}

impl Directory {
    /// A directory with an initialized repository and no backups.
    pub fn repository() -> Self {
        let place = Self::bare();
        let made = Repository::new(
            "5c3f9f0e-8f44-4b1c-8f0b-0f3b7f6c2c11".to_owned(),
            "2025-07-01T00:00:00Z".parse().unwrap(),
        );
        place.put(&place.layout().repository_file(), &made);
        place
    }

    /// An empty directory.
    pub fn bare() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        Self { path: temporary.path().to_owned(), _temporary: Some(temporary) }
    }

    /// The directory at `path`, which is kept when the test ends.
    pub fn at(path: PathBuf) -> Self {
        Self { path, _temporary: None }
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The paths within the directory.
    pub fn layout(&self) -> Layout {
        Layout::new(self.path(), self.path())
    }

    /// Creates a complete backup that started at `at` and returns its id.
    pub fn backup(&self, collection: &str, at: DateTime<Utc>, points: u64) -> BackupId {
        let manifest = manifest(&name(collection), BackupId::at(at), points);
        self.put_archives(&manifest);
        self.put_manifest(&manifest);
        manifest.backup_id
    }

    /// Removes a backup in the same order as the runner: the manifest first.
    pub fn remove(&self, collection: &str, id: BackupId) {
        fs::remove_file(self.layout().manifest(&name(collection), id)).unwrap();
        fs::remove_file(self.archive(collection, id)).unwrap();
    }

    /// Writes a manifest to its place.
    pub fn put_manifest(&self, manifest: &Manifest) {
        self.put(&self.layout().manifest(&manifest.collection, manifest.backup_id), manifest);
    }

    /// Creates archives with the lengths in the manifest.
    pub fn put_archives(&self, manifest: &Manifest) {
        for archive in &manifest.archives {
            let path = self.layout().collection(&manifest.collection).join(&archive.file_name);
            self.put_archive(&path, archive.stored.size_bytes);
        }
    }

    /// Creates an archive of this length without real content.
    pub fn put_archive(&self, path: &Path, size_bytes: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = atomic::AtomicFile::create(path, atomic::ARCHIVE_MODE).unwrap();
        file.file().set_len(size_bytes).unwrap();
        file.commit().unwrap();
    }

    /// The archive of a backup that [`Directory::backup`] made.
    pub fn archive(&self, collection: &str, id: BackupId) -> PathBuf {
        self.layout().archive(&name(collection), id, &[Encoding::Gzip])
    }

    /// Replaces the recorded verifications by these, one hour apart.
    pub fn verify(&self, collection: &str, id: BackupId, checks: &[(Level, CheckOutcome)]) {
        self.verify_every(TimeDelta::hours(1), collection, id, checks);
    }

    /// The same with another interval.
    pub fn verify_every(
        &self,
        between: TimeDelta,
        collection: &str,
        id: BackupId,
        checks: &[(Level, CheckOutcome)],
    ) {
        let mut record = VerificationRecord::new(id);
        for (number, (level, outcome)) in (1..).zip(checks) {
            let at = id.time() + between * number;
            record.enter(level.clone(), at, outcome.clone(), 1.5, Vec::new());
        }
        self.put(&self.layout().verification(&name(collection), id), &record);
    }

    /// Records a copy of a backup in `place`, made one hour after the backup. If it is the only copy, there are no
    /// archives here.
    pub fn copy(&self, collection: &str, id: BackupId, place: &str, checked: bool, only: bool) {
        let at = id.time() + TimeDelta::hours(1);
        let snapshots = (format!("{:x>64}", "m"), vec![format!("{:x>64}", "a")]);
        let mut record = OffsiteRecord::new(id, place, "5e5e", at, snapshots.0, snapshots.1);
        record.added_bytes = Some(5);
        record.last_checked_at = checked.then_some(at + TimeDelta::hours(1));
        record.only_copy = only;
        self.put(&self.layout().offsite(&name(collection), id, place), &record);
        if only && self.archive(collection, id).exists() {
            fs::remove_file(self.archive(collection, id)).unwrap();
        }
    }

    /// Replaces the status.
    pub fn put_status(&self, status: &Status) {
        self.put(&self.layout().status_file(), status);
    }

    /// Writes a JSON file of ours.
    pub fn put<T: JsonFile>(&self, path: &Path, value: &T) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        json_file::write(path, value).unwrap();
    }

    /// Writes a file with any contents.
    pub fn put_bytes(&self, path: &Path, contents: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        atomic::write(path, 0o640, contents).unwrap();
    }
}

/// A manifest of a backup whose archive has 10 bytes per point and whose snapshot has 25.
pub fn manifest(collection: &CollectionName, id: BackupId, points: u64) -> Manifest {
    let digest = Sha256Digest::from_bytes([7; 32]);
    let sized = |size_bytes| SizeAndDigest { size_bytes, sha256: digest };
    let layout = Layout::new("", "");
    let archive = layout.archive(collection, id, &[Encoding::Gzip]);
    Manifest {
        schema_version: json_file::SCHEMA_VERSION,
        requires: Vec::new(),
        backup_id: id,
        collection: collection.clone(),
        origin: Origin::Snapshot,
        run_id: "6e9e4f0c-7c1b-4b4e-9f3b-0d6a2f6f2f11".to_owned(),
        started_at: id.time() + TimeDelta::milliseconds(125),
        completed_at: id.time() + TimeDelta::seconds(9),
        depends_on: Vec::new(),
        source: Source {
            qdrant_version: Some("1.18.3".to_owned()),
            points_count_before: Some(points),
            points_count_after: Some(points + 3),
            config: Some(serde_json::json!({ "params": { "vectors": { "size": 384 } } })),
            aliases: None,
            payload_schema: None,
            shard_count: Some(1),
            ..Source::default()
        },
        points_sample: None,
        archives: vec![Archive {
            file_name: archive.file_name().unwrap().to_str().unwrap().to_owned(),
            node_url: None,
            peer_id: Some(1),
            shard_ids: vec![0],
            scope: Scope::Collection,
            snapshot_name: None,
            encoding: vec![Encoding::Gzip],
            snapshot: sized(25 * points),
            stored: sized(10 * points),
            server_checksum: ServerChecksum::Matched,
        }],
        runner_version: "0.1.0".to_owned(),
    }
}

/// `manifest` as a backup by shards, with an archive like its own for each shard.
pub fn by_shard(mut manifest: Manifest, shard_ids: &[u32]) -> Manifest {
    let layout = Layout::new("", "");
    let one = manifest.archives.remove(0);
    manifest.archives = shard_ids
        .iter()
        .map(|id| {
            let path = layout.shard_archive(&manifest.collection, manifest.backup_id, *id, &one.encoding);
            Archive {
                file_name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                shard_ids: vec![*id],
                scope: Scope::Shard,
                ..one.clone()
            }
        })
        .collect();
    manifest.requires = vec![SHARD_ARCHIVES.to_owned()];
    manifest.source.shard_count = u32::try_from(shard_ids.len()).ok();
    manifest
}
