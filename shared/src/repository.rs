//! `repository.json`: marks a directory as a backup repository, and identifies its source.

use std::collections::BTreeSet;

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

    /// Whether a server with the peers `shown` is none that these backups came from. Without any peers, nothing is known.
    pub fn is_other_server(&self, shown: &BTreeSet<u64>) -> bool {
        let known = &self.known_peer_ids;
        !known.is_empty() && !shown.is_empty() && !known.iter().any(|peer| shown.contains(peer))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_is_one_that_shows_no_known_peer() {
        let is_other = |known: &[u64], shown: &[u64]| {
            let mut repository = Repository::new("id".to_owned(), DateTime::UNIX_EPOCH);
            repository.known_peer_ids = known.to_vec();
            repository.is_other_server(&shown.iter().copied().collect())
        };
        assert!(!is_other(&[], &[3, 4]), "the first backup knows none");
        assert!(!is_other(&[1, 3], &[3, 4]), "a cluster may lose and gain peers");
        assert!(is_other(&[1, 2], &[3, 4]));
        assert!(!is_other(&[1], &[]), "nothing shown, nothing known");
    }
}
