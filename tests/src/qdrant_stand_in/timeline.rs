//! What changes in a collection without a client's doing: transfers, resharding, replicas that die and recover. It happens after
//! so many polls of `GET /collections/{c}/cluster`, whichever node they ask, or once something else has happened.

use serde_json::{Value, json};

use super::collection::Collection;
use super::shard::Replica;

/// A copy of a shard on its way from one node to another (indices into `State::nodes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Which shard.
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
    /// It came to nothing: it is listed no longer.
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

impl Collection {
    /// Lets that happen then.
    pub fn schedule(&mut self, when: When, change: Change) {
        if when == When::Polls(0) {
            self.apply(change);
        } else {
            self.timeline.push((when, change));
        }
    }

    /// A transfer is under way, for so many polls; then it is done.
    pub fn transfer_for_polls(&mut self, transfer: Transfer, polls: u32) {
        self.schedule(When::Polls(0), Change::Begins(transfer.clone()));
        self.schedule(When::Polls(polls), Change::Done(transfer));
    }

    /// A resharding is under way, for so many polls; the shards stay as they are.
    pub fn resharding_for_polls(&mut self, resharding: Resharding, polls: u32) {
        self.schedule(When::Polls(0), Change::Resharding(resharding));
        self.schedule(When::Polls(polls), Change::ReshardingDone);
    }

    /// The shard moves from one node to the other then, all at once.
    pub fn move_shard_when(&mut self, when: When, shard: u32, from: usize, to: usize) {
        self.schedule(when, Change::Done(Transfer::moving(shard, from, to)));
    }

    /// The state of one replica; one that is not there is made.
    pub fn set_replica_state(&mut self, shard: u32, node: usize, state: &str) {
        self.apply(Change::Replica(shard, node, state.to_owned()));
    }

    /// Puts the shard onto exactly these nodes, each with an active replica.
    pub fn place_shard(&mut self, shard: u32, nodes: &[usize]) {
        if let Some(shard) = self.shard_mut(shard) {
            shard.replicas = nodes.iter().map(|node| Replica::active(*node)).collect();
        }
    }

    /// One poll more.
    pub(crate) fn polled(&mut self) {
        let timeline = std::mem::take(&mut self.timeline);
        for (when, change) in timeline {
            match when {
                When::Polls(polls) => {
                    self.schedule(When::Polls(polls.saturating_sub(1)), change);
                }
                when @ When::Snapshot(_) => self.timeline.push((when, change)),
            }
        }
    }

    /// A snapshot of this shard has been made.
    pub(crate) fn shard_snapshot_made(&mut self, shard: u32) {
        let timeline = std::mem::take(&mut self.timeline);
        let (due, later) = timeline.into_iter().partition(|(when, _)| *when == When::Snapshot(shard));
        self.timeline = later;
        due.into_iter().for_each(|(_, change): (When, Change)| self.apply(change));
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Replica(shard, node, state) => self.set_replica(shard, node, &state, |_| {}),
            Change::NoReplica(shard, node) => {
                if let Some(shard) = self.shard_mut(shard) {
                    shard.replicas.retain(|replica| replica.node != node);
                }
            }
            Change::Begins(transfer) => {
                self.set_replica(transfer.shard, transfer.to, "Recovery", |replica| {
                    replica.holds.get_or_insert(0);
                });
                self.transfers.push(transfer);
            }
            Change::Done(transfer) => {
                self.transfers.retain(|other| *other != transfer);
                self.set_replica(transfer.shard, transfer.to, "Active", |replica| replica.holds = None);
                if !transfer.sync {
                    self.apply(Change::NoReplica(transfer.shard, transfer.from));
                }
            }
            Change::Aborted(transfer) => self.transfers.retain(|other| *other != transfer),
            Change::Resharding(resharding) => self.reshardings.push(resharding),
            Change::ReshardingDone => self.reshardings.clear(),
            Change::Points(shard, points) => {
                if let Some(shard) = self.shard_mut(shard) {
                    shard.points_count = points;
                }
            }
        }
    }

    fn set_replica(&mut self, shard: u32, node: usize, state: &str, and: impl FnOnce(&mut Replica)) {
        let Some(shard) = self.shard_mut(shard) else { return };
        if !shard.has_replica_on(node) {
            shard.replicas.push(Replica::active(node));
        }
        if let Some(replica) = shard.replica_on_mut(node) {
            state.clone_into(&mut replica.state);
            and(replica);
        }
    }
}
