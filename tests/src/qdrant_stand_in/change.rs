//! Changes in a collection that no client requested, and when they happen.

use serde_json::{Value, json};

/// A transfer of a shard replica from one node to another (indices into `State::nodes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Id of the shard.
    pub shard: u32,
    /// The source node.
    pub from: usize,
    /// The target node.
    pub to: usize,
    /// Whether the source keeps its replica.
    pub sync: bool,
    /// The transfer method: `snapshot`, `stream_records`, `wal_delta`, ….
    pub method: &'static str,
}

impl Transfer {
    /// The transfer by which Qdrant brings a dead replica up to date.
    pub fn recovery(shard: u32, from: usize, to: usize) -> Transfer {
        Transfer { shard, from, to, sync: true, method: "wal_delta" }
    }

    /// The transfer that `move_shard` requests.
    pub fn moving(shard: u32, from: usize, to: usize) -> Transfer {
        Transfer { shard, from, to, sync: false, method: "snapshot" }
    }

    pub(crate) fn described(&self, peer_ids: &[u64]) -> Value {
        json!({
            "shard_id": self.shard, "from": peer_ids.get(self.from), "to": peer_ids.get(self.to),
            "sync": self.sync, "method": self.method,
        })
    }
}

/// A resharding in progress.
#[derive(Clone, Debug, PartialEq)]
pub struct Resharding {
    /// `up` or `down`.
    pub direction: &'static str,
    /// The shard that is added or removed.
    pub shard: u32,
    /// Its node.
    pub node: usize,
    /// Its shard key, with custom sharding.
    pub shard_key: Option<Value>,
}

impl Resharding {
    pub(crate) fn described(&self, peer_ids: &[u64]) -> Value {
        json!({
            "uuid": format!("{:08x}-0000-4000-8000-000000000001", self.shard), "direction": self.direction,
            "shard_id": self.shard, "peer_id": peer_ids.get(self.node), "shard_key": self.shard_key,
        })
    }
}

/// A change of a collection.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Sets the state of this shard's replica on this node, or adds a replica with this state.
    Replica(u32, usize, String),
    /// Removes the replica of this shard on this node.
    NoReplica(u32, usize),
    /// A transfer begins: it is listed, and the new replica is in state `Recovery`.
    Begins(Transfer),
    /// A transfer is done: the new replica is complete and `Active`. If the shard was moved, the old replica is gone.
    Done(Transfer),
    /// A transfer failed and is no longer listed.
    Aborted(Transfer),
    /// A resharding begins.
    Resharding(Resharding),
    /// All resharding has finished.
    ReshardingDone,
    /// Other clients write to this shard: it has this many points now.
    Points(u32, u64),
}

/// When a change happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// After this many polls of the collection's cluster information; 0 is immediately.
    Polls(u32),
    /// Once any node has made a snapshot of this shard.
    Snapshot(u32),
}
