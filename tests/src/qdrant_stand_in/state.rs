//! The state of a server, which the nodes of a cluster share: collections, aliases, nodes and the snapshots on their
//! disks.

use std::collections::{BTreeMap, HashMap};

use super::aftermath::Aftermath;
use super::clock::Clock;
use super::collection::Collection;
use super::content::Content;
use super::node::{Node, StoredSnapshot};
use super::plain::DEFAULT_PEER_ID;
use super::points::Points;
use super::process::Process;
use super::shard_archive::ShardOrigin;

/// The state of the stand-in. Change it through [`super::StandIn::state`].
#[derive(Clone, Debug)]
pub struct State {
    /// The version in the answer to `GET /`.
    pub version: String,
    /// The server's clock.
    pub clock: Clock,
    /// Snapshots are stored in S3: no checksums, and downloads without length, ETag and ranges.
    pub s3: bool,
    /// The key with full access. If set, requests need a key.
    pub api_key: Option<String>,
    /// The key for read-only access.
    pub read_only_key: Option<String>,
    /// Whether `GET /cluster` reports `enabled`.
    pub cluster_enabled: bool,
    /// The nodes. A single server has one.
    pub nodes: Vec<Node>,
    /// Collections by name.
    pub collections: BTreeMap<String, Collection>,
    /// Alias → collection name.
    pub aliases: BTreeMap<String, String>,
    /// With snapshots in S3: uploaded files, as collection and name. They are on the server's disk, where no request
    /// can access them.
    pub unreachable_uploads: Vec<(String, String)>,
    /// The points of snapshotted collections, by the snapshot's digest, for content that the archive does not
    /// contain.
    pub(crate) origins: HashMap<String, (Points, BTreeMap<u32, u64>)>,
    /// The points of snapshotted shards, by the snapshot's digest.
    pub(crate) shard_origins: HashMap<String, ShardOrigin>,
    /// Additional peers that `GET /cluster` lists and that are not nodes of this cluster: peer id and p2p URI.
    pub strangers: Vec<(u64, String)>,
    /// The `commit` of `raft_info`. It increases with each change that the nodes agree on.
    pub commit: u64,
    /// What happens to a shard's other replicas after a snapshot was uploaded into it.
    pub after_shard_upload: Aftermath,
    /// For how many polls of the collection's cluster information a transfer requested by a client is listed.
    pub transfer_polls: u32,
    files_stored: u64,
}

impl State {
    /// A server of this version without collections.
    pub fn new(version: &str) -> State {
        State {
            version: version.to_owned(),
            clock: Clock::default(),
            s3: false,
            api_key: None,
            read_only_key: None,
            cluster_enabled: false,
            nodes: vec![Node::new(DEFAULT_PEER_ID, "http://127.0.0.1:6335/")],
            collections: BTreeMap::new(),
            aliases: BTreeMap::new(),
            unreachable_uploads: Vec::new(),
            origins: HashMap::new(),
            shard_origins: HashMap::new(),
            strangers: Vec::new(),
            commit: 12,
            after_shard_upload: Aftermath::default(),
            transfer_polls: 1,
            files_stored: 0,
        }
    }

    /// The server is killed and restarted: unfinished creations are lost. Connections stay open, as behind a proxy.
    pub fn restart(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.process = Process::start());
    }

    /// Marks the node as running, with a new process.
    pub(crate) fn node_started(&mut self, node: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.down = false;
            node.process = Process::start();
        }
    }

    /// The node's process.
    pub(crate) fn process(&mut self, node: usize) -> &mut Process {
        let last = self.nodes.len() - 1;
        &mut self.nodes[node.min(last)].process
    }

    /// The node with this peer id.
    pub(crate) fn node_of(&self, peer_id: u64) -> Option<usize> {
        self.nodes.iter().position(|node| node.peer_id == peer_id)
    }

    /// Adds a collection or replaces the one with the same name.
    pub fn add_collection(&mut self, collection: Collection) {
        self.collections.insert(collection.name.clone(), collection);
    }

    /// The collection with this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn collection_mut(&mut self, name: &str) -> &mut Collection {
        match self.collections.get_mut(name) {
            Some(collection) => collection,
            None => panic!("the stand-in has no collection {name:?}"),
        }
    }

    /// The collection name for a name that may be an alias.
    pub fn resolve(&self, name: &str) -> String {
        if self.collections.contains_key(name) {
            return name.to_owned();
        }
        self.aliases.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Collection> {
        self.collections.get(&self.resolve(name))
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut Collection> {
        let name = self.resolve(name);
        self.collections.get_mut(&name)
    }

    /// The snapshots of this collection (or in this [`super::folder`]) on the node, unordered like files on a disk.
    pub fn snapshots(&self, node: usize, folder: &str) -> Vec<StoredSnapshot> {
        let node = self.nodes.get(node);
        node.and_then(|node| node.snapshots.get(folder)).cloned().unwrap_or_default()
    }

    /// Adds a file to the snapshot folder of the collection or shard, or replaces one with the same name.
    pub fn store(
        &mut self,
        node: usize,
        folder: &str,
        name: &str,
        content: Content,
        checksum: Option<String>,
    ) -> StoredSnapshot {
        self.files_stored += 1;
        let created_at = self.clock.now();
        let inode = 0x009d_4022 + self.files_stored;
        let (seconds, nanos) = (created_at.timestamp(), created_at.timestamp_subsec_nanos());
        let stored = StoredSnapshot {
            name: name.to_owned(),
            created_at,
            etag: format!("\"{inode:x}:{:x}:{seconds:x}:{nanos:x}\"", content.size_bytes()),
            content,
            checksum,
        };
        if let Some(node) = self.nodes.get_mut(node) {
            let folder = node.snapshots.entry(folder.to_owned()).or_default();
            folder.retain(|snapshot| snapshot.name != name);
            // Inserts at alternating ends, so that code fails that assumes the first or last entry is the newest.
            let place = if folder.len().is_multiple_of(2) { 0 } else { folder.len() };
            folder.insert(place, stored.clone());
        }
        stored
    }

    /// Removes a file from the snapshot folder of the collection or shard. Returns whether it existed.
    pub fn remove(&mut self, node: usize, folder: &str, name: &str) -> bool {
        let folder = self.nodes.get_mut(node).and_then(|node| node.snapshots.get_mut(folder));
        folder.is_some_and(|folder| {
            let before = folder.len();
            folder.retain(|snapshot| snapshot.name != name);
            folder.len() < before
        })
    }
}
