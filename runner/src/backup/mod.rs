//! Making backups: one operation over many collections.

mod awaiting;
mod collection;
mod creation;
mod error;
mod files;
mod guards;
mod leftovers;
mod operation;
mod run;
mod server_wait;
mod shared_session;
mod signs;
mod stages;

pub use error::BackupError;
pub use guards::source_changed;
pub use operation::back_up;
pub use run::{BackupContext, BackupOptions};
pub use stages::Stages;
