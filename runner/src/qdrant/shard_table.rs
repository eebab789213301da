//! The locations of a collection's shards, according to one node.

use std::collections::{BTreeMap, BTreeSet};

use qdrant_backup_shared::ShardKey;
use qdrant_backup_shared::text::shortened;
use serde_json::Value;

use super::answers::CollectionCluster;

/// The state of a ready replica.
pub const ACTIVE: &str = "Active";

/// All shards of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardTable {
    /// Each shard by its id.
    pub shards: BTreeMap<u32, Replicas>,
    /// Expected number.
    pub shard_count: u32,
    /// Shards in transfer, ascending.
    pub transfers: Vec<u32>,
    /// Whether resharding is in progress.
    pub is_resharding: bool,
}

/// The copies of one shard.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicas {
    /// Its shard key, with custom sharding.
    pub key: Option<Value>,
    /// Peer id to state.
    pub states: BTreeMap<u64, String>,
}

impl Replicas {
    /// The nodes with an active copy.
    pub fn active(&self) -> impl Iterator<Item = u64> {
        self.states.iter().filter(|(_, state)| *state == ACTIVE).map(|(peer, _)| *peer)
    }

    /// As in `Dead on node 3, Partial on node 7`.
    pub fn told(&self) -> String {
        let told = self.states.iter().map(|(peer, state)| format!("{} on node {peer}", shortened(state, 30)));
        told.collect::<Vec<_>>().join(", ")
    }
}

impl From<&CollectionCluster> for ShardTable {
    fn from(cluster: &CollectionCluster) -> Self {
        let mut shards: BTreeMap<u32, Replicas> = BTreeMap::new();
        let mut add = |id: u32, key: &Option<Value>, peer: u64, state: &str| {
            let replicas = shards.entry(id);
            let replicas = replicas.or_insert_with(|| Replicas { key: key.clone(), states: BTreeMap::new() });
            replicas.states.insert(peer, state.to_owned());
        };
        for shard in &cluster.local_shards {
            add(shard.shard_id, &shard.shard_key, cluster.peer_id, &shard.state);
        }
        for shard in &cluster.remote_shards {
            add(shard.shard_id, &shard.shard_key, shard.peer_id, &shard.state);
        }
        let mut transfers: Vec<u32> =
            cluster.shard_transfers.iter().map(|under_way| under_way.shard_id).collect();
        transfers.sort_unstable();
        transfers.dedup();
        let resharding = cluster.resharding_operations.as_ref();
        Self {
            shards,
            shard_count: cluster.shard_count,
            transfers,
            is_resharding: resharding.is_some_and(|operations| !operations.is_empty()),
        }
    }
}

impl ShardTable {
    /// Number of nodes with its shards.
    pub fn nodes(&self) -> usize {
        let peers: BTreeSet<&u64> =
            self.shards.values().flat_map(|replicas| replicas.states.keys()).collect();
        peers.len()
    }

    /// Whether `other` has the same shards with the same keys, regardless of locations.
    pub fn has_the_shards_of(&self, other: &Self) -> bool {
        self.shards.len() == other.shards.len()
            && self
                .shards
                .iter()
                .zip(&other.shards)
                .all(|((id, ours), (other_id, theirs))| id == other_id && ours.key == theirs.key)
    }

    /// Why it cannot be backed up now, for each shard. Empty if every shard has an active copy on a node that `answers`, and none
    /// is in transfer.
    pub fn unsettled(&self, answers: impl Fn(u64) -> bool) -> Vec<String> {
        let mut unsettled = Vec::new();
        if self.is_resharding {
            unsettled.push("it is being resharded".to_owned());
        }
        unsettled.extend(self.transfers.iter().map(|id| format!("shard {id} is being moved or copied")));
        for (id, replicas) in &self.shards {
            if replicas.active().any(&answers) {
                continue;
            }
            let on: Vec<String> = replicas.active().map(|peer| peer.to_string()).collect();
            unsettled.push(match on.as_slice() {
                [] => format!("shard {id} has no active replica ({})", replicas.told()),
                several => format!("shard {id} is only on nodes that do not answer ({})", several.join(", ")),
            });
        }
        let there = u32::try_from(self.shards.len()).unwrap_or(u32::MAX);
        if there < self.shard_count {
            let missing = self.shard_count - there;
            unsettled.push(format!("{missing} of {} shards are on no node", self.shard_count));
        }
        unsettled
    }

