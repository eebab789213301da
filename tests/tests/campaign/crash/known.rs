//! What a backup directory tells of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use e2e::crash::{Stage, Tree};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::{Backup, Catalog, Condition};
use qdrant_backup_shared::status_journal::{self, Kept};
use qdrant_backup_shared::{CollectionName, Layout};

/// Collection and id of a backup.
pub type Which = (CollectionName, BackupId);

/// What a directory tells.
pub struct Known {
    pub layout: Layout,
    pub backups: BTreeMap<Which, Backup>,
    /// Archives without a manifest, by their names in the directory.
    pub orphans: BTreeSet<String>,
    /// What cannot be read, and why.
    pub unreadable: BTreeMap<String, String>,
    /// The status, if there is one, or why it cannot be read.
    pub status: Result<Option<Kept>, String>,
}

impl Known {
    /// Looks at `directory`.
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

    /// What a directory as `tree` tells.
    pub fn of_tree(tree: &Tree) -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        Stage::on(scratch.path()).show(tree);
        Self::of(scratch.path()).expect("a catalog")
    }

    /// The condition of a backup that is there.
    pub fn condition(&self, which: &Which) -> Option<Condition> {
        self.backups.get(which).map(Backup::condition)
    }
}
