//! The hold file. While it exists beside a backup, that backup is not pruned.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::backup_id::BackupId;
use crate::json_file::{JsonFile, SCHEMA_VERSION};

/// Protects a backup from retention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hold {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Id of the backup that is on hold.
    pub backup_id: BackupId,
    /// When it was put on hold.
    pub held_at: DateTime<Utc>,
    /// The reason, if one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Hold {
    /// A hold of `backup_id` from `held_at` on.
    pub fn new(backup_id: BackupId, held_at: DateTime<Utc>, reason: Option<String>) -> Self {
        Self { schema_version: SCHEMA_VERSION, backup_id, held_at, reason }
    }
}

impl JsonFile for Hold {
    const WHAT: &'static str = "hold file";
}
