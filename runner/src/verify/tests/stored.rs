//! A backup directory with backups of genuine snapshots.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Catalog, Whole};
use qdrant_backup_shared::digest::Sha256Digest;
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::manifest::{
    Archive, Encoding, Manifest, Origin, Scope, ServerChecksum, SizeAndDigest, Source,
};
use qdrant_backup_shared::verification::CheckOutcome;
use qdrant_backup_shared::{CollectionName, Layout, atomic};
use sha2::{Digest, Sha256};

use crate::archive::inspect::{Limits, SnapshotKind, inspect};
use crate::archive::read;
use crate::archive::write::{Compression, Encoder};
use crate::verify::{Check, Depth, verify_backup};

/// The genuine snapshots of collections with a local shard.
pub const COLLECTIONS: [&str; 10] = [
    "1.14.1/empty.snapshot",
    "1.14.1/minilm_general.snapshot",
    "1.14.1/mixtral_embeddings.snapshot",
    "1.14.1/named-and-sparse.snapshot",
    "1.18.3/cluster-node-1.spread.snapshot",
    "1.18.3/cluster-node-3.spread.snapshot",
    "1.18.3/empty.snapshot",
    "1.18.3/minilm_general.snapshot",
    "1.18.3/mixtral_embeddings.snapshot",
    "1.18.3/named-and-sparse.snapshot",
];

pub fn genuine(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/snapshots").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub struct Place {
    directory: tempfile::TempDir,
    pub layout: Layout,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path(), directory.path());
        std::fs::create_dir(layout.collections()).unwrap();
        Self { directory, layout }
    }

    /// Stores `snapshot` as backup `id` of `collection`, with the manifest that a backup would have written.
    pub fn store(&self, collection: &str, id: &str, snapshot: &[u8], encoding: &[Encoding]) -> Whole {
        let manifest = describe(collection, id, snapshot, encoding);
        self.put(&manifest, &stored(snapshot, encoding))
    }

    /// Writes a manifest and its archive.
    pub fn put(&self, manifest: &Manifest, archive: &[u8]) -> Whole {
        let directory = self.layout.collection(&manifest.collection);
        std::fs::create_dir_all(&directory).unwrap();
        atomic::write(&directory.join(&manifest.archives[0].file_name), 0o600, archive).unwrap();
        let path = self.layout.manifest(&manifest.collection, manifest.backup_id);
        json_file::write(&path, manifest).unwrap();
        let backup = Backup::of(manifest, Arc::new(manifest.collection.clone()));
        Whole { backup, manifest: manifest.clone() }
    }

    /// The path of the only archive of `backup`.
    pub fn archive(&self, backup: &Whole) -> PathBuf {
        let manifest = &backup.manifest;
        self.layout.collection(&manifest.collection).join(&manifest.archives[0].file_name)
    }

    pub fn catalog(&self) -> Catalog {
        Catalog::read(&self.layout).unwrap()
    }

    pub fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    pub fn check(&self, backup: &Whole, depth: Depth) -> Check {
        let check = verify_backup(
            &read::Source::here(self.layout.clone()),
            &backup.manifest,
            depth,
            &mut |_| {},
            &|| false,
        )
        .unwrap();
        assert_eq!(check.failure.is_none(), check.outcome == CheckOutcome::Passed);
        for finding in &check.findings {
            assert!(!finding.message.contains('\n') && finding.message.len() < 4000);
        }
        check
    }
}

pub fn kinds(check: &Check) -> Vec<&str> {
    check.findings.iter().map(|finding| finding.kind.as_str()).collect()
}

pub fn stored(snapshot: &[u8], encoding: &[Encoding]) -> Vec<u8> {
    let compression = match encoding {
        [] => Compression::None,
        [Encoding::Gzip] => {
            // Like another tool: one member.
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(2));
            encoder.write_all(snapshot).unwrap();
            return encoder.finish().unwrap();
        }
        [Encoding::Zstd] => Compression::Zstd,
        other => panic!("cannot store as {other:?}"),
    };
    let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
    encoder.write_all(snapshot).unwrap();
    encoder.finish().unwrap()
}

pub fn tally(bytes: &[u8]) -> SizeAndDigest {
    SizeAndDigest {
        size_bytes: bytes.len() as u64,
        sha256: Sha256Digest::from_bytes(Sha256::digest(bytes).into()),
    }
}

/// The manifest of a backup of `snapshot`.
pub fn describe(collection: &str, id: &str, snapshot: &[u8], encoding: &[Encoding]) -> Manifest {
    let collection = CollectionName::new(collection).unwrap();
    let id: BackupId = id.parse().unwrap();
    let inspection = inspect(&mut &*snapshot, &Limits::default()).unwrap();
    let layout = Layout::new("/", "/");
    let path = layout.archive(&collection, id, encoding);
    Manifest {
        schema_version: json_file::SCHEMA_VERSION,
        requires: Vec::new(),
        backup_id: id,
        collection,
        origin: Origin::Snapshot,
        run_id: "test".to_owned(),
        started_at: id.time(),
        completed_at: id.time(),
        depends_on: Vec::new(),
        source: Source {
            points_count_before: Some(u64::from(!inspection.holds_no_points())),
            points_count_after: Some(1000),
            config: inspection.config.clone(),
            ..Source::default()
        },
        points_sample: None,
        archives: vec![Archive {
            file_name: path.file_name().unwrap().to_string_lossy().into_owned(),
            node_url: None,
            peer_id: None,
            shard_ids: inspection.shards_with_segments(),
            scope: if inspection.kind == SnapshotKind::Shard { Scope::Shard } else { Scope::Collection },
            snapshot_name: None,
            encoding: encoding.to_vec(),
            snapshot: tally(snapshot),
            stored: tally(&stored(snapshot, encoding)),
            server_checksum: ServerChecksum::Matched,
        }],
        runner_version: "0.1.0".to_owned(),
    }
}
