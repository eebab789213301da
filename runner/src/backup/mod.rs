//! Making backups: one operation over many collections.

mod awaiting;
mod collection;
mod creation;
mod error;
mod files;
mod guards;
mod leftovers;
mod run;
mod server_wait;
mod shared_session;
mod signs;
mod stages;

pub use error::BackupError;
pub use guards::source_changed;
pub use leftovers::{Deletion, delete_ours, unreachable};
pub use run::{BackupContext, BackupOptions, back_up};
pub use stages::Stages;
