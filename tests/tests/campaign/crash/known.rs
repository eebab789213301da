//! What a backup directory contains, read with the product's own code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use e2e::crash::{Stage, Tree};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Catalog, Condition};
use qdrant_backup_shared::status_journal::{self, Kept};
use qdrant_backup_shared::{CollectionName, Layout};

/// Collection and id of a backup.
pub type Which = (CollectionName, BackupId);

/// The contents of a directory.
pub struct Known {
    pub layout: Layout,
    pub backups: BTreeMap<Which, Backup>,
    /// Archives without a manifest, by relative path.
    pub orphans: BTreeSet<String>,
    /// Unreadable files, with reasons.
    pub unreadable: BTreeMap<String, String>,
    /// The status, None if there is none, or why it is unreadable.
    pub status: Result<Option<Kept>, String>,
}

impl Known {
    /// Reads `directory`.
    pub fn of(directory: &Path) -> Result<Self, String> {
        let layout = Layout::new(directory, directory);
        let catalog = Catalog::read(&layout).map_err(|error| error.to_string())?;
        let relative =
            |path: &Path| path.strip_prefix(directory).unwrap_or(path).to_string_lossy().into_owned();
        let status = match status_journal::read(&layout) {
            Ok(kept) => Ok(Some(kept)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        let backups = catalog.collections.into_values().flatten();
        Ok(Self {
            backups: backups
                .map(|backup| (((*backup.collection).clone(), backup.backup_id), backup))
                .collect(),
            orphans: catalog.orphans.iter().map(|orphan| relative(&orphan.path)).collect(),
            unreadable: catalog
                .unreadable
                .into_iter()
                .map(|entry| (relative(&entry.path), entry.problem))
                .collect(),
            status,
            layout,
        })
    }

    /// The contents of a directory with the state `tree`.
    pub fn of_tree(tree: &Tree) -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        Stage::on(scratch.path()).show(tree);
        Self::of(scratch.path()).expect("a catalog")
    }

    /// The condition of an existing backup.
    pub fn condition(&self, which: &Which) -> Option<Condition> {
        self.backups.get(which).map(Backup::condition)
    }
}
