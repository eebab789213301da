//! State shared by the parts of the operation.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::rc::Rc;
use std::time::Duration;

use qdrant_backup_shared::{CollectionName, Layout};
use tokio::sync::Semaphore;
use url::Url;

use super::cluster::Cluster;
use super::error::BackupError;
use super::node::Node;
use super::shared_session::SharedSession;
use crate::archive::write::{Compression, Throttle};
use crate::choice::Selection;
use crate::host::console::Console;
use crate::qdrant::{Alias, Client, minor_version};
use crate::store;

/// Options of the backup.
pub struct BackupOptions {
    /// The collections: those given by name, otherwise those that the configuration selects.
    pub selection: Selection,
    /// Globs of configuration files to back up.
    pub include_files: Vec<String>,
    /// Encoding of archives.
    pub compression: Compression,
    /// Whether to keep our snapshots on the server.
    pub keep_server_snapshots: bool,
    /// Number of snapshots in parallel.
    pub jobs: NonZeroU8,
    /// Maximum time to wait for shards that are moving or have no active copy.
    pub cluster_timeout: Duration,
    /// URLs of the cluster nodes, if they cannot be derived.
    pub nodes: Vec<Url>,
    /// Limit for the download rate.
    pub throttle: Throttle,
    /// Number of retries for a download after a temporary failure.
    pub retries: u32,
    /// Maximum time to wait for a server that does not answer yet. Zero does not wait.
    pub wait_for_server: Duration,
    /// For the status: the longest interval in the schedule.
    pub schedule_interval: Option<Duration>,
    /// For the status: the configured retention by age.
    pub retention: Option<Duration>,
}

/// Everything that the operation is given.
pub struct BackupContext {
    /// The node that is backed up.
    pub client: Client,
    /// The progress display.
    pub console: Console,
    /// What to do.
    pub options: BackupOptions,
}

/// A running operation. Its parts are in the sibling modules.
pub struct Run<'a> {
    pub(super) context: &'a BackupContext,
    pub(super) session: SharedSession<'a>,
    pub(super) layout: Layout,
    pub(super) aliases: Vec<Alias>,
    pub(super) qdrant_version: Option<String>,
    /// The node that is configured.
    pub(super) main: Rc<Node>,
    /// All nodes of its cluster, if it is in one.
    pub(super) cluster: Option<Cluster>,
    /// One permit for each parallel snapshot.
    pub(super) slots: Semaphore,
    pub(super) listed: Vec<CollectionName>,
    pub(super) seen_peers: RefCell<BTreeSet<u64>>,
}

impl Run<'_> {
    /// All nodes that answer, the configured one first. In a cluster, it may appear again with another URL.
    pub(super) fn clients(&self) -> Vec<Client> {
        let mut clients = vec![self.main.client.clone()];
        let others = self.cluster.iter().flat_map(Cluster::nodes).map(|node| node.client.clone());
        clients.extend(others.filter(|client| client.url() != self.main.client.url()));
        clients
    }

    /// Whether collections are backed up shard by shard: if a node may not have the whole collection, or if the collection cannot
    /// be restored otherwise.
    pub(super) fn goes_by_shard(&self, is_custom: bool) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.peers() > 1 || is_custom)
    }

    /// Whether the server is of that version or a newer one.
    pub(super) fn is_at_least(&self, least: (u32, u32)) -> bool {
        self.qdrant_version.as_deref().and_then(minor_version).is_some_and(|version| version >= least)
    }

    /// Records the peers of the server, and warns at once if none of them is known.
    pub fn see_peers(&self, peers: impl Iterator<Item = u64>) {
        let mut seen = self.seen_peers.borrow_mut();
        let first = seen.is_empty();
        seen.extend(peers);
        let is_other = self.session.with(|session| session.repository().is_other_server(&seen));
        if first && is_other {
            self.session.warn(format!(
                "Qdrant at {} is not the server that these backups came from (another server, or new \
                 storage): backing up, but nothing is pruned until you confirm the server with \
                 `qdrant-backup accept-source`",
                self.context.client.url()
            ));
        }
    }

    /// Whether the backup directory can be written, and has space for the records of a backup: without them, nobody could tell
    /// whose a snapshot on the server is.
    pub(super) fn check_disk(&self) -> Result<(), BackupError> {
        store::probe(&self.layout).map_err(BackupError::io("cannot write to the backup directory"))?;
        let available = store::available_bytes(self.layout.root())
            .map_err(BackupError::io("reading the free disk space"))?;
        match available.filter(|available| *available < store::RESERVE_BYTES) {
            Some(available) => Err(BackupError::NoRoomToStart { available }),
            None => Ok(()),
        }
    }

    /// Whether the server listed `collection` when the run began.
    pub(super) fn lists(&self, collection: &CollectionName) -> bool {
        self.listed.contains(collection)
    }
}
