//! `last_skipped.json`: the last run that found the lock held.
//!
//! It is a separate file, because only the holder of the lock may write the status file.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::json_file::{JsonFile, SCHEMA_VERSION};
use crate::lock_holder::LockHolder;

/// A run that was skipped because another one held the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LastSkipped {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When the run gave up.
    pub skipped_at: DateTime<Utc>,
    /// The command that was skipped, as in `backup`.
    pub command: String,
    /// The holder of the lock, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<LockHolder>,
}

impl LastSkipped {
    /// The record of a `command` skipped at `skipped_at`.
    pub fn new(skipped_at: DateTime<Utc>, command: &str, holder: Option<LockHolder>) -> Self {
        Self { schema_version: SCHEMA_VERSION, skipped_at, command: command.to_owned(), holder }
    }
}

impl JsonFile for LastSkipped {
    const WHAT: &'static str = "record of a skipped run";
}
