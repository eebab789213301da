//! The plan for restoring points.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::{BackupId, CollectionName};
use serde_json::{Value, json};

use super::wanted::{Wanted, WhichPoints};
use crate::points::tally::{Found, Tally};

/// What a restore of points would write.
#[derive(Debug)]
pub struct PointsPlan {
    /// The collection that was backed up.
    pub collection: CollectionName,
    /// Backup that the points come from.
    pub backup_id: BackupId,
    /// When that backup started.
    pub backup_at: DateTime<Utc>,
    /// The collection that points are written to.
    pub target: CollectionName,
    /// Its server, without credentials.
    pub url: String,
    /// Points that were asked for.
    pub wanted: Wanted,
    /// The differences. New points are only counted if everything was compared.
    pub tally: Tally,
    /// Named, and not in the backup.
    pub unknown: Found,
    /// Points that differ and are now under another shard key. They are left alone, because writing them would create duplicates.
    pub moved: Found,
    /// The number of points to write.
    pub to_write: u64,
    /// Number for each shard key, if there are any.
    pub shard_keys: BTreeMap<String, u64>,
}

impl PointsPlan {
    /// The number of differing points to overwrite.
    pub fn overwritten(&self) -> u64 {
        if self.wanted.changed { self.tally.changed.count - self.moved.count } else { 0 }
    }

    /// For a person.
    pub fn text(&self) -> String {
        let Tally { missing, changed, new, equal, .. } = &self.tally;
        let at = self.backup_at.format("%Y-%m-%d %H:%M:%S UTC");
        let mut lines = vec![
            format!("Bring back points of {}:", self.collection),
            format!("  backup        {}, of {at}", self.backup_id),
            format!("  into          {} at {}", self.target, self.url),
        ];
        match &self.wanted.which {
            WhichPoints::All => {}
            WhichPoints::Ids(ids) => lines.push(format!("  of            {} points given by id", ids.len())),
            WhichPoints::Filter(filter) => {
                let filter = qdrant_backup_shared::text::shortened(&filter.to_string(), 160);
                lines.push(format!("  of            points in the backup that match {filter}"));
            }
        }
        if self.wanted.missing {
            lines.push(format!(
                "  write         {:>9}  that are missing there{}",
                missing.count,
                missing.shown()
            ));
            if missing.count > 0 {
                lines.push(
                    "                           all of them were deleted after the backup started, by mistake or on purpose; --ids brings back only the points that you list"
                        .to_owned(),
                );
            }
        } else if missing.count > 0 {
            lines.push(format!(
                "  left alone    {:>9}  that are missing there{}; --missing writes them",
                missing.count,
                missing.shown()
            ));
        }
        if self.wanted.changed {
            lines.push(format!(
                "  OVERWRITE     {:>9}  that differ there{}",
                self.overwritten(),
                changed.shown()
            ));
            if changed.count > 0 {
                lines.push(format!("                           {}", self.tally.changes()));
            }
        } else if changed.count > 0 {
            lines.push(format!(
                "  left alone    {:>9}  that differ there{}; --changed overwrites them",
                changed.count,
                changed.shown()
            ));
        }
        if self.moved.count > 0 {
            lines.push(format!(
                "  left alone    {:>9}  that are under another shard key there{}; delete them there first",
                self.moved.count,
                self.moved.shown()
            ));
        }
        if *equal > 0 {
            lines.push(format!("  left alone    {equal:>9}  that are equal"));
        }
        if new.count > 0 {
            lines.push(format!(
                "  left alone    {:>9}  that are not in the backup{}",
                new.count,
                new.shown()
            ));
        }
        if self.unknown.count > 0 {
            lines.push(format!(
                "  NOT FOUND     {:>9}  in the backup{}",
                self.unknown.count,
                self.unknown.shown()
            ));
        }
        if !self.shard_keys.is_empty() {
            let keys: Vec<String> =
                self.shard_keys.iter().map(|(key, count)| format!("{key} ({count})")).collect();
            lines.push(format!("  shard keys    {}", keys.join(", ")));
        }
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "collection": self.collection.as_str(), "backup_id": self.backup_id.to_string(), "backup_started_at": self.backup_at,
            "into": self.target.as_str(), "url": self.url, "found": self.tally.json(), "not_in_backup": self.unknown.json(),
            "under_another_shard_key": self.moved.json(), "writes_missing": self.wanted.missing,
            "overwrites_changed": self.wanted.changed, "to_write": self.to_write, "shard_keys": self.shard_keys,
        })
    }
}
