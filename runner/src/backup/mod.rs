//! Making backups: one operation over many collections.

mod adopted;
mod awaiting;
mod before;
mod cluster;
mod collection;
mod creation;
mod describe;
mod error;
mod files;
mod guards;
mod leftovers;
mod node;
mod operation;
mod part;
mod run;
mod server_wait;
mod settled;
mod shards;
mod shared_session;
mod signs;
mod stages;
mod taken;
mod work;

pub use error::BackupError;
pub use files::matching;
pub use operation::back_up;
pub use run::{BackupContext, BackupOptions};
pub use stages::Stages;
