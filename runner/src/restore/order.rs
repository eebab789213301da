//! A restore order: the backup and its target.

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
    /// Node that receives the upload.
    pub client: Client,
    /// The nodes of its cluster, if they cannot be derived from its URL.
    pub nodes: Vec<Url>,
    /// The progress display.
    pub console: Console,
    /// Maximum time until a restored collection is ready.
    pub settle_timeout: Duration,
}

/// The backup and its target.
#[derive(Debug, Clone)]
pub struct Put<'a> {
    /// Manifest of the backup.
    pub manifest: &'a Manifest,
    /// The collection to restore into.
    pub target: &'a CollectionName,
    /// Whether that collection exists already.
    pub existed: bool,
    /// What must be proven before the last bytes are sent.
    pub prove: Prove,
    /// Whether this is a restore or a drill.
    pub by: Operation,
    /// Number of copies of each shard, if it differs from the original. Only for backups by shards.
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
