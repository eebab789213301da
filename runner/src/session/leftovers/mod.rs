//! Leftovers of this program on the server: snapshots and uploaded files.
//!
//! Each is in the status before it is on the server. It is deleted only while the server lists that name with that checksum.

mod conclusion;
mod deletion;
pub mod upload;

pub use conclusion::{Occasion, conclude};
pub use deletion::{Standing, delete_ours, look};
pub use upload::{may_be_at_work, still_at_work, unanswered};
