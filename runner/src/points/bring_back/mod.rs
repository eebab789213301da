//! Bringing back points of a backup, and nothing else: found, planned, then written.

mod find;
mod plan;
mod run;
mod target;
mod wanted;
mod write;

pub use plan::PointsPlan;
pub use run::{AnnouncePlan, BringBackContext, BroughtBack, bring_back};
pub use wanted::{Wanted, WhichPoints};
pub use write::upsert;
