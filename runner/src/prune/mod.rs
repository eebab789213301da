//! Applies retention: records the decisions, then deletes, manifest first.
//!
//! `prune` and `run` call [`prune()`] within a session. A dry run calls [`plan()`] and changes nothing.

mod context;
mod deletion;
mod plan;
pub mod retention;
mod run;

pub use context::PruneContext;
pub use deletion::{Deletion, finish, remove_orphan};
pub use plan::{Plan, Withheld, flaw, plan, plan_all, source_changed};
pub use run::prune;
