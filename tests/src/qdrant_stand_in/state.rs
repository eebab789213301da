//! What a server (or a cluster: its nodes share this) knows: collections, aliases, nodes and the
//! snapshots that lie on them.

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

/// Everything the stand-in knows. Change it through [`super::StandIn::state`].
#[derive(Clone, Debug)]
pub struct State {
    /// The version `GET /` answers.
    pub version: String,
    /// The server's clock.
    pub clock: Clock,
    /// Snapshots lie in S3: no checksums, downloads without length, ETag and ranges.
    pub s3: bool,
    /// The key that may do everything; with it set, requests need a key.
    pub api_key: Option<String>,
    /// The key that may only read.
    pub read_only_key: Option<String>,
    /// Whether `GET /cluster` says `enabled`.
    pub cluster_enabled: bool,
    /// The servers; a single one, unless this is a cluster.
    pub nodes: Vec<Node>,
    /// Collections by name.
    pub collections: BTreeMap<String, Collection>,
    /// Alias → collection.
    pub aliases: BTreeMap<String, String>,
    /// With snapshots in S3: files that were uploaded, as collection and name. They lie on the server's disk, where no request
    /// reaches them.
    pub unreachable_uploads: Vec<(String, String)>,
    /// The points of collections a snapshot was made of, by the snapshot's digest: content the archive
    /// itself does not carry.
    pub(crate) origins: HashMap<String, (Points, BTreeMap<u32, u64>)>,
    /// The points of shards a snapshot was made of, by the snapshot's digest.
    pub(crate) shard_origins: HashMap<String, ShardOrigin>,
    /// Peers that `GET /cluster` lists and that are no node of this cluster: peer id and p2p URI.
    pub strangers: Vec<(u64, String)>,
    /// The `commit` of `raft_info`; it grows with each change that the nodes agree on.
    pub commit: u64,
    /// What becomes of a shard's other replicas once a snapshot was uploaded into it.
    pub after_shard_upload: Aftermath,
    /// So many polls of a collection's cluster information show a transfer that a client has asked for.
    pub transfer_polls: u32,
    files_stored: u64,
}

impl State {
    /// A server of that version without collections.
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

    /// The server is killed and started again: what it was making comes to nothing. Connections stay open, as behind a proxy.
    pub fn restart(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.process = Process::start());
    }

    /// The node is up, as a new process.
    pub(crate) fn node_started(&mut self, node: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.down = false;
            node.process = Process::start();
        }
    }

    /// What that node's process counts.
    pub(crate) fn process(&mut self, node: usize) -> &mut Process {
        let last = self.nodes.len() - 1;
        &mut self.nodes[node.min(last)].process
    }

    /// The node with this peer id.
    pub(crate) fn node_of(&self, peer_id: u64) -> Option<usize> {
        self.nodes.iter().position(|node| node.peer_id == peer_id)
    }

    /// Adds a collection, or replaces the one of its name.
    pub fn add_collection(&mut self, collection: Collection) {
        self.collections.insert(collection.name.clone(), collection);
    }

    /// The collection of that name.
    ///
    /// # Panics
    /// When there is none: a test that expects one has failed.
    pub fn collection_mut(&mut self, name: &str) -> &mut Collection {
        match self.collections.get_mut(name) {
            Some(collection) => collection,
            None => panic!("the stand-in has no collection {name:?}"),
        }
    }

    /// The name behind a name that may be an alias.
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

    /// The snapshots of that collection (or in that [`super::folder`]) on the node, in no particular order, as on a disk.
    pub fn snapshots(&self, node: usize, folder: &str) -> Vec<StoredSnapshot> {
        let node = self.nodes.get(node);
        node.and_then(|node| node.snapshots.get(folder)).cloned().unwrap_or_default()
    }

    /// Puts a file into the collection's snapshot folder (or a shard's), replacing one of that name.
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
            // At alternating ends, so that code which takes the first or the last entry for the newest fails.
            let place = if folder.len().is_multiple_of(2) { 0 } else { folder.len() };
            folder.insert(place, stored.clone());
        }
        stored
    }

    /// Removes a file from the collection's snapshot folder (or a shard's); says whether it was there.
    pub fn remove(&mut self, node: usize, folder: &str, name: &str) -> bool {
        let folder = self.nodes.get_mut(node).and_then(|node| node.snapshots.get_mut(folder));
        folder.is_some_and(|folder| {
            let before = folder.len();
            folder.retain(|snapshot| snapshot.name != name);
            folder.len() < before
        })
    }
}
