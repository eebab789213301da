//! `repository.json`: marks a directory as a backup repository, and identifies its source.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::json_file::{JsonFile, SCHEMA_VERSION};

/// Created by `init`, `setup` or `offsite recover` and never by a run, so that an unmounted disk is never used as a new, empty
/// repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Repository {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// A random UUID that identifies the directory.
    pub repository_id: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Features that a program needs to write here. A program that does not support an entry must refuse.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Peer ids of the Qdrant nodes that these backups came from, from `/collections/{c}/cluster`. Empty until the first backup.
    #[serde(default)]
    pub known_peer_ids: Vec<u64>,
}

impl Repository {
    /// A new repository without peers.
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
