//! A backup directory of any size, created with the programs' own types. Archives are sparse files.

use std::{fs::File, io::Write, path::Path};

use qdrant_backup_shared::{
    BackupId, CollectionName, Layout, Manifest, Operation, Repository, Sha256Digest, Status,
    VerificationRecord,
    json_file::{self, JsonFile},
    manifest::{Archive, Encoding, Origin, Scope, ServerChecksum, SizeAndDigest, Source},
    operation::Outcome,
    status::{CollectionStatus, OperationStatus},
    verification::{CheckOutcome, Level},
};

use crate::sh::{Context, Result};

const FIRST: &str = "2025-07-15-02-00-00";

/// Fills `directory` with `backups` verified backups, distributed evenly over `collections` collections.
pub(super) fn generate(directory: &Path, collections: u32, backups: u32) -> Result<()> {
    let layout = Layout::new(directory, directory);
    let first: BackupId = FIRST.parse().context(FIRST)?;
    let repository = Repository::new("bench".to_owned(), first.time());
    put(&layout.repository_file(), &repository)?;
    let mut status = Status::new("0.1.0".to_owned(), "bench".to_owned());
    for number in 0..collections {
        let name = CollectionName::new(format!("collection_{number:03}")).context("a name")?;
        let path = layout.collection(&name);
        std::fs::create_dir_all(&path).context(path.display())?;
        let mut id = first;
        for night in 0..backups / collections.max(1) {
            id = BackupId::at(first.time() + std::time::Duration::from_secs(86_400) * night);
            backup(&layout, &name, id)?;
        }
        status.collections.insert(name, history(id));
    }
    let operation = OperationStatus {
        last_attempt_at: Some(first.time()),
        last_success_at: Some(first.time()),
        last_outcome: Some(Outcome::Success),
        last_duration_seconds: Some(60.0),
        runs_total: u64::from(backups / collections.max(1)),
        schedule_interval_seconds: Some(90_000.0),
        ..OperationStatus::default()
    };
    for known in [Operation::Backup, Operation::Verify, Operation::Prune] {
        status.operations.insert(known, operation.clone());
    }
    put(&layout.status_file(), &status)
}

fn backup(layout: &Layout, name: &CollectionName, id: BackupId) -> Result<()> {
    let path = layout.archive(name, id, &[Encoding::Gzip]);
    let size_bytes = 40_000_000;
    File::create(&path).and_then(|file| file.set_len(size_bytes)).context(path.display())?;
    let sized = SizeAndDigest { size_bytes, sha256: Sha256Digest::from_bytes([7; 32]) };
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let manifest = Manifest {
        schema_version: json_file::SCHEMA_VERSION,
        requires: Vec::new(),
        backup_id: id,
        collection: name.clone(),
        origin: Origin::Snapshot,
        run_id: "6e9e4f0c-7c1b-4b4e-9f3b-0d6a2f6f2f11".to_owned(),
        started_at: id.time(),
        completed_at: id.time(),
        depends_on: Vec::new(),
        source: Source {
            qdrant_version: Some("1.18.3".to_owned()),
            points_count_before: Some(100_000),
            points_count_after: Some(100_000),
            config: Some(serde_json::json!({
                "params": { "vectors": { "size": 768, "distance": "Cosine" }, "shard_number": 2, "on_disk_payload": true },
                "hnsw_config": { "m": 16, "ef_construct": 100, "full_scan_threshold": 10000, "max_indexing_threads": 0 },
                "optimizer_config": { "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "flush_interval_sec": 5 },
                "wal_config": { "wal_capacity_mb": 32, "wal_segments_ahead": 0 },
            })),
            aliases: Some(vec!["current".to_owned()]),
            payload_schema: None,
            shard_count: Some(2),
            ..Source::default()
        },
        points_sample: None,
        archives: vec![Archive {
            file_name,
            node_url: Some("http://localhost:6333/".to_owned()),
            peer_id: Some(8_372_720_498_335_175),
            shard_ids: vec![0, 1],
            scope: Scope::Collection,
            snapshot_name: Some(format!("{name}-8372720498335175-{id}.snapshot")),
            encoding: vec![Encoding::Gzip],
            snapshot: sized,
            stored: sized,
            server_checksum: ServerChecksum::Matched,
        }],
        runner_version: "0.1.0".to_owned(),
    };
    put(&layout.manifest(name, id), &manifest)?;
    let mut record = VerificationRecord::new(id);
    for level in [Level::Checksum, Level::Archive] {
        record.enter(level, id.time(), CheckOutcome::Passed, 3.5, Vec::new());
    }
    put(&layout.verification(name, id), &record)
}

fn history(newest: BackupId) -> CollectionStatus {
    CollectionStatus {
        on_server: Some(true),
        last_attempt_at: Some(newest.time()),
        last_outcome: Some(Outcome::Success),
        last_success_at: Some(newest.time()),
        last_backup_id: Some(newest),
        last_duration_seconds: Some(12.5),
        points: Some(100_000),
        ..CollectionStatus::default()
    }
}

/// Without the syncs of a real backup: tens of thousands of them would take minutes.
fn put<T: JsonFile>(path: &Path, value: &T) -> Result<()> {
    let bytes = json_file::to_bytes(value).context(path.display())?;
    File::create(path).and_then(|mut file| file.write_all(&bytes)).context(path.display())
}

#[cfg(test)]
mod tests {
    use qdrant_backup_shared::catalog::Catalog;

    use super::*;

    #[test]
    fn what_is_generated_is_good() {
        let directory = tempfile::tempdir().unwrap();
        generate(directory.path(), 3, 12).unwrap();
        let catalog = Catalog::read(&Layout::new(directory.path(), directory.path())).unwrap();
        assert_eq!(catalog.collections.len(), 3);
        assert!(catalog.collections.values().all(|backups| backups.len() == 4));
        assert!(catalog.collections.values().flatten().all(|backup| backup.is_good()));
        assert!(catalog.unreadable.is_empty() && catalog.orphans.is_empty());
    }
}
