//! The subject of a snapshot: a collection as far as it is on the node, or one shard. Qdrant has the same requests for both, with
//! different paths.

use std::fmt;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::status::{Creating, ServerSnapshot};

/// A collection, or one shard of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// Collection, or the one that the shard belongs to.
    pub collection: CollectionName,
    /// The shard. None for the whole collection.
    pub shard_id: Option<u32>,
}

impl Subject {
    /// All of `collection` on the node.
    pub fn whole(collection: &CollectionName) -> Self {
        Self { collection: collection.clone(), shard_id: None }
    }

    /// One shard of `collection`.
    pub fn shard(collection: &CollectionName, shard_id: u32) -> Self {
        Self { collection: collection.clone(), shard_id: Some(shard_id) }
    }

    /// The path of its snapshots, and `rest` below it.
    pub(super) fn path(&self, rest: &[&str]) -> Vec<String> {
        let mut path = vec!["collections".to_owned(), self.collection.as_str().to_owned()];
        path.extend(self.shard_id.into_iter().flat_map(|id| ["shards".to_owned(), id.to_string()]));
        path.push("snapshots".to_owned());
        path.extend(rest.iter().map(|part| (*part).to_owned()));
        path
    }
}

impl From<&Creating> for Subject {
    fn from(creating: &Creating) -> Self {
        Self { collection: creating.collection.clone(), shard_id: creating.shard_id }
    }
}

impl From<&ServerSnapshot> for Subject {
    fn from(snapshot: &ServerSnapshot) -> Self {
        Self { collection: snapshot.collection.clone(), shard_id: snapshot.shard_id }
    }
}

/// As in `"docs"`, or `shard 2 of "docs"`.
impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shard_id {
            Some(id) => write!(formatter, "shard {id} of \"{}\"", self.collection),
            None => write!(formatter, "\"{}\"", self.collection),
        }
    }
}
