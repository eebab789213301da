//! What the parts of the operation share while it goes on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::num::NonZeroU8;
use std::time::Duration;

use qdrant_backup_shared::{CollectionName, Layout};

use super::guards;
use super::shared_session::SharedSession;
use crate::archive::write::{Compression, Throttle};
use crate::choice::Selection;
use crate::host::console::Console;
use crate::qdrant::{Alias, Client};

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
    /// How many collections are under way at a time.
    pub jobs: NonZeroU8,
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
    /// The server's process, as far as it tells: what another one was asked for died with it.
    pub(super) process: RefCell<Option<String>>,
    pub(super) listed: Vec<CollectionName>,
    pub(super) seen_peers: RefCell<BTreeSet<u64>>,
}

impl Run<'_> {
    /// Takes note of peers that the server shows, and says at once when none of them is known.
    pub fn see_peers(&self, peers: impl Iterator<Item = u64>) {
        let mut seen = self.seen_peers.borrow_mut();
        let first = seen.is_empty();
        seen.extend(peers);
        let known = self.session.with(|session| session.repository().known_peer_ids.clone());
        if first && guards::source_changed(&known, &seen) {
            self.session.warn(format!(
                "Qdrant at {} is not the server that these backups came from (another server, or a new storage): backing up, \
                 but nothing is pruned until `qdrant-backup accept-source` says that this is right",
                self.context.client.url()
            ));
        }
    }

    /// Whether the server listed `collection` when the run began.
    pub(super) fn lists(&self, collection: &CollectionName) -> bool {
        self.listed.contains(collection)
    }
}
