//! Checks stored backups: selection, levels, results, and their records.
//!
//! Nothing here talks to a server or writes anything but verification records.

mod check;
mod depth;
mod judge;
mod record;
mod restored;
mod run;
mod selection;
mod verdict;
mod watched;

pub use check::{Check, Interrupted, verify_backup};
pub use depth::Depth;
pub use record::{RecordError, enter};
pub use restored::{note_points, note_sample};
pub use run::{VerifyContext, VerifyOptions, any_failed, verify};
pub use selection::{Extent, due};

#[cfg(test)]
mod tests;
