//! Events in a collection that no client caused, and their times.

use serde_json::{Value, json};

/// A copy of a shard on its way from one node to another (indices into `State::nodes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Id of the shard that moves.
    pub shard: u32,
    /// From where.
    pub from: usize,
    /// Where to.
    pub to: usize,
    /// Whether it stays where it comes from as well.
    pub sync: bool,
    /// `snapshot`, `stream_records`, `wal_delta`, ….
    pub method: &'static str,
}

impl Transfer {
    /// As Qdrant brings a dead replica up to date.
    pub fn recovery(shard: u32, from: usize, to: usize) -> Transfer {
        Transfer { shard, from, to, sync: true, method: "wal_delta" }
    }

    /// As `move_shard` asks for it.
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

/// A resharding under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Resharding {
    /// `up` or `down`.
    pub direction: &'static str,
    /// The shard that is added or taken away.
    pub shard: u32,
    /// The node it is on.
    pub node: usize,
    /// The key that it belongs to, with custom sharding.
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

/// Something that happens to a collection.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The replica of this shard on this node is in this state from now on; a new one, where there was none.
    Replica(u32, usize, String),
    /// There is no replica of this shard on this node any more.
    NoReplica(u32, usize),
    /// A transfer begins: it is listed, and the replica it makes is `Recovery`.
    Begins(Transfer),
    /// It is done: the new replica is `Active` and whole; where the shard was moved, the old one is gone.
    Done(Transfer),
    /// It failed, and is no longer listed.
    Aborted(Transfer),
    /// A resharding begins.
    Resharding(Resharding),
    /// All resharding is done.
    ReshardingDone,
    /// Others write to this shard: it has so many points.
    Points(u32, u64),
}

/// When something happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// After so many polls of the collection's cluster information; 0 is at once.
    Polls(u32),
    /// Once a snapshot of this shard has been made, anywhere.
    Snapshot(u32),
}
