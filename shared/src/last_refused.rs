//! `last_refused.json`: the last command that was refused before it started.
//!
//! It is a separate file, because only the holder of the lock may write the status file, and a refused command never gets the
//! lock.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::json_file::{JsonFile, SCHEMA_VERSION};
use crate::text::shortened;

/// Maximum length of a reason, in characters.
const REASON: usize = 1000;

/// A command that was refused because of its settings, a key, a certificate or the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LastRefused {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When it was refused.
    pub refused_at: DateTime<Utc>,
    /// The command, as in `run`.
    pub command: String,
    /// The reason, on one line. Never contains a secret.
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
