//! Decides which backups are kept and which have expired, and why. Pure functions of the backups and the time.
//!
//! A backup is kept if any rule keeps it. Rules count good backups only, and age counts from the newest good one,
//! not from now, so that failing for weeks expires nothing. The newest good and the newest verified backup always stay.

mod candidate;
mod decide;
mod period;
mod policies;
#[cfg(test)]
mod tests;

pub use candidate::{Candidate, Standing};
pub use decide::{Decision, decide, decide_gone};
pub use policies::{NoRule, Policies};
pub use qdrant_backup_shared::config_file::Policy;
