//! A shard of a collection, and where its copies are.

use std::ops::Range;

use serde_json::Value;

/// One copy of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Which node has it: an index into `State::nodes`.
    pub node: usize,
    /// `Active`, `Dead`, `Partial`, `Initializing`, ….
    pub state: String,
    /// The points in this copy, where these are not all of the shard's: it has yet to catch up.
    pub holds: Option<u64>,
}

impl Replica {
    /// A copy that is whole.
    pub fn active(node: usize) -> Replica {
        Replica { node, state: "Active".to_owned(), holds: None }
    }

    /// Whether it is a source of truth.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state.as_str(), "Active" | "ReshardingScaleDown")
    }

    /// Whether clients' reads are answered from it.
    pub(crate) fn is_readable(&self) -> bool {
        self.is_active() || self.state == "ActiveRead"
    }
}

/// A shard and its copies. One without replicas is answered by no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0; with custom sharding from 1.
    pub id: u32,
    /// The key whose points it holds, with custom sharding.
    pub key: Option<Value>,
    /// The points in it.
    pub points_count: u64,
    /// The index of the first of its points among the collection's; without one they follow those of the shards before it.
    pub first_index: Option<u64>,
    /// One replica for each node that has one.
    pub replicas: Vec<Replica>,
}

impl Shard {
    /// A shard with one active replica on that node.
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

/// Where each shard's points are among the collection's.
pub(crate) fn ranges(shards: &[Shard]) -> Vec<Range<u64>> {
    let mut next = 0;
    let place = |shard: &Shard| {
        let first = shard.first_index.unwrap_or(next);
        next += shard.points_count;
        first..first + shard.points_count
    };
    shards.iter().map(place).collect()
}
