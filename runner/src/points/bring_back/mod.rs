//! Restores single points of a backup: finds them, makes a plan, then writes them.

mod find;
mod plan;
mod run;
mod target;
mod wanted;
mod write;

pub use plan::PointsPlan;
pub use run::{AnnouncePlan, BringBackContext, BroughtBack, bring_back};
pub use target::Target;
pub use wanted::{Wanted, WhichPoints};
pub use write::upsert;
