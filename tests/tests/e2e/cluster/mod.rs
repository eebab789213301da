//! Clusters: every shard is backed up once, from any node that has it, and restored wherever possible.

mod addresses;
mod alone;
mod bad_nodes;
mod begun;
mod drills;
mod interrupted;
mod lost_nodes;
mod moving;
mod plans;
mod real;
mod restores;
mod shards;

use std::collections::{BTreeMap, BTreeSet};

use e2e::qdrant_stand_in::{
    Collection, Fault, GeneratedSnapshot, LoggedRequest, Setup, StandIn, StandInCluster,
};
use e2e::scene::{DOCS, SIZE, configuration};
use e2e::{Nodes, Place, Ran};
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::{Failure, FailureKind};
use serde_json::{Value, json};

use crate::traces::none;

/// The number of points of [`docs`] and [`tenants`].
const POINTS: u64 = 90;

/// A collection with custom sharding.
const TENANTS: &str = "tenants";

/// A cluster and a place that backs it up.
struct Scene {
    cluster: StandInCluster,
    place: Place,
    nodes: Nodes,
}

/// [`DOCS`] with this many shards.
fn docs(shards: u32) -> Collection {
    Collection::generated(DOCS, GeneratedSnapshot::new(SIZE).points_count(POINTS).shards(shards))
}

/// The keys of [`TENANTS`], with a gap in the shard ids.
fn keys() -> Vec<(Value, Vec<u32>)> {
    vec![(json!("eu"), vec![1]), (json!("us"), vec![3, 4])]
}

fn tenants() -> Collection {
    let snapshot = GeneratedSnapshot::new(SIZE).points_count(POINTS).shard_keys(&keys());
    Collection::generated(TENANTS, snapshot)
}

impl Scene {
    /// A cluster with `setup`, and a repository. The first node is configured.
    fn of(setup: Setup) -> Self {
        let cluster = StandInCluster::start_with(setup);
        let urls = cluster.urls();
        let scene = Self { place: Place::initialised(&urls[0]), nodes: Nodes::at(&urls), cluster };
        scene.configure(&[]);
        scene
    }

    /// The same, with all nodes configured.
    fn listed(setup: Setup) -> Self {
        let scene = Self::of(setup);
        scene.configure(&[("nodes", &scene.list())]);
        scene
    }

    /// [`DOCS`] with three shards on three nodes.
    fn docs(replication_factor: u32) -> Self {
        Self::of(Setup::cluster(3).spread(docs(3), replication_factor))
    }

    /// The value of `qdrant.nodes` with all nodes.
    fn list(&self) -> String {
        format!("[{}]", self.nodes.urls().join(", "))
    }

    fn configure(&self, changes: &[(&str, &str)]) {
        self.place.configure(&configuration(changes));
    }

    fn node(&self, node: usize) -> &StandIn {
        &self.cluster.nodes()[node]
    }

    fn fault(&self, node: usize, fault: Fault) {
        self.node(node).faults(|faults| faults.add(fault));
    }

    /// Removes all faults.
    fn heal(&self) {
        self.cluster.nodes().iter().for_each(|node| node.faults(|faults| faults.clear()));
    }

    fn backup(&self) -> Ran {
        self.place.run(&["backup"])
    }

    /// Makes a backup, then clears the servers' logs.
    fn backed_up(self) -> Self {
        self.backup().success();
        self.forget_requests();
        self
    }

    fn forget_requests(&self) {
        self.cluster.nodes().iter().for_each(StandIn::clear_requests);
    }

    /// The manifest of the newest backup.
    #[track_caller]
    fn manifest(&self, collection: &str) -> Manifest {
        self.place.newest(collection).manifest
    }

    /// The source node of each shard of the newest backup.
    #[track_caller]
    fn origins(&self, collection: &str) -> BTreeMap<u32, usize> {
        let node = |peer_id| self.cluster.nodes().iter().position(|node| node.peer_id() == peer_id);
        let archives = self.manifest(collection).archives;
        archives
            .iter()
            .map(|archive| (archive.shard_ids[0], archive.peer_id.and_then(node).expect("a node")))
            .collect()
    }

    /// The nodes with a replica of each shard.
    fn holders(&self, collection: &str) -> BTreeMap<u32, BTreeSet<usize>> {
        self.cluster.state(|state| {
            let shards = state.collection_mut(collection).shards.iter();
            shards
                .map(|shard| (shard.id, shard.replicas.iter().map(|replica| replica.node).collect()))
                .collect()
        })
    }

    #[track_caller]
    fn failure(&self, collection: &str) -> Failure {
        let status = self.place.status();
        status.collections[&e2e::directory::name(collection)].failure.clone().expect("a failure")
    }

    /// Fails the test unless the newest backup of `collection` failed with `kind` and a message that contains all of
    /// `parts`.
    #[track_caller]
    fn assert_failed(&self, collection: &str, kind: &FailureKind, parts: &[&str]) {
        let failure = self.failure(collection);
        assert_eq!(failure.kind, *kind, "{failure:?}");
        for part in parts {
            assert!(failure.message.contains(part), "{part:?} is not in {failure:?}");
        }
        assert_eq!(self.place.temporary(), none());
    }

    /// Fails the test unless no node has a snapshot of ours and the status records none.
    #[track_caller]
    fn assert_clean(&self) {
        assert_eq!(self.cluster.all_snapshots(), none());
        let status = self.place.status();
        assert_eq!(status.undeleted_snapshots, []);
        assert_eq!(status.suspected_leftovers, []);
        assert_eq!(status.unanswered_creations, []);
        assert_eq!(status.current_run, None);
    }
}

/// The shards whose snapshots were requested from this node, in order.
fn creations(node: &StandIn) -> Vec<LoggedRequest> {
    let mut all = node.requests_matching("POST", "/snapshots");
    all.retain(|request| request.path_and_query.ends_with("/snapshots"));
    all
}

/// The shards that were uploaded to any node, ascending.
fn uploads(nodes: &[StandIn], collection: &str) -> Vec<u32> {
    let begin = format!("/collections/{collection}/shards/");
    let all = nodes.iter().flat_map(|node| node.requests_matching("POST", "/snapshots/upload"));
    let mut ids: Vec<u32> = all
        .filter_map(|request| request.path_and_query.strip_prefix(&begin)?.split('/').next()?.parse().ok())
        .collect();
    ids.sort_unstable();
    ids
}
