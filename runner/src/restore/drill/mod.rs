//! Drills: restore a backup into a scratch collection, compare it, and delete it.
//!
//! Existing collections are never changed.

mod choice;
mod compare;
mod give_way;
mod run;
mod sampled;
mod verdict;

pub use choice::choose;
pub use give_way::GiveWay;
pub use run::{DrillContext, DrillOptions, drill};
