//! The parts of Qdrant's answers that backups need. Shapes as recorded from Qdrant 1.18.3 and 1.14.1.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::digest::Sha256Digest;
use serde::Deserialize;

use super::snapshot_name::SnapshotName;

/// The wrapper of every JSON answer.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    pub result: T,
}

/// `GET /`.
#[derive(Debug, Deserialize)]
pub(super) struct Root {
    pub version: String,
}

/// `GET /collections`.
#[derive(Debug, Deserialize)]
pub(super) struct Collections {
    pub collections: Vec<CollectionEntry>,
}

/// One entry of `GET /collections`.
#[derive(Debug, Deserialize)]
pub(super) struct CollectionEntry {
    pub name: String,
}

/// `GET /aliases`.
#[derive(Debug, Deserialize)]
pub(super) struct Aliases {
    pub aliases: Vec<Alias>,
}

/// An alias and its collection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Alias {
    /// Name of the alias.
    pub alias_name: String,
    /// The collection that it refers to.
    pub collection_name: String,
}

/// `GET /collections/{c}`, as far as needed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CollectionInfo {
    /// `green`, `yellow` (optimizing), `grey` (optimization pending) or `red`.
    #[serde(default)]
    pub status: String,
    /// Approximate number of points.
    #[serde(default)]
    pub points_count: Option<u64>,
    /// The payload indexes by field, kept as the server gave them.
    #[serde(default)]
    pub payload_schema: serde_json::Value,
    /// The configuration, kept as the server gave it.
    pub config: serde_json::Value,
    /// Pending updates. Older servers do not report them.
    #[serde(default)]
    pub update_queue: Option<UpdateQueue>,
}

/// Updates that are not visible yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UpdateQueue {
    /// The number of pending updates.
    #[serde(default)]
    pub length: u64,
    /// Points that are hidden until they are optimized. Only reported if the collection hides them.
    #[serde(default)]
    pub deferred_points: Option<u64>,
}

/// `GET /collections/{c}/exists`.
#[derive(Debug, Deserialize)]
pub(super) struct Exists {
    pub exists: bool,
}

/// `POST /collections/{c}/points/scroll`.
#[derive(Debug, Deserialize)]
pub(super) struct Scrolled {
    pub points: Vec<serde_json::Value>,
    /// The id of the next point, if there is one.
    #[serde(default)]
    pub next_page_offset: serde_json::Value,
}

/// `POST /collections/{c}/points/count`.
#[derive(Debug, Deserialize)]
pub(super) struct Count {
    pub count: u64,
}

/// The status in answers to changes of points and indexes: `completed`, or `acknowledged` if the change will be done
/// later.
#[derive(Debug, Deserialize)]
pub(super) struct Update {
    #[serde(rename = "status")]
    pub _status: String,
}

/// `GET /collections/{c}/cluster`: locations of shards, as seen by the node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CollectionCluster {
    /// The asked node.
    pub peer_id: u64,
    /// How many shards the collection has.
    pub shard_count: u32,
    /// Replicas on the asked node.
    #[serde(default)]
    pub local_shards: Vec<Shard>,
    /// Replicas on other nodes.
    #[serde(default)]
    pub remote_shards: Vec<RemoteShard>,
    /// Shard transfers in progress.
    #[serde(default)]
    pub shard_transfers: Vec<ShardTransfer>,
    /// Resharding in progress.
    #[serde(default)]
    pub resharding_operations: Option<Vec<serde_json::Value>>,
}

/// A shard transfer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ShardTransfer {
    /// Id of the shard that is transferred.
    #[serde(default)]
    pub shard_id: u32,
}

/// A replica on the asked node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Shard {
    /// Id of its shard.
    pub shard_id: u32,
    /// Its shard key, with custom sharding.
    #[serde(default)]
    pub shard_key: Option<serde_json::Value>,
    /// Its approximate number of points.
    #[serde(default)]
    pub points_count: Option<u64>,
    /// The replica's state. `Active` when it is ready.
    pub state: String,
}

/// A replica on another node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RemoteShard {
    /// Id of its shard.
    pub shard_id: u32,
    /// Its shard key, with custom sharding.
    #[serde(default)]
    pub shard_key: Option<serde_json::Value>,
    /// That node.
    pub peer_id: u64,
    /// The replica's state.
    pub state: String,
}

/// A snapshot in the answer to the create request, and in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name on the server.
    pub name: SnapshotName,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its SHA-256, unless the server keeps snapshots in S3.
    pub checksum: Option<Sha256Digest>,
}

/// The snapshots of one collection, with the server's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotList {
    /// The list, without entries with invalid names, which cannot be ours.
    pub snapshots: Vec<Snapshot>,
    /// The answer's `Date`, to the second.
    pub server_time: Option<DateTime<Utc>>,
}

/// A snapshot's description as JSON.
#[derive(Debug, Deserialize)]
pub(super) struct RawSnapshot {
    pub name: String,
    pub size: u64,
    #[serde(default)]
    pub checksum: Option<String>,
}

impl RawSnapshot {
    /// The checked description.
    pub fn check(self) -> Result<Snapshot, String> {
        let name = SnapshotName::new(&self.name).map_err(|error| error.to_string())?;
        let checksum = match self.checksum.as_deref() {
            None | Some("") => None,
            Some(text) => Some(text.parse::<Sha256Digest>().map_err(|error| format!("checksum: {error}"))?),
        };
        Ok(Snapshot { name, size_bytes: self.size, checksum })
    }
}

impl CollectionCluster {
    /// All peers with a part of the collection, and the peer that answered.
    pub fn peer_ids(&self) -> impl Iterator<Item = u64> {
        std::iter::once(self.peer_id).chain(self.remote_shards.iter().map(|shard| shard.peer_id))
    }

