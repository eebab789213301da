//! Drills: a backup is restored into a collection of its own, compared with what was backed up, and removed again.
//!
//! No collection that was there before is ever touched.

mod choice;
mod compare;
mod give_way;
mod run;
mod sampled;
mod verdict;

pub use choice::choose;
pub use give_way::GiveWay;
pub use run::{DrillContext, DrillOptions, drill};
