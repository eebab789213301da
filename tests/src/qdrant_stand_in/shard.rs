//! A shard of a collection and its replicas.

use std::ops::Range;

use serde_json::Value;

/// A replica of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its node: an index into `State::nodes`.
    pub node: usize,
    /// `Active`, `Dead`, `Partial`, `Initializing`, ….
    pub state: String,
    /// How many points it has, if not all of the shard's points.
    pub holds: Option<u64>,
}

impl Replica {
    /// A complete active replica.
    pub fn active(node: usize) -> Replica {
        Replica { node, state: "Active".to_owned(), holds: None }
    }

    /// Whether it is a source of truth.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state.as_str(), "Active" | "ReshardingScaleDown")
    }

    /// Whether it answers reads from clients.
    pub(crate) fn is_readable(&self) -> bool {
        self.is_active() || self.state == "ActiveRead"
    }
}

/// A shard and its replicas. No node answers for a shard without replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id, from 0; with custom sharding from 1.
    pub id: u32,
    /// Its shard key, with custom sharding.
    pub key: Option<Value>,
    /// The number of its points.
    pub points_count: u64,
    /// The index of its first point within the collection. By default its points follow those of the previous shard.
    pub first_index: Option<u64>,
    /// One replica per node.
    pub replicas: Vec<Replica>,
}

impl Shard {
    /// A shard with one active replica on this node.
    pub fn on_node(id: u32, points_count: u64, node: usize) -> Shard {
        Shard { id, key: None, points_count, first_index: None, replicas: vec![Replica::active(node)] }
    }

    pub(crate) fn has_replica_on(&self, node: usize) -> bool {
        self.replica_on(node).is_some()
    }

    pub(crate) fn replica_on(&self, node: usize) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.node == node)
    }

    pub(crate) fn replica_on_mut(&mut self, node: usize) -> Option<&mut Replica> {
        self.replicas.iter_mut().find(|replica| replica.node == node)
    }
}

/// The index ranges of the shards' points within the collection.
pub(crate) fn ranges(shards: &[Shard]) -> Vec<Range<u64>> {
    let mut next = 0;
    let place = |shard: &Shard| {
        let first = shard.first_index.unwrap_or(next);
        next += shard.points_count;
        first..first + shard.points_count
    };
    shards.iter().map(place).collect()
}
