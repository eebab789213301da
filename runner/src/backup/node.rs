//! The nodes that create snapshots, with their state during the operation.

use std::cell::RefCell;
use std::rc::Rc;

use qdrant_backup_shared::CollectionName;
use tokio::sync::{Mutex, MutexGuard};

use crate::qdrant::{Client, Subject};

/// One node.
#[derive(Debug)]
pub struct Node {
    /// Sends requests to this node.
    pub(super) client: Client,
    /// Its process, if it reports one. Requests to an earlier process have died with it.
    pub(super) process: RefCell<Option<String>>,
    creating: Mutex<()>,
}

/// A snapshot to create on a node.
#[derive(Debug, Clone)]
pub struct Part {
    /// Node that makes the snapshot.
    pub(super) node: Rc<Node>,
    /// Collection or shard that the snapshot is of.
    pub(super) subject: Subject,
}

impl Node {
    /// The node of `client`.
    pub(super) fn new(client: Client) -> Self {
        Self { client, process: RefCell::default(), creating: Mutex::default() }
    }

    /// Reads its process. Many proxies block this request; then it is unknown.
    pub(super) async fn meet(&self) {
        let process = self.client.process().await.ok().flatten();
        *self.process.borrow_mut() = process;
    }

    /// Waits until no other shard snapshot is being created there, so that a node creates one at a time.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.creating.lock().await
    }
}

impl Part {
    /// The snapshot's collection.
    pub(super) fn collection(&self) -> &CollectionName {
        &self.subject.collection
    }
}
