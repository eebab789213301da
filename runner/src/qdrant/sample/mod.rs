//! Samples of points: taken when a backup is made, compared when it is drilled.

mod canonical;
mod compare;
mod take;

pub use canonical::point_digest;
pub use compare::{Mismatch, compare};
pub use take::{POINTS, confirm, look};
