//! Applying retention: what is decided is noted, then deleted, manifest first.
//!
//! `prune` and `run` call [`prune()`] within a session; a dry run calls [`plan()`] on what there is and changes nothing.

mod context;
mod deletion;
mod plan;
pub mod retention;
mod run;

pub use context::PruneContext;
pub use deletion::{Deletion, finish, remove_orphan};
pub use plan::{Plan, Withheld, flaw, plan, plan_all, source_changed};
pub use run::prune;
