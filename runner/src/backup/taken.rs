//! Results of backing up a collection: archives under temporary names, and data for their manifest.

use qdrant_backup_shared::ShardKey;
use qdrant_backup_shared::atomic::AtomicFile;
use qdrant_backup_shared::manifest::{Archive, Scope, ServerChecksum};
use serde_json::Value;

use super::before::After;
use super::part::Obtained;
use crate::archive::write::Compression;

/// All of a collection.
pub struct Taken {
    /// Archives without a final name yet.
    pub archives: Vec<TakenArchive>,
    /// Counts and samples after them.
    pub after: After,
    /// None if it changed during the snapshot.
    pub config: Option<Value>,
    /// Its payload indexes.
    pub payload_schema: Value,
    /// How many shards it has.
    pub shard_count: u32,
    /// Its shard keys. None for automatic sharding.
    pub shard_keys: Option<Vec<ShardKey>>,
}

/// One archive.
pub struct TakenArchive {
    /// Its entry in the manifest.
    pub archive: Archive,
    /// Temporary file with its contents.
    pub file: AtomicFile,
}

impl TakenArchive {
    /// The snapshot from `node_url`, which is peer `peer_id`.
    pub fn of(
        scope: Scope,
        shard_ids: Vec<u32>,
        peer_id: u64,
        node_url: String,
        compression: Compression,
        obtained: Obtained,
    ) -> Self {
        let Obtained { snapshot, received } = obtained;
        let file = received.file;
        let name = file.target().file_name().map(|name| name.to_string_lossy().into_owned());
        let server_checksum =
            if snapshot.checksum.is_some() { ServerChecksum::Matched } else { ServerChecksum::Absent };
        let archive = Archive {
            file_name: name.unwrap_or_default(),
            node_url: Some(node_url),
            peer_id: Some(peer_id),
            shard_ids,
            scope,
            snapshot_name: Some(snapshot.name.as_str().to_owned()),
            encoding: compression.encoding(),
            snapshot: received.snapshot,
            stored: received.stored,
            server_checksum,
        };
        Self { archive, file }
    }
}
