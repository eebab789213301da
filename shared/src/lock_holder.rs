//! The contents of `.lock`: its holder, for messages.
//!
//! Only informative: the lock itself is held in the operating system, and no decision depends on this text.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LockHolder {
    /// The command, as in `backup`.
    pub command: String,
    /// Its process id on `hostname`.
    pub pid: u32,
    /// The machine it runs on.
    pub hostname: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} (process {} on {}) since {} UTC",
            crate::text::shortened(&self.command, 40),
            self.pid,
            crate::text::shortened(&self.hostname, 80),
            self.since.format("%Y-%m-%d %H:%M:%S")
        )
    }
}
