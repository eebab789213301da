//! Scratch collections: temporary restores of backups. Used by drills, comparisons and restores of points.
//!
//! Their names identify the repository, so that leftovers of killed runs are found only by name.

mod fill;
mod remove;

pub use fill::{check_size, fill, name_for};
pub use remove::{remove, remove_leftovers};
