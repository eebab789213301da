//! Changes in a collection that no client requests: transfers, resharding, replicas that die and recover. A change
//! happens after a number of polls of `GET /collections/{c}/cluster` on any node, or after another event.

use super::change::{Change, Resharding, Transfer, When};
use super::collection::Collection;
use super::shard::Replica;

impl Collection {
    /// Schedules a change.
    pub fn schedule(&mut self, when: When, change: Change) {
        if when == When::Polls(0) {
            self.apply(change);
        } else {
            self.timeline.push((when, change));
        }
    }

    /// A transfer is in progress for this many polls, then it is done.
    pub fn transfer_for_polls(&mut self, transfer: Transfer, polls: u32) {
        self.schedule(When::Polls(0), Change::Begins(transfer.clone()));
        self.schedule(When::Polls(polls), Change::Done(transfer));
    }

    /// A resharding is in progress for this many polls. The shards do not change.
    pub fn resharding_for_polls(&mut self, resharding: Resharding, polls: u32) {
        self.schedule(When::Polls(0), Change::Resharding(resharding));
        self.schedule(When::Polls(polls), Change::ReshardingDone);
    }

    /// At that time the shard moves from one node to the other in one step.
    pub fn move_shard_when(&mut self, when: When, shard: u32, from: usize, to: usize) {
        self.schedule(when, Change::Done(Transfer::moving(shard, from, to)));
    }

    /// Sets the state of a replica, or adds a replica.
    pub fn set_replica_state(&mut self, shard: u32, node: usize, state: &str) {
        self.apply(Change::Replica(shard, node, state.to_owned()));
    }

    /// Places the shard on exactly these nodes, each with an active replica.
    pub fn place_shard(&mut self, shard: u32, nodes: &[usize]) {
        if let Some(shard) = self.shard_mut(shard) {
            shard.replicas = nodes.iter().map(|node| Replica::active(*node)).collect();
        }
    }

    /// Counts one poll.
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
