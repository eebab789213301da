//! What the parts of the operation share while it goes on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::rc::Rc;
use std::time::Duration;

use qdrant_backup_shared::{CollectionName, Layout};
use tokio::sync::Semaphore;
use url::Url;

use super::cluster::Cluster;
use super::guards;
use super::node::Node;
use super::shared_session::SharedSession;
use crate::archive::write::{Compression, Throttle};
use crate::choice::Selection;
use crate::host::console::Console;
use crate::qdrant::{Alias, Client, minor_version};

/// What is to be backed up, and how.
pub struct BackupOptions {
    /// Which collections: those that were named, else those that the configuration selects.
    pub selection: Selection,
    /// Globs of configuration files that are backed up besides the collections.
    pub include_files: Vec<String>,
    /// How archives are stored.
    pub compression: Compression,
    /// Leave our snapshots on the server.
    pub keep_server_snapshots: bool,
    /// How many snapshots are under way at a time.
    pub jobs: NonZeroU8,
    /// How long to wait for shards that are on their way or have no active copy.
    pub cluster_timeout: Duration,
    /// The nodes of the cluster, where they are not found by the rule.
    pub nodes: Vec<Url>,
    /// How fast downloads may be.
    pub throttle: Throttle,
    /// How often a download that failed in passing is begun again.
    pub retries: u32,
    /// How long to wait for a server that is not there yet; zero for not at all.
    pub wait_for_server: Duration,
    /// For the status: the longest gap that the schedule allows.
    pub schedule_interval: Option<Duration>,
    /// For the status: how long backups are kept.
    pub retention: Option<Duration>,
}

/// Everything that the operation is given.
pub struct BackupContext {
    /// The node that is backed up.
    pub client: Client,
    /// Where progress is shown.
    pub console: Console,
    /// What to do.
    pub options: BackupOptions,
}

/// The operation while it goes on. Its parts are in this module's siblings.
pub struct Run<'a> {
    pub(super) context: &'a BackupContext,
    pub(super) session: SharedSession<'a>,
    pub(super) layout: Layout,
    pub(super) aliases: Vec<Alias>,
    pub(super) qdrant_version: Option<String>,
    /// The node that is configured.
    pub(super) main: Rc<Node>,
    /// All nodes of its cluster, where it is in one.
    pub(super) cluster: Option<Cluster>,
    /// As many as there may be snapshots under way.
    pub(super) slots: Semaphore,
    pub(super) listed: Vec<CollectionName>,
    pub(super) seen_peers: RefCell<BTreeSet<u64>>,
}

impl Run<'_> {
    /// Asks every node that answers; the configured one first, which in a cluster may come again under another URL.
    pub(super) fn clients(&self) -> Vec<Client> {
        let mut clients = vec![self.main.client.clone()];
        let others = self.cluster.iter().flat_map(Cluster::nodes).map(|node| node.client.clone());
        clients.extend(others.filter(|client| client.url() != self.main.client.url()));
        clients
    }

    /// Whether collections are backed up shard by shard: where no node has all of a collection for certain, and where a collection
    /// cannot be restored otherwise.
    pub(super) fn goes_by_shard(&self, is_custom: bool) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.peers() > 1 || is_custom)
    }

    /// Whether the server is of that version or a newer one.
    pub(super) fn is_at_least(&self, least: (u32, u32)) -> bool {
        self.qdrant_version.as_deref().and_then(minor_version).is_some_and(|version| version >= least)
    }

    /// Takes note of peers that the server shows, and says at once when none of them is known.
    pub fn see_peers(&self, peers: impl Iterator<Item = u64>) {
        let mut seen = self.seen_peers.borrow_mut();
        let first = seen.is_empty();
        seen.extend(peers);
        let known = self.session.with(|session| session.repository().known_peer_ids.clone());
        if first && guards::source_changed(&known, &seen) {
            self.session.warn(format!(
                "Qdrant at {} is not the server that these backups came from (another server, or new \
                 storage): backing up, but nothing is pruned until you confirm the server with \
                 `qdrant-backup accept-source`",
                self.context.client.url()
            ));
        }
    }

    /// Whether the server listed `collection` when the run began.
    pub(super) fn lists(&self, collection: &CollectionName) -> bool {
        self.listed.contains(collection)
    }
}
