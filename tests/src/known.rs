//! Which of our snapshots on the server the status records.

use std::collections::BTreeSet;

use qdrant_backup_shared::Status;
use qdrant_backup_shared::status::ServerSnapshot;

use crate::qdrant_stand_in::folder;

/// Recorded snapshot names, and folders in which further ones of ours may appear.
#[derive(Default)]
pub struct Known {
    names: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Known {
    /// What a status records.
    pub fn by(status: &Status) -> Self {
        let uploads = status.unanswered_uploads.iter().map(|upload| &upload.file);
        let lists = [&status.undeleted_snapshots, &status.suspected_leftovers, &status.unlisted_uploads];
        let now = status.current_run.iter();
        let under_way = now.flat_map(|run| run.creating.iter().chain(&run.also_creating));
        let creations = status.unanswered_creations.iter().chain(under_way);
        Self {
            names: lists.into_iter().flatten().chain(uploads).map(named).collect(),
            folders: creations
                .map(|creation| folder(creation.collection.as_str(), creation.shard_id))
                .collect(),
        }
    }

    /// The records about these collections.
    pub fn of(&self, collections: &[String]) -> Vec<String> {
        let of = |entry: &&String| {
            let folder = entry.split([':', '/']).next().unwrap_or_default();
            collections.iter().any(|name| name == folder)
        };
        self.names.iter().chain(&self.folders).filter(of).cloned().collect()
    }

    /// Whether the records explain `folder: name`.
    pub fn explains(&self, snapshot: &str) -> bool {
        let folder = snapshot.split(": ").next().unwrap_or_default();
        self.names.contains(snapshot) || self.folders.contains(folder)
    }
}

fn named(snapshot: &ServerSnapshot) -> String {
    format!("{}: {}", folder(snapshot.collection.as_str(), snapshot.shard_id), snapshot.name)
}
