//! A cluster of stand-ins: each node a server of its own, all with the same collections.

use std::io;
use std::sync::{Arc, Mutex};

use super::collection::{Collection, Shard};
use super::content::Content;
use super::data::GenuineSnapshot;
use super::server::StandIn;
use super::setup::Setup;
use super::state::Node;

const VERSION: &str = "1.18.3";
/// The recorded nodes: peer id, p2p port.
const NODES: [(u64, u16); 3] =
    [(5_269_863_909_012_892, 7015), (6_399_145_023_181_557, 7025), (5_657_630_203_459_650, 7035)];

/// Three nodes with the collection `spread` as recorded: shard 0 on the first, shard 1 on the third,
/// nothing on the second. They share one state; faults and request logs are each node's own.
pub struct StandInCluster {
    nodes: Vec<StandIn>,
}

impl StandInCluster {
    /// Starts the three nodes.
    ///
    /// # Panics
    /// When one of them does not start.
    pub fn start() -> StandInCluster {
        match StandInCluster::try_start(StandInCluster::setup()) {
            Ok(cluster) => cluster,
            Err(error) => panic!("the stand-in cluster did not start: {error}"),
        }
    }

    /// The recorded cluster, to be changed before [`StandInCluster::start_with`].
    ///
    /// # Panics
    /// When the genuine snapshots of the nodes cannot be read.
    pub fn setup() -> Setup {
        match spread() {
            Ok(spread) => {
                let mut setup = Setup::empty_of(VERSION).collection(spread);
                setup.state.cluster_enabled = true;
                setup.state.nodes = NODES
                    .iter()
                    .map(|(peer_id, port)| Node::new(*peer_id, &format!("http://127.0.0.1:{port}/")))
                    .collect();
                setup
            }
            Err(error) => panic!("no genuine snapshots of the cluster: {error}"),
        }
    }

    /// Starts one server for each node of the setup's state, each with the setup's faults.
    ///
    /// # Panics
    /// When one of them does not start.
    pub fn start_with(setup: Setup) -> StandInCluster {
        match StandInCluster::try_start(setup) {
            Ok(cluster) => cluster,
            Err(error) => panic!("the stand-in cluster did not start: {error}"),
        }
    }

    fn try_start(setup: Setup) -> io::Result<StandInCluster> {
        let state = Arc::new(Mutex::new(setup.state.clone()));
        let nodes = (0..setup.state.nodes.len())
            .map(|node| StandIn::start_node(setup.clone(), state.clone(), node))
            .collect::<io::Result<Vec<StandIn>>>()?;
        Ok(StandInCluster { nodes })
    }

    /// The nodes, in the order of `State::nodes`.
    pub fn nodes(&self) -> &[StandIn] {
        &self.nodes
    }

    /// Where the nodes answer.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(StandIn::url).collect()
    }
}

fn spread() -> io::Result<Collection> {
    let mut spread: Option<Collection> = None;
    for node in 0..NODES.len() {
        let file = format!("cluster-node-{}.spread.snapshot", node + 1);
        let snapshot = GenuineSnapshot::find(VERSION, &file)?;
        let content = Content::bytes(snapshot.read()?);
        let collection = match &mut spread {
            Some(collection) => collection,
            none => none.insert(Collection::from_snapshot("spread", content.clone())?),
        };
        for id in snapshot.local_shard_ids {
            if let Some(shard) = collection.shards.iter_mut().find(|shard| shard.id == id) {
                *shard = Shard::on_node(id, snapshot.points_count, node);
            }
        }
        collection.content_on_node.insert(node, content);
    }
    spread.ok_or_else(|| io::Error::other("the cluster has no nodes"))
}
