//! Scratch collections: a backup restored for a while beside everything else on a server, and removed again. Drills, comparisons and
//! restores of points share this.
//!
//! The names say whose they are, so that what a killed run left is found by its name and by nothing else.

mod fill;
mod remove;

pub use fill::{check_size, fill, name_for};
pub use remove::{remove, remove_leftovers};
