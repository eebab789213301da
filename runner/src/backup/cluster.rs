//! The nodes of the cluster during the operation. Some may come back later.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use url::Url;

use super::node::Node;
use crate::qdrant::{Client, Error, Nodes};

/// All nodes of a cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Those that answer, by their peer ids.
    nodes: RefCell<BTreeMap<u64, Rc<Node>>>,
    /// How many peers it has.
    peers: Cell<usize>,
    /// Until when to wait for the others. None before they are needed.
    waited_for_until: Cell<Option<Instant>>,
}

impl Cluster {
    /// Uses the nodes found, and reads the process of each.
    pub async fn of(found: Nodes) -> Self {
        let cluster =
            Self { nodes: RefCell::default(), peers: Cell::new(0), waited_for_until: Cell::new(None) };
        cluster.add(found).await;
        cluster
    }

    /// Number of peers, including those that do not answer.
    pub fn peers(&self) -> usize {
        self.peers.get()
    }

    /// Those that answer.
    pub fn nodes(&self) -> Vec<Rc<Node>> {
        self.nodes.borrow().values().cloned().collect()
    }

    /// The node with that id, if it answers.
    pub fn node(&self, peer_id: u64) -> Option<Rc<Node>> {
        self.nodes.borrow().get(&peer_id).cloned()
    }

    /// Whether that node answers.
    pub fn answers(&self, peer_id: u64) -> bool {
        self.nodes.borrow().contains_key(&peer_id)
    }

    /// Remaining time to wait for nodes that do not answer: `limit` in total, from when the first collection needs one.
    pub fn patience(&self, limit: Duration) -> Duration {
        let until = self.waited_for_until.get().unwrap_or_else(|| Instant::now() + limit);
        self.waited_for_until.set(Some(until));
        until.saturating_duration_since(Instant::now())
    }

    /// Looks for nodes that did not answer before.
    ///
    /// # Errors
    /// An interruption.
    pub async fn look_again(&self, client: &Client, given: &[Url]) -> Result<(), Error> {
        match client.nodes(given).await {
            Ok(Some(found)) => self.add(found).await,
            Err(error @ Error::Interrupted) => return Err(error),
            Ok(None) | Err(_) => {}
        }
        Ok(())
    }

    async fn add(&self, found: Nodes) {
        self.peers.set(self.peers.get().max(found.peers()));
        let new = found.nodes.into_iter().filter(|node| !self.answers(node.peer_id));
        let new: Vec<(u64, Rc<Node>)> =
            new.map(|node| (node.peer_id, Rc::new(Node::new(node.client)))).collect();
        join_all(new.iter().map(|(_, node)| node.meet())).await;
        self.nodes.borrow_mut().extend(new);
    }
}
