//! A server, a proxy in front of it, and a place that backs it up through the proxy. Created once per job and copied
//! for each case.

use std::collections::BTreeSet;

use e2e::qdrant_stand_in::{Setup, StandIn, StandInCluster, State};
use e2e::{Known, Nodes, Place, Proxy, Ran};
use qdrant_backup_shared::Status;
use reqwest::Method;
use serde_json::{Value, json};

/// The server's key, which must not appear in any output or file.
pub const KEY: &str = "zQx81-distinctive-KEY";
/// The collection that jobs use.
pub const DOCS: &str = "docs";
/// A collection that must not change.
pub const OTHER: &str = "other";
/// The number of points in each.
pub const POINTS: u64 = 20;

/// The program's timeouts. Retries are off, so that each fault is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Short enough for thousands of cases.
    Little,
    /// Long enough for a busy machine: without a fault nothing may fail.
    Much,
    /// The same, except that requests from long ago count as finished.
    MuchButNotForTheLate,
}

impl Patience {
    fn configuration(self) -> String {
        let (seconds, create) = match self {
            Self::Little => (2, 6),
            Self::Much => (60, 60),
            Self::MuchButNotForTheLate => (60, 6),
        };
        format!(
            "restore:\n  settle_timeout: {0}s\nqdrant:\n  retries: 0\n  wait_for_server: 0s\n  cluster_timeout: {0}s\n  connect_timeout: {0}s\n  stall_timeout: {0}s\n  request_timeout: {1}s\n  count_timeout: {1}s\n  create_timeout: {create}s\n",
            seconds,
            2 * seconds,
        )
    }
}

/// The server or the cluster behind the proxy.
enum Kind {
    One(StandIn),
    Cluster(StandInCluster),
}

/// A server with its proxy and its place.
pub struct World {
    kind: Kind,
    /// Queries the server without the proxy.
    pub nodes: Nodes,
    /// The proxy for the program's requests.
    pub proxy: Proxy,
    /// The place with the backups.
    pub place: Place,
    /// The configuration besides the timeouts.
    pub configuration: String,
}

/// The state when a job begins.
pub struct Before {
    /// The snapshots on the server, without those recorded as ours.
    pub foreign: BTreeSet<String>,
    /// The points of the collection, if it exists.
    pub now: Option<Vec<Value>>,
    /// The points of the collection when it was backed up.
    pub points: Vec<Value>,
}

impl World {
    /// A server with `setup`.
    pub fn on(setup: Setup, more: &str) -> Self {
        let kind = if setup.state.nodes.len() > 1 {
            Kind::Cluster(StandInCluster::start_with(setup))
        } else {
            Kind::One(StandIn::start(setup))
        };
        let urls = match &kind {
            Kind::One(server) => vec![server.url()],
            Kind::Cluster(cluster) => cluster.urls(),
        };
        let proxy = Proxy::before(&urls);
        let place = Place::new(&proxy.url());
        let nodes = Nodes::at(&urls).with_key(KEY);
        let world = Self { kind, nodes, proxy, place, configuration: more.to_owned() };
        world.configure(Patience::Much);
        world
    }

    /// Sets the timeouts of later runs.
    pub fn configure(&self, patience: Patience) {
        let mut yaml = patience.configuration();
        if let Kind::Cluster(_) = self.kind {
            yaml.push_str(&format!("  nodes: [{}]\n", self.proxy.urls().join(", ")));
        }
        self.place.configure(&(yaml + &self.configuration));
    }

    /// A command that runs the program with the key.
    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.place.command(arguments);
        command.env("QDRANT_API_KEY", KEY);
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// Creates a collection.
    pub fn make(&self, name: &str, shards: u32) {
        let body = json!({ "vectors": { "size": 8, "distance": "Cosine" }, "shard_number": shards });
        self.nodes.ask(0, Method::PUT, &format!("/collections/{name}"), Some(&body));
        self.write(name, 0..POINTS);
    }

    /// Writes points.
    pub fn write(&self, name: &str, ids: std::ops::Range<u64>) {
        let point =
            |id: u64| json!({ "id": id, "vector": [1, id, 2, 3, id % 7, 5, 6, 7], "payload": { "n": id } });
        let body = json!({ "points": ids.map(point).collect::<Vec<_>>() });
        self.nodes.ask(0, Method::PUT, &format!("/collections/{name}/points?wait=true"), Some(&body));
    }

    /// Deletes points.
    pub fn delete_points(&self, name: &str, ids: std::ops::Range<u64>) {
        let body = json!({ "points": ids.collect::<Vec<_>>() });
        self.nodes.ask(0, Method::POST, &format!("/collections/{name}/points/delete?wait=true"), Some(&body));
    }

    /// Creates a snapshot like another tool.
    pub fn foreign_snapshot(&self) {
        self.nodes.ask(0, Method::POST, &format!("/collections/{DOCS}/snapshots"), None);
        // Snapshot names have a resolution of one second, and two in the same second get the same name.
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }

    /// Drops a collection.
    pub fn drop_collection(&self, name: &str) {
        self.nodes.ask(0, Method::DELETE, &format!("/collections/{name}"), None);
    }

    /// The points of a collection. None if it does not exist.
    pub fn points(&self, name: &str) -> Option<Vec<Value>> {
        self.nodes.collections().iter().any(|known| known == name).then(|| self.nodes.points(0, name))
    }

    /// Every snapshot on the disks of all nodes as `folder: name`, including those of deleted collections.
    pub fn snapshots(&self) -> BTreeSet<String> {
        match &self.kind {
            Kind::One(server) => server.all_snapshots().into_iter().collect(),
            Kind::Cluster(cluster) => cluster.all_snapshots().into_iter().collect(),
        }
    }

    /// Our snapshots on the server according to the status.
    pub fn known(&self) -> Known {
        self.status().map_or_else(Known::default, |status| Known::by(&status))
    }

    /// Whether the status reports a run in progress.
    pub fn is_under_way(&self) -> bool {
        self.status().is_some_and(|status| status.current_run.is_some())
    }

    /// The status. None before the first run.
    pub fn status(&self) -> Option<Status> {
        self.place.layout().status_file().exists().then(|| self.place.status())
    }

    /// The server's state.
    pub fn state(&self) -> State {
        match &self.kind {
            Kind::One(server) => server.state(|state| state.clone()),
            Kind::Cluster(cluster) => cluster.state(|state| state.clone()),
        }
    }
}
