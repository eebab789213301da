//! Snapshots on a node: one found in the list, and its form in the status.

use qdrant_backup_shared::status::{Creating, ServerSnapshot};

use crate::qdrant::Snapshot;

/// A snapshot found in the list, because the request got no answer.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// The request that it probably belongs to.
    pub creating: Creating,
    /// Snapshot on the server.
    pub snapshot: Snapshot,
}

/// The snapshot of the request `creating`, for the status.
pub fn recorded(creating: &Creating, snapshot: &Snapshot) -> ServerSnapshot {
    ServerSnapshot {
        collection: creating.collection.clone(),
        shard_id: creating.shard_id,
        node_url: creating.node_url.clone(),
        name: snapshot.name.as_str().to_owned(),
        checksum: snapshot.checksum,
    }
}
