//! `repository.json`: that a directory is a repository of backups, and whose.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::json_file::{JsonFile, SCHEMA_VERSION};

/// Made by `qdrant-backup init` and by nothing else, so that an unmounted disk is never taken for a
/// new, empty repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Repository {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// A random UUID, so that two directories can be told apart.
    pub repository_id: String,
    /// When `init` made it.
    pub created_at: DateTime<Utc>,
    /// Abilities that a program needs to write here; one that does not know an entry must refuse.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Peer ids of the Qdrant nodes whose backups these are, as `/collections/{c}/cluster` gave them.
    /// Empty until the first backup.
    #[serde(default)]
    pub known_peer_ids: Vec<u64>,
}

impl Repository {
    /// A new repository that knows no peers yet.
    pub fn new(repository_id: String, created_at: DateTime<Utc>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            repository_id,
            created_at,
            requires: Vec::new(),
            known_peer_ids: Vec::new(),
        }
    }
}

impl JsonFile for Repository {
    const WHAT: &'static str = "repository description";

    fn check(&self) -> Result<(), String> {
        match self.requires.first() {
            Some(entry) => {
                Err(format!("requires {entry:?}, which this version of qdrant-backup does not know"))
            }
            None => Ok(()),
        }
    }
}
