//! A backup directory made by the test, with the shared types.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use qdrant_backup_exporter::metrics::{self, ProcessInfo};
use qdrant_backup_exporter::observe::{Observation, Observer};
use qdrant_backup_shared::json_file::{self, JsonFile};
use qdrant_backup_shared::manifest::{
    Archive, Encoding, Origin, Scope, ServerChecksum, SizeAndDigest, Source,
};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{
    BackupId, CollectionName, Layout, Manifest, Repository, Sha256Digest, Status, VerificationRecord, atomic,
};

/// Long enough for any machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A backup directory, which is its own state directory.
pub struct Place {
    directory: tempfile::TempDir,
    observer: Observer,
}

/// A time on the day of the tests.
pub fn at(time: &str) -> DateTime<Utc> {
    format!("2025-07-{time}Z").parse().unwrap()
}

/// What is "now" in the tests whose answers are kept in files.
pub fn now() -> DateTime<Utc> {
    at("15T15:00:00")
}

pub fn name(text: &str) -> CollectionName {
    CollectionName::new(text).unwrap()
}

impl Place {
    /// A repository without any backup.
    pub fn new() -> Self {
        let place = Self::bare();
        json_file::write(
            &place.layout().repository_file(),
            &Repository::new("5c3f9f0e-8f44-4b1c-8f0b-0f3b7f6c2c11".to_owned(), at("01T00:00:00")),
        )
        .unwrap();
        place
    }

    /// An empty directory.
    pub fn bare() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let observer = Observer::new(directory.path(), directory.path()).unwrap();
        Self { directory, observer }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn layout(&self) -> Layout {
        Layout::new(self.path(), self.path())
    }

    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    pub fn look(&self) -> Arc<Observation> {
        self.look_at(now())
    }

    pub fn look_at(&self, now: DateTime<Utc>) -> Arc<Observation> {
        self.observer.observe(now, PATIENCE)
    }

    /// What a scrape in the text format gives now.
    pub fn scrape(&self) -> String {
        metrics::text(&metrics::families(&self.look(), &ProcessInfo::default()))
    }

    /// Makes a whole backup that began at `at` and gives its id.
    pub fn backup(&self, collection: &str, at: DateTime<Utc>, points: u64) -> BackupId {
        let manifest = manifest(&name(collection), BackupId::at(at), points);
        self.put_archives(&manifest);
        self.put_manifest(&manifest);
        manifest.backup_id
    }

    pub fn put_manifest(&self, manifest: &Manifest) {
        self.put(&self.layout().manifest(&manifest.collection, manifest.backup_id), manifest);
    }

    pub fn put_archives(&self, manifest: &Manifest) {
        for archive in &manifest.archives {
            let path = self.layout().collection(&manifest.collection).join(&archive.file_name);
            self.put_archive(&path, archive.stored.size_bytes);
        }
    }

    /// An archive of nothing but a length.
    pub fn put_archive(&self, path: &Path, size_bytes: u64) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = atomic::AtomicFile::create(path, 0o600).unwrap();
        file.file().set_len(size_bytes).unwrap();
        file.commit().unwrap();
    }

    pub fn archive(&self, collection: &str, id: BackupId) -> PathBuf {
        self.layout().archive(&name(collection), id, &[Encoding::Gzip])
    }

    /// Enters checks, each an hour after the one before, and writes the record.
    pub fn verify(&self, collection: &str, id: BackupId, checks: &[(Level, CheckOutcome)]) {
        let mut record = VerificationRecord::new(id);
        for (hours, (level, outcome)) in (1..).zip(checks) {
            let at = id.time() + chrono::TimeDelta::hours(hours);
            record.enter(level.clone(), at, outcome.clone(), 1.5, Vec::new());
        }
        self.put(&self.layout().verification(&name(collection), id), &record);
    }

    pub fn status(&self, status: &Status) {
        self.put(&self.layout().status_file(), status);
    }

    pub fn put<T: JsonFile>(&self, path: &Path, value: &T) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        json_file::write(path, value).unwrap();
    }

    pub fn put_bytes(&self, path: &Path, contents: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        atomic::write(path, 0o640, contents).unwrap();
    }
}

/// A manifest of a backup whose archive has 10 bytes a point, and whose snapshot 25.
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
        started_at: id.time() + chrono::TimeDelta::milliseconds(125),
        completed_at: id.time() + chrono::TimeDelta::seconds(9),
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

/// The machine's own time: what the times of files are compared with.
#[expect(clippy::disallowed_methods, reason = "the files of the test get the machine's own time")]
pub fn wall_clock() -> DateTime<Utc> {
    SystemTime::now().into()
}
