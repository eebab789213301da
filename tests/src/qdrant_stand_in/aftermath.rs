//! The states of a shard's replicas after an upload into one of them, as clients see them.

use super::change::{Change, Transfer, When};
use super::collection::Collection;
use super::shard::Replica;

/// How many polls of `GET /collections/{c}/cluster` (all nodes together) each phase lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aftermath {
    /// Phase 1, before the nodes agree: all replicas are `Active` (a new one is `Dead`), and the others have their
    /// old points.
    pub as_before: u32,
    /// Phase 2: the others are `Dead`.
    pub dead: u32,
    /// Phase 3: the others are brought up to date one after the other, each with a listed transfer.
    pub transfers: u32,
}

impl Default for Aftermath {
    fn default() -> Aftermath {
        Aftermath { as_before: 0, dead: 1, transfers: 1 }
    }
}

/// The authoritative replica of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    NoSync,
    Snapshot,
    Replica,
}

impl Priority {
    /// Parses the query's `priority`. The default is the replicas.
    pub(crate) fn of(text: Option<&str>) -> Option<Priority> {
        match text {
            None | Some("replica") => Some(Priority::Replica),
            Some("snapshot") => Some(Priority::Snapshot),
            Some("no_sync") => Some(Priority::NoSync),
            Some(_) => None,
        }
    }
}

impl Collection {
    /// The replica on `node` now has the uploaded points. The others had `before` points.
    pub(crate) fn uploaded(
        &mut self,
        shard: u32,
        node: usize,
        before: u64,
        priority: Priority,
        after: Aftermath,
    ) {
        let Some(found) = self.shard_mut(shard) else { return };
        let others: Vec<usize> = found
            .replicas
            .iter()
            .filter(|replica| replica.node != node && replica.is_active())
            .map(|replica| replica.node)
            .collect();
        let is_new = !found.has_replica_on(node);
        if is_new {
            found.replicas.push(Replica::active(node));
        }
        if let Some(replica) = found.replica_on_mut(node) {
            replica.holds = None;
            "Active".clone_into(&mut replica.state);
        }
        if others.is_empty() || priority == Priority::NoSync {
            return;
        }
        if priority == Priority::Replica {
            // The upload is lost: the other replicas are complete, and this one is synchronized from them.
            found.points_count = before;
            self.recover(shard, others[0], &[node], 0, after);
            return;
        }
        for replica in &mut found.replicas {
            if others.contains(&replica.node) {
                replica.holds.get_or_insert(before);
            }
        }
        let mut as_before = after.as_before;
        if is_new {
            as_before = as_before.max(1);
            self.set_replica_state(shard, node, "Dead");
            self.schedule(When::Polls(as_before), Change::Replica(shard, node, "Active".to_owned()));
        }
        self.recover(shard, node, &others, as_before, after);
    }

    fn recover(&mut self, shard: u32, from: usize, nodes: &[usize], as_before: u32, after: Aftermath) {
        // Sequentially, because a node sends only one shard at a time.
        for (turn, node) in (0..).zip(nodes) {
            let transfer = Transfer::recovery(shard, from, *node);
            let dead = Change::Replica(shard, *node, "Dead".to_owned());
            self.schedule(When::Polls(as_before), dead);
            let begins = as_before + after.dead + turn * (after.transfers + after.dead);
            self.schedule(When::Polls(begins), Change::Begins(transfer.clone()));
            self.schedule(When::Polls(begins + after.transfers), Change::Done(transfer));
        }
    }
}
