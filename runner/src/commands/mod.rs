//! One module a command: from settings to exit code.

mod accept_source;
mod as_owner;
mod backup;
mod bad;
mod checks;
mod config;
mod connect;
mod corrupt;
mod dispatch;
mod drill;
mod export;
mod finish;
mod hold;
mod import;
mod init;
mod leftovers;
mod list;
mod orphans;
mod place;
mod prune;
mod refusal;
mod refused;
mod restore;
mod restore_files;
mod retire;
mod run;
mod schedule;
mod scheduled;
mod setup;
mod status;
mod trial;
mod verify;

pub use connect::{client, client_for_other};
pub use dispatch::{dispatch, misunderstood};
pub use finish::{exit, listen, print_report, stopped};
pub use refusal::Refusal;
