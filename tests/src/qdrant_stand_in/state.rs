//! What a server (or a cluster: its nodes share this) knows: collections, aliases, nodes and the
//! snapshots that lie on them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::clock::Clock;
use super::collection::Collection;
use super::content::Content;
use super::plain::DEFAULT_PEER_ID;
use super::points::Points;
use super::process::Process;

/// A snapshot lying on a node.
#[derive(Clone, Debug)]
pub struct StoredSnapshot {
    /// Its file name.
    pub name: String,
    /// When it was completed.
    pub created_at: DateTime<Utc>,
    /// Its bytes.
    pub content: Content,
    /// What the list says; none for uploaded files and in S3.
    pub checksum: Option<String>,
    /// Changes whenever the file does.
    pub(crate) etag: String,
}

impl StoredSnapshot {
    /// As the list and the create response show it.
    pub(crate) fn description(&self) -> Value {
        let mut description = json!({
            "name": self.name,
            "creation_time": self.created_at.format("%Y-%m-%dT%H:%M:%S").to_string(),
            "size": self.content.size_bytes(),
        });
        if let Some(checksum) = &self.checksum {
            description["checksum"] = json!(checksum);
        }
        description
    }
}

/// One server process.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its peer id.
    pub peer_id: u64,
    /// The internal URI that `GET /cluster` shows.
    pub p2p_uri: String,
    /// The snapshots on its disk, by the collection's name; they outlive the collection.
    pub snapshots: BTreeMap<String, Vec<StoredSnapshot>>,
}

impl Node {
    /// A node without snapshots.
    pub fn new(peer_id: u64, p2p_uri: &str) -> Node {
        Node { peer_id, p2p_uri: p2p_uri.to_owned(), snapshots: BTreeMap::new() }
    }
}

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
    /// What the process counts since its start.
    pub(crate) process: Process,
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
            process: Process::start(),
            files_stored: 0,
        }
    }

    /// The server is killed and started again: what it was making comes to nothing. Connections stay open, as behind a proxy.
    pub fn restart(&mut self) {
        self.process = Process::start();
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

    /// The snapshots of that collection on the node, in no particular order, as on a disk.
    pub fn snapshots(&self, node: usize, collection: &str) -> Vec<StoredSnapshot> {
        let node = self.nodes.get(node);
        node.and_then(|node| node.snapshots.get(collection)).cloned().unwrap_or_default()
    }

    /// Puts a file into the collection's snapshot folder, replacing one of that name.
    pub fn store(
        &mut self,
        node: usize,
        collection: &str,
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
            let folder = node.snapshots.entry(collection.to_owned()).or_default();
            folder.retain(|snapshot| snapshot.name != name);
            // Alternating ends: who takes the first or last of the list for the newest shall be wrong.
            let place = if folder.len().is_multiple_of(2) { 0 } else { folder.len() };
            folder.insert(place, stored.clone());
        }
        stored
    }

    /// Notes which points a snapshot of the collection has as it is now, or how many others: the archive does not say it.
    pub(crate) fn remember_origin(
        &mut self,
        node: usize,
        collection: &str,
        sha256: String,
        points: Option<u64>,
    ) {
        let Some(collection) = self.collections.get(collection) else { return };
        let mut collection = collection.clone();
        if let Some(points) = points {
            collection.set_points_count(points);
        }
        let local = collection.shards.iter().filter(|shard| shard.has_replica_on(node));
        let counts = local.map(|shard| (shard.id, shard.points_count)).collect();
        self.origins.insert(sha256, (collection.points.clone(), counts));
    }

    /// Removes a file from the collection's snapshot folder; says whether it was there.
    pub fn remove(&mut self, node: usize, collection: &str, name: &str) -> bool {
        let folder = self.nodes.get_mut(node).and_then(|node| node.snapshots.get_mut(collection));
        folder.is_some_and(|folder| {
            let before = folder.len();
            folder.retain(|snapshot| snapshot.name != name);
            folder.len() < before
        })
    }

    /// The name a snapshot made at that time gets.
    pub fn snapshot_name(&self, node: usize, collection: &str, time: DateTime<Utc>) -> String {
        let peer_id = self.nodes.get(node).map_or(DEFAULT_PEER_ID, |node| node.peer_id);
        format!("{collection}-{peer_id}-{}.snapshot", time.format("%Y-%m-%d-%H-%M-%S"))
    }
}
