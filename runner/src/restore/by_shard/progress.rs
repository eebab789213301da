//! Progress of a restore in the status, so that the next one continues there and uploads nothing twice.

use std::collections::BTreeSet;

use qdrant_backup_shared::status::RestoringShards;
use qdrant_backup_shared::{BackupId, CollectionName, Manifest};

use crate::session::Session;

/// An unfinished restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Begun {
    /// Shards whose upload has started.
    pub sent: BTreeSet<u32>,
    /// Shards that are restored.
    pub done: BTreeSet<u32>,
}

/// The unfinished restore of this backup into `target` on the server at `url`.
pub fn begun(
    restoring: &[RestoringShards],
    manifest: &Manifest,
    target: &CollectionName,
    url: &str,
) -> Option<Begun> {
    let wanted = (&manifest.collection, manifest.backup_id, target, url);
    let entry = restoring.iter().find(|entry| key(entry) == wanted)?;
    Some(Begun { sent: entry.sent.clone(), done: entry.done.clone() })
}

fn key(entry: &RestoringShards) -> (&CollectionName, BackupId, &CollectionName, &str) {
    (&entry.collection, entry.backup_id, &entry.target, &entry.node_url)
}

/// Progress of a restore. Not stored for drills, whose collections are always deleted.
pub(super) struct Progress<'a> {
    manifest: &'a Manifest,
    target: &'a CollectionName,
    url: String,
    is_kept: bool,
    /// The progress so far.
    pub(super) begun: Begun,
}

impl<'a> Progress<'a> {
    /// Continues the restore `begun`.
    pub(super) fn new(
        manifest: &'a Manifest,
        target: &'a CollectionName,
        url: String,
        is_kept: bool,
        begun: Begun,
    ) -> Self {
        Self { manifest, target, url, is_kept, begun }
    }

    /// Stores it: before the collection is created, and before and after each upload.
    pub(super) fn write(&self, session: &mut Session) {
        if !self.is_kept {
            return;
        }
        let entry = RestoringShards {
            target: self.target.clone(),
            node_url: self.url.clone(),
            collection: self.manifest.collection.clone(),
            backup_id: self.manifest.backup_id,
            sent: self.begun.sent.clone(),
            done: self.begun.done.clone(),
        };
        session.write_status(|status| {
            status.restoring.retain(|other| !is_about(other, &entry.target, &entry.node_url));
            status.restoring.push(entry);
        });
    }

    /// Removes it, because there is nothing to continue.
    pub(super) fn strike(&self, session: &mut Session) {
        if self.is_kept {
            session.amend_status(|status| {
                status.restoring.retain(|entry| !is_about(entry, self.target, &self.url));
            });
        }
    }

    /// The state of the shards as text.
    pub(super) fn told(&self, all: impl Iterator<Item = u32>, failed: Option<u32>) -> String {
        let (mut done, mut doubtful, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for id in all {
            if self.begun.done.contains(&id) {
                done.push(id);
            } else if self.begun.sent.contains(&id) && failed != Some(id) {
                doubtful.push(id);
            } else if failed != Some(id) {
                left.push(id);
            }
        }
        let words = [("restored", done), ("possibly restored", doubtful), ("not started", left)];
        let told: Vec<String> = words
            .into_iter()
            .filter(|(_, ids)| !ids.is_empty())
            .map(|(what, ids)| format!("{what}: {}", list(&ids)))
            .collect();
        told.join("; ")
    }
}

fn is_about(entry: &RestoringShards, target: &CollectionName, url: &str) -> bool {
    entry.target == *target && entry.node_url == url
}

fn list(ids: &[u32]) -> String {
    let word = if ids.len() == 1 { "shard" } else { "shards" };
    format!("{word} {}", ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", "))
}
