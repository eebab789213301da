//! A server process: its identity, whether it answers, and the snapshots on its disk.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::content::Content;
use super::process::Process;

/// A snapshot on a node.
#[derive(Clone, Debug)]
pub struct StoredSnapshot {
    /// Its file name.
    pub name: String,
    /// When it was finished.
    pub created_at: DateTime<Utc>,
    /// Its content.
    pub content: Content,
    /// The listed checksum. None for uploaded files and in S3.
    pub checksum: Option<String>,
    /// Different for each version of the file.
    pub(crate) etag: String,
}

impl StoredSnapshot {
    /// The snapshot as listed, and as returned on creation.
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

/// The folder for the snapshots of a collection or of one of its shards: a key of [`Node::snapshots`].
pub fn folder(collection: &str, shard: Option<u32>) -> String {
    match shard {
        None => collection.to_owned(),
        Some(shard) => format!("{collection}/shards/{shard}"),
    }
}

/// One server process.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its peer id.
    pub peer_id: u64,
    /// The internal URI in `GET /cluster`.
    pub p2p_uri: String,
    /// The address it listens on.
    pub host: Ipv4Addr,
    /// The snapshots on its disk, by [`folder`]. They outlive the collection.
    pub snapshots: BTreeMap<String, Vec<StoredSnapshot>>,
    /// Killed: clients and other nodes cannot connect to it.
    pub(crate) down: bool,
    /// How many commits it lags behind, and for how many more polls of its `GET /cluster`.
    pub(crate) behind: (u64, u32),
    /// The counters of the process since its start.
    pub(crate) process: Process,
}

impl Node {
    /// A node at 127.0.0.1 without snapshots.
    pub fn new(peer_id: u64, p2p_uri: &str) -> Node {
        Node {
            peer_id,
            p2p_uri: p2p_uri.to_owned(),
            host: Ipv4Addr::LOCALHOST,
            snapshots: BTreeMap::new(),
            down: false,
            behind: (0, 0),
            process: Process::start(),
        }
    }

    /// Sets another address of this machine: 127.0.0.2, ….
    pub fn at(self, host: Ipv4Addr) -> Node {
        Node { host, ..self }
    }

    /// `GET /cluster` of this node reports a commit that is `commits` behind, for this many polls.
    pub fn lag(&mut self, commits: u64, polls: u32) {
        self.behind = (commits, polls);
    }

    /// Every snapshot on its disk as `folder: name`, sorted. Tests assert that the list is empty.
    pub fn all_snapshots(&self) -> Vec<String> {
        let files = self
            .snapshots
            .iter()
            .flat_map(|(folder, files)| files.iter().map(move |file| format!("{folder}: {}", file.name)));
        let mut files: Vec<String> = files.collect();
        files.sort();
        files
    }
}
