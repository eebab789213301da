//! A cluster of stand-ins: one server per node, with the same collections.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use super::recorded;
use super::server::StandIn;
use super::setup::Setup;
use super::state::State;
use super::tls::Tls;

/// Attempts to find a port that is free at every address.
const ONE_PORT_ATTEMPTS: u32 = 20;
/// A cluster of any number of nodes ([`Setup::cluster`], [`Setup::cluster_on_ports`]), or a recorded one:
/// [`StandInCluster::setup`] with three nodes and the collection `spread` (shard 0 on the first node, shard 1 on the
/// third, none on the second), or [`StandInCluster::sharded`] with replicas and shard keys. The nodes share one
/// state. Each node has its own faults and request log.
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

    /// The recorded cluster with `spread`, which can be changed before [`StandInCluster::start_with`].
    ///
    /// # Panics
    /// When the genuine snapshots of the nodes cannot be read.
    pub fn setup() -> Setup {
        recorded::spread().unwrap_or_else(|error| panic!("no genuine snapshots of the cluster: {error}"))
    }

    /// Another recorded cluster of three nodes: `auto` (3 shards with 2 replicas each, 900 points) and `custom` (key
    /// `eu` with shards 1 and 2, key `us` with shard 3, 500 points). Their shard snapshots are genuine.
    ///
    /// # Panics
    /// When the genuine snapshots of the shards cannot be read.
    pub fn sharded() -> Setup {
        recorded::sharded().unwrap_or_else(|error| panic!("no genuine snapshots of shards: {error}"))
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

    /// Starts one server for each node of the setup's state.
    ///
    /// # Errors
    /// When a port is in use, or certificates or threads cannot be created.
    pub fn try_start(setup: Setup) -> io::Result<StandInCluster> {
        let hosts: Vec<Ipv4Addr> = setup.state.nodes.iter().map(|node| node.host).collect();
        let one_port = hosts.iter().collect::<BTreeSet<_>>().len() == hosts.len() && hosts.len() > 1;
        let mut attempts = if one_port && setup.port == 0 { ONE_PORT_ATTEMPTS } else { 1 };
        loop {
            attempts -= 1;
            match StandInCluster::start_nodes(&setup, one_port) {
                // The first node's port may be in use at another address.
                Err(error) if error.kind() == ErrorKind::AddrInUse && attempts > 0 => {}
                started => return started,
            }
        }
    }

    fn start_nodes(setup: &Setup, one_port: bool) -> io::Result<StandInCluster> {
        let state = Arc::new(Mutex::new(setup.state.clone()));
        // All nodes use one certificate, so that a client needs to trust only one authority.
        let hosts = setup.state.nodes.iter().map(|node| node.host.to_string());
        let tls = setup.tls.clone().map(|tls| hosts.fold(tls, |tls, host| tls.and_name(&host)));
        let tls = tls.as_ref().map(Tls::make).transpose()?;
        let mut nodes: Vec<StandIn> = Vec::new();
        for node in 0..setup.state.nodes.len() {
            let port = match nodes.first() {
                Some(first) if one_port => first.port(),
                _ if node == 0 || one_port => setup.port,
                _ => 0,
            };
            nodes.push(StandIn::start_node(setup.clone().port(port), tls.clone(), state.clone(), node)?);
        }
        Ok(StandInCluster { nodes })
    }

    /// The nodes, in the order of `State::nodes`.
    pub fn nodes(&self) -> &[StandIn] {
        &self.nodes
    }

    /// Reads or changes the shared state.
    pub fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.nodes[0].state(change)
    }

    /// The node with this peer id.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn node_of(&self, peer_id: u64) -> &StandIn {
        match self.nodes.iter().find(|node| node.peer_id() == peer_id) {
            Some(node) => node,
            None => panic!("no node has the peer id {peer_id}"),
        }
    }

    /// Every snapshot on the disks of all nodes, as `folder: name`.
    pub fn all_snapshots(&self) -> Vec<String> {
        self.nodes.iter().flat_map(StandIn::all_snapshots).collect()
    }

    /// The URLs of the nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(StandIn::url).collect()
    }
}