    /// The shard keys with their shards, ordered by shard. None for automatic sharding.
    pub fn keys(&self) -> Option<Vec<ShardKey>> {
        let mut keys: Vec<ShardKey> = Vec::new();
        for (id, replicas) in &self.shards {
            let key = replicas.key.clone()?;
            let replicas = u32::try_from(replicas.states.len()).ok();
            match keys.iter_mut().find(|known| known.key == key) {
                Some(known) => {
                    known.shard_ids.push(*id);
                    known.replicas = known.replicas.max(replicas);
                }
                None => keys.push(ShardKey { key, shard_ids: vec![*id], replicas }),
            }
        }
        (!keys.is_empty()).then_some(keys)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(json: &Value) -> ShardTable {
        ShardTable::from(&serde_json::from_value::<CollectionCluster>(json.clone()).unwrap())
    }

    /// As recorded, with replication factor 2.
    fn of_two() -> Value {
        json!({ "peer_id": 8, "shard_count": 3,
            "local_shards": [{ "shard_id": 0, "points_count": 282, "state": "Active" }, { "shard_id": 1, "state": "Active" }],
            "remote_shards": [{ "shard_id": 0, "peer_id": 6, "state": "Active" }, { "shard_id": 1, "peer_id": 5, "state": "Active" },
                { "shard_id": 2, "peer_id": 5, "state": "Active" }, { "shard_id": 2, "peer_id": 6, "state": "Dead" }],
            "shard_transfers": [] })
    }

    #[test]
    fn every_shard_is_seen_from_one_node() {
        let two = table(&of_two());
        assert_eq!(two.shards[&0].active().collect::<Vec<_>>(), [6, 8]);
        assert_eq!(two.shards[&2].active().collect::<Vec<_>>(), [5]);
        assert_eq!(two.unsettled(|_| true), Vec::<String>::new());
        assert_eq!(two.unsettled(|peer| peer != 5), ["shard 2 is only on nodes that do not answer (5)"]);
        assert_eq!(two.keys(), None);
    }

    #[test]
    fn what_moves_is_told_shard_by_shard() {
        let mut moving = of_two();
        moving["shard_transfers"] = json!([{ "shard_id": 1, "from": 8, "to": 6, "sync": false }]);
        moving["resharding_operations"] = json!([{ "direction": "up" }]);
        moving["remote_shards"][2]["state"] = json!("Partial");
        moving["shard_count"] = json!(4);
        let told = table(&moving).unsettled(|_| true);
        assert_eq!(
            told,
            [
                "it is being resharded",
                "shard 1 is being moved or copied",
                "shard 2 has no active replica (Partial on node 5, Dead on node 6)",
                "1 of 4 shards are on no node"
            ]
        );
    }

    #[test]
    fn keys_are_in_the_order_of_their_shards() {
        let custom = json!({ "peer_id": 1, "shard_count": 3, "local_shards": [{ "shard_id": 4, "shard_key": "eu", "state": "Active" }],
            "remote_shards": [{ "shard_id": 2, "shard_key": "us", "peer_id": 2, "state": "Active" }, { "shard_id": 3, "shard_key": "eu", "peer_id": 2, "state": "Active" }] });
        let keys = table(&custom).keys().unwrap();
        let one_copy = |key: &str, ids: &[u32]| ShardKey {
            replicas: Some(1),
            ..ShardKey::new(json!(key), ids.to_vec())
        };
        assert_eq!(keys, [one_copy("us", &[2]), one_copy("eu", &[3, 4])]);
        let mut moved = custom.clone();
        moved["remote_shards"][0]["peer_id"] = json!(3);
        assert!(table(&moved).has_the_shards_of(&table(&custom)));
        moved["remote_shards"][0]["shard_key"] = json!("asia");
        assert!(!table(&moved).has_the_shards_of(&table(&custom)));
    }
}
