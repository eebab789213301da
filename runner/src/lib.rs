//! The runner: everything behind the command `qdrant-backup`.
//!
//! [`main`] reads the command line and hands over to one of `commands`; below them nothing knows the
//! command line, the environment or the wall clock.

mod access;
pub mod archive;
pub mod backup;
pub mod choice;
mod cli;
mod clock;
mod commands;
pub mod console;
pub mod drill;
mod entry;
mod exit;
mod file_system;
pub mod import;
pub mod inspect;
mod leftovers;
pub mod lock;
pub mod lock_processes;
pub mod notify;
mod output;
mod own_disk;
pub mod prune;
pub mod qdrant;
pub mod restore;
pub mod retention;
pub mod sample;
pub mod session;
pub mod settings;
mod signals;
pub mod status_store;
pub mod store;
pub mod stream;
mod trust;
mod user;
pub mod verify;
pub mod waiting;
pub mod warnings;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use clock::Clock;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    protect_memory();
    let clock = Clock::new(wall_clock);
    let arguments: Vec<_> = std::env::args_os().collect();
    match cli::Cli::try_parse_from(&arguments) {
        Ok(cli) => commands::dispatch(&cli, &std::env::vars_os().collect(), clock),
        Err(error) => commands::misunderstood(&error, &arguments, clock),
    }
    .into()
}

/// The command line, for the manual pages and the shells' completions.
pub fn command() -> clap::Command {
    cli::Cli::command()
}

/// The one place that looks at the wall clock.
#[expect(clippy::disallowed_methods, reason = "the one clock; everything else is given the time")]
fn wall_clock() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// Keeps the API key out of core dumps, and other processes of the same user out of our memory. Where the
/// system refuses there is nothing better to do.
fn protect_memory() {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap_or(());
}
