//! Making backups: one run over many collections.

mod collection;
mod creation;
mod error;
mod guards;
mod leftovers;
mod run;
mod stages;

pub use error::BackupError;
pub use run::{BackupOptions, Finished, Run, RunContext};
