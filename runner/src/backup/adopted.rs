//! Snapshots on a node: one that was found there, and how the status keeps one.

use qdrant_backup_shared::status::{Creating, ServerSnapshot};

use crate::qdrant::Snapshot;

/// A snapshot that was found in the list because no answer named it.
#[derive(Debug, Clone)]
pub struct Adopted {
    /// The creation that it is taken to be of.
    pub creating: Creating,
    /// The snapshot.
    pub snapshot: Snapshot,
}

/// As the status keeps a snapshot that came of `creating`.
pub fn recorded(creating: &Creating, snapshot: &Snapshot) -> ServerSnapshot {
    ServerSnapshot {
        collection: creating.collection.clone(),
        shard_id: creating.shard_id,
        node_url: creating.node_url.clone(),
        name: snapshot.name.as_str().to_owned(),
        checksum: snapshot.checksum,
    }
}
