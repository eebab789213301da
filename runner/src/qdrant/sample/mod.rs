//! Samples of points: taken during a backup, compared in a drill.

mod canonical;
mod compare;
mod take;

pub use canonical::point_digest;
pub use compare::{Mismatch, compare};
pub use take::{POINTS, confirm, look};