    /// Every shard on any node, with its shard key if it has one.
    pub fn shard_keys(&self) -> BTreeMap<u32, Option<serde_json::Value>> {
        let local = self.local_shards.iter().map(|shard| (shard.shard_id, shard.shard_key.clone()));
        let remote = self.remote_shards.iter().map(|shard| (shard.shard_id, shard.shard_key.clone()));
        local.chain(remote).collect()
    }

    /// The shards with an active replica on the asked node.
    pub fn active_local_shards(&self) -> Vec<u32> {
        let mut shards: Vec<u32> = self
            .local_shards
            .iter()
            .filter(|shard| shard.state == "Active")
            .map(|shard| shard.shard_id)
            .collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }

    /// The shards that a snapshot of the asked node would not contain, with reasons. Empty if it would contain all.
    pub fn uncovered_shards(&self) -> Vec<String> {
        let mut ids: Vec<u32> = self.local_shards.iter().map(|shard| shard.shard_id).collect();
        ids.extend(self.remote_shards.iter().map(|shard| shard.shard_id));
        ids.sort_unstable();
        ids.dedup();
        let active = self.active_local_shards();
        let mut uncovered: Vec<String> = ids
            .iter()
            .filter(|id| !active.contains(id))
            .map(|id| {
                if let Some(local) = self.local_shards.iter().find(|shard| shard.shard_id == *id) {
                    return format!(
                        "shard {id} ({} here)",
                        qdrant_backup_shared::text::shortened(&local.state, 30)
                    );
                }
                let peers: Vec<String> = self
                    .remote_shards
                    .iter()
                    .filter(|shard| shard.shard_id == *id)
                    .map(|shard| shard.peer_id.to_string())
                    .collect();
                format!("shard {id} (only on peer {})", peers.join(", "))
            })
            .collect();
        let known = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        if known < self.shard_count {
            uncovered.push(format!(
                "{} of {} shards (on no node)",
                self.shard_count - known,
                self.shard_count
            ));
        }
        uncovered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(json: &str) -> CollectionCluster {
        serde_json::from_str(json).unwrap()
    }

    // The three nodes as recorded.
    const NODE_1: &str = r#"{"peer_id":5269863909012892,"shard_count":2,"local_shards":[{"shard_id":0,"points_count":161,"state":"Active"}],"remote_shards":[{"shard_id":1,"peer_id":5657630203459650,"state":"Active"}],"shard_transfers":[]}"#;
    const NODE_2: &str = r#"{"peer_id":6399145023181557,"shard_count":2,"local_shards":[],"remote_shards":[{"shard_id":0,"peer_id":5269863909012892,"state":"Active"},{"shard_id":1,"peer_id":5657630203459650,"state":"Active"}],"shard_transfers":[]}"#;
    const SINGLE: &str = r#"{"peer_id":8372720498335175,"shard_count":1,"local_shards":[{"shard_id":0,"points_count":4000,"state":"Active"}],"remote_shards":[],"shard_transfers":[]}"#;

    #[test]
    fn shards_that_lie_elsewhere_are_uncovered() {
        assert_eq!(cluster(NODE_1).uncovered_shards(), ["shard 1 (only on peer 5657630203459650)"]);
        assert_eq!(cluster(NODE_2).uncovered_shards().len(), 2);
        assert_eq!(cluster(SINGLE).uncovered_shards(), Vec::<String>::new());
    }

    #[test]
    fn a_local_replica_that_is_not_active_does_not_count() {
        let text = SINGLE.replace("Active", "Partial");
        assert_eq!(cluster(&text).uncovered_shards(), ["shard 0 (Partial here)"]);
    }

    #[test]
    fn shards_that_nobody_names_are_uncovered() {
        let text = SINGLE.replace("\"shard_count\":1", "\"shard_count\":3");
        assert_eq!(cluster(&text).uncovered_shards(), ["2 of 3 shards (on no node)"]);
    }

    #[test]
    fn a_collection_without_any_shard_lacks_none() {
        let keyless =
            r#"{"peer_id":1,"shard_count":0,"local_shards":[],"remote_shards":[],"shard_transfers":[]}"#;
        assert_eq!(cluster(keyless).uncovered_shards(), Vec::<String>::new());
    }

    #[test]
    fn shards_are_known_by_their_keys() {
        // The first of three nodes, as recorded.
        let custom = r#"{"peer_id":8179168769462515,"shard_count":3,"local_shards":[{"shard_id":1,"shard_key":"eu","points_count":193,"state":"Active"}],"remote_shards":[{"shard_id":2,"shard_key":"eu","peer_id":6604486580146123,"state":"Active"},{"shard_id":3,"shard_key":"us","peer_id":5023857323839849,"state":"Active"}],"shard_transfers":[]}"#;
        let keys: Vec<_> =
            cluster(custom).shard_keys().into_iter().map(|(id, key)| (id, key.unwrap())).collect();
        assert_eq!(keys, [(1, "eu".into()), (2, "eu".into()), (3, "us".into())]);
        assert_eq!(cluster(SINGLE).shard_keys().into_values().collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn checksums_may_be_absent_but_not_wrong() {
        let check = |json: &str| serde_json::from_str::<RawSnapshot>(json).unwrap().check();
        assert_eq!(check(r#"{"name":"a.snapshot","size":1}"#).unwrap().checksum, None);
        assert_eq!(check(r#"{"name":"a.snapshot","size":1,"checksum":null}"#).unwrap().checksum, None);
        assert!(check(r#"{"name":"a.snapshot","size":1,"checksum":"xyz"}"#).is_err());
        assert!(check(r#"{"name":"../a","size":1}"#).is_err());
    }
}
