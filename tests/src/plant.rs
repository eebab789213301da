//! Backups created by the test itself, with any age and any defect.

use std::io::Write;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::write::GzEncoder;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::digest::Sha256Digest;
use qdrant_backup_shared::manifest::{Manifest, SizeAndDigest, Source};
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{ShardKey, Status};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::directory::{Directory, by_shard, manifest, name};
use crate::qdrant_stand_in::{GenuineSnapshot, StandInCluster};

/// The kind of a planted backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Complete and never verified.
    Good,
    /// Complete and verified.
    Verified,
    /// Complete and found bad.
    Failed,
    /// Without its archive.
    Incomplete,
    /// An archive without a manifest.
    Orphan,
}

impl Directory {
    /// A status after a successful backup, without which nothing is pruned.
    pub fn plant_status(&self) {
        let mut status = Status::new("0.0.0".to_owned(), "host".to_owned());
        status.operations.entry(Operation::Backup).or_default().last_outcome = Some(Outcome::Success);
        self.put_status(&status);
    }

    /// Creates a backup of `collection` that started at `at`, and returns the archive's path. The archive contains no
    /// real snapshot.
    pub fn plant(&self, collection: &str, at: &str, what: Planted) -> PathBuf {
        let id = BackupId::at(at.parse().expect("a time"));
        let path = self.archive(collection, id);
        let contents = format!("{collection} {id}");
        if what != Planted::Incomplete {
            self.put_bytes(&path, contents.as_bytes());
        }
        match what {
            Planted::Verified => self.verify(collection, id, &[(Level::Archive, CheckOutcome::Passed)]),
            Planted::Failed => self.verify(collection, id, &[(Level::Archive, CheckOutcome::Failed)]),
            Planted::Good | Planted::Incomplete | Planted::Orphan => {}
        }
        if what != Planted::Orphan {
            let mut manifest = manifest(&name(collection), id, 0);
            let digest = sized(contents.as_bytes());
            (manifest.archives[0].snapshot, manifest.archives[0].stored) = (digest, digest);
            // The number of points is unknown.
            manifest.source = Source::default();
            self.put_manifest(&manifest);
        }
        path
    }

    /// Creates a backup from the real shard snapshots of `auto` or `custom`, which started at `at`, and returns its
    /// manifest.
    pub fn plant_shards(&self, collection: &str, at: &str) -> Manifest {
        let setup = StandInCluster::sharded();
        let shards: Vec<GenuineSnapshot> = GenuineSnapshot::all()
            .expect("genuine snapshots")
            .into_iter()
            .filter(|file| file.collection == collection && file.file.starts_with("cluster."))
            .collect();
        let ids: Vec<u32> = shards.iter().map(|shard| shard.local_shard_ids[0]).collect();
        let points = shards.iter().map(|shard| shard.points_count).sum();
        let id = BackupId::at(at.parse().expect("a time"));
        let mut manifest = by_shard(manifest(&name(collection), id, points), &ids);
        manifest.source.points_count_after = Some(points);
        manifest.source.config = Some(setup.state.collections[collection].config.clone());
        manifest.source.payload_schema = Some(json!({ "n": { "data_type": "integer", "points": points } }));
        manifest.source.aliases = Some(vec![format!("{collection}-alias")]);
        let mut keys: Vec<ShardKey> = Vec::new();
        for (archive, shard) in manifest.archives.iter_mut().zip(&shards) {
            if let Some(key) = &shard.shard_key {
                match keys.iter_mut().find(|known| known.key == *key) {
                    Some(known) => known.shard_ids.extend(&archive.shard_ids),
                    None => keys.push(ShardKey::new(key.clone(), archive.shard_ids.clone())),
                }
            }
            let snapshot = shard.read().expect("a genuine snapshot");
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&snapshot).expect("memory");
            let stored = encoder.finish().expect("memory");
            (archive.snapshot, archive.stored) = (sized(&snapshot), sized(&stored));
            let path = self.layout().collection(&manifest.collection).join(&archive.file_name);
            self.put_bytes(&path, &stored);
        }
        manifest.source.shard_keys = (!keys.is_empty()).then_some(keys);
        self.put_manifest(&manifest);
        manifest
    }

    /// Plants `count` good backups of `collection`, one per day at noon, starting at `first`.
    pub fn plant_daily(&self, collection: &str, first: &str, count: i64) {
        let first: DateTime<Utc> = format!("{first}T12:00:00Z").parse().expect("a day");
        for day in 0..count {
            let at = first + TimeDelta::days(day);
            self.plant(collection, &at.to_rfc3339(), Planted::Good);
        }
    }
}

fn sized(bytes: &[u8]) -> SizeAndDigest {
    SizeAndDigest {
        size_bytes: bytes.len() as u64,
        sha256: Sha256Digest::from_bytes(Sha256::digest(bytes).into()),
    }
}
