//! The record of a backup's offsite copy. While it exists beside the manifest, the place is known to have the copy.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::backup_id::BackupId;
use crate::json_file::{JsonFile, SCHEMA_VERSION};
use crate::place_name::is_place_name;

/// One copy of a backup in a restic repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OffsiteRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Id of the backup that was copied.
    pub backup_id: BackupId,
    /// The place, as the configuration calls it.
    pub place: String,
    /// The id of the restic repository.
    pub repository: String,
    /// When the copy was completed or found.
    pub copied_at: DateTime<Utc>,
    /// The restic snapshot with the manifest. The copy exists as long as this snapshot does.
    pub manifest_snapshot: String,
    /// The restic snapshots with the archives, in the order of the manifest.
    pub archive_snapshots: Vec<String>,
    /// Data added to the repository by this copy after deduplication, in bytes. Absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_bytes: Option<u64>,
    /// When all data of the repository, including this copy, was last read back without finding damage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_checked_at: Option<DateTime<Utc>>,
    /// The archives were removed here on purpose: by retention, or because the directory was recovered from its copies.
    #[serde(default)]
    pub only_copy: bool,
    /// The place has the hold of this backup.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

impl JsonFile for OffsiteRecord {
    const WHAT: &'static str = "record of a copy";

    fn check(&self) -> Result<(), String> {
        if is_place_name(&self.place) {
            Ok(())
        } else {
            Err("place: not a valid name for a place".to_owned())
        }
    }
}

impl OffsiteRecord {
    /// The record of a copy that was completed at `copied_at`.
    pub fn new(
        backup_id: BackupId,
        place: &str,
        repository: &str,
        copied_at: DateTime<Utc>,
        manifest_snapshot: String,
        archive_snapshots: Vec<String>,
    ) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            backup_id,
            place: place.to_owned(),
            repository: repository.to_owned(),
            copied_at,
            manifest_snapshot,
            archive_snapshots,
            added_bytes: None,
            last_checked_at: None,
            only_copy: false,
            held: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::json_file;

    #[test]
    fn what_is_written_is_read_back_and_a_foreign_name_is_refused() {
        let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();
        let record =
            OffsiteRecord::new(id, "s3", "ab12", id.time(), "cd34".to_owned(), vec!["ef56".to_owned()]);
        let text = String::from_utf8(json_file::to_bytes(&record).unwrap()).unwrap();
        assert_eq!(json_file::parse::<OffsiteRecord>(Path::new("r"), text.as_bytes()).unwrap(), record);
        let bad = text.replace("\"s3\"", "\"a/b\"");
        assert!(json_file::parse::<OffsiteRecord>(Path::new("r"), bad.as_bytes()).is_err());
    }
}
