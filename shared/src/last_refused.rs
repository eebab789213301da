//! `last_refused.json`: the last command that was refused before it began.
//!
//! It is a file of its own because the status file belongs to whoever holds the lock, and a refused start never comes to it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::json_file::{JsonFile, SCHEMA_VERSION};
use crate::text::shortened;

/// The longest reason, in characters.
const REASON: usize = 1000;

/// A command that was to write and did nothing: its settings, a key, a certificate or the directory did not allow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LastRefused {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When it was refused.
    pub refused_at: DateTime<Utc>,
    /// The command, as in `run`.
    pub command: String,
    /// Why, on one line; never a secret.
    pub reason: String,
}

impl LastRefused {
    /// The record of a `command` that was refused at `refused_at`.
    pub fn new(refused_at: DateTime<Utc>, command: &str, reason: &str) -> Self {
        let reason = shortened(reason, REASON);
        Self { schema_version: SCHEMA_VERSION, refused_at, command: command.to_owned(), reason }
    }
}

impl JsonFile for LastRefused {
    const WHAT: &'static str = "record of a refused start";
}
