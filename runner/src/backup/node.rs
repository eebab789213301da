//! The nodes that snapshots are asked of, and what is known of each while the operation goes on.

use std::cell::RefCell;
use std::rc::Rc;

use qdrant_backup_shared::CollectionName;
use tokio::sync::{Mutex, MutexGuard};

use crate::qdrant::{Client, Subject};

/// One node.
#[derive(Debug)]
pub struct Node {
    /// Asks it.
    pub(super) client: Client,
    /// Its process, as far as it tells: what another one was asked for died with it.
    pub(super) process: RefCell<Option<String>>,
    creating: Mutex<()>,
}

/// The snapshot that is to be made on a node.
#[derive(Debug, Clone)]
pub struct Part {
    /// The node.
    pub(super) node: Rc<Node>,
    /// What of.
    pub(super) subject: Subject,
}

impl Node {
    /// The node that `client` asks.
    pub(super) fn new(client: Client) -> Self {
        Self { client, process: RefCell::default(), creating: Mutex::default() }
    }

    /// Asks which process it is. Many proxies do not let this through; then it is unknown.
    pub(super) async fn meet(&self) {
        let process = self.client.process().await.ok().flatten();
        *self.process.borrow_mut() = process;
    }

    /// Waits until no other shard is being snapshotted there, so that a node has one creation at a time.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.creating.lock().await
    }
}

impl Part {
    /// The collection that it is of.
    pub(super) fn collection(&self) -> &CollectionName {
        &self.subject.collection
    }
}
