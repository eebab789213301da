//! What is to be put where.

use std::num::NonZeroU32;
use std::time::Duration;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::operation::Operation;
use qdrant_backup_shared::verification::RestoredPoints;
use url::Url;

use crate::archive::read::Prove;
use crate::host::console::Console;
use crate::qdrant::Client;

/// Where to restore to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The node.
    pub client: Client,
    /// The nodes of its cluster, where they do not follow from its URL.
    pub nodes: Vec<Url>,
    /// Where progress is shown.
    pub console: Console,
    /// Longest wait until a restored collection serves.
    pub settle_timeout: Duration,
}

/// What to put where.
#[derive(Debug, Clone)]
pub struct Put<'a> {
    /// The backup.
    pub manifest: &'a Manifest,
    /// The collection to restore into.
    pub target: &'a CollectionName,
    /// Whether that collection exists already.
    pub existed: bool,
    /// What has to be right for the server to be sent the last bytes.
    pub prove: Prove,
    /// Whether this is a restore or a drill.
    pub by: Operation,
    /// How many copies of each shard there are to be, if not as many as there were. Only for backups by shard.
    pub replication_factor: Option<NonZeroU32>,
    /// What an earlier restore or drill found in the backup.
    pub known: Option<&'a RestoredPoints>,
}

impl Put<'_> {
    /// The collection that was backed up.
    pub fn collection(&self) -> &CollectionName {
        &self.manifest.collection
    }
}
