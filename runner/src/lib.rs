//! The runner: everything behind the command `qdrant-backup`.
//!
//! [`main`] parses the command line and calls one of `commands`. Code below them does not use the command line, the environment
//! or the wall clock.

pub mod archive;
pub mod backup;
pub mod choice;
mod commands;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host;
pub mod offsite;
pub mod points;
pub mod prune;
pub mod qdrant;
pub mod restore;
pub mod session;
pub mod settings;
pub mod store;
pub mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use host::clock::Clock;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    protect_memory();
    let clock = Clock::new(wall_clock);
    let arguments: Vec<_> = std::env::args_os().collect();
    match commands::cli::Cli::try_parse_from(&arguments) {
        Ok(cli) => commands::dispatch(&cli, &std::env::vars_os().collect(), clock),
        Err(error) => commands::misunderstood(&error, &arguments, clock),
    }
    .into()
}

/// The command line, for manual pages and shell completions.
pub fn command() -> clap::Command {
    commands::cli::Cli::command()
}

/// The only place that reads the wall clock.
#[expect(clippy::disallowed_methods, reason = "the only clock; all other code gets the time as a parameter")]
fn wall_clock() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// Keeps the API key out of core dumps, and protects the memory from other processes of the same user. Failures are ignored.
fn protect_memory() {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap_or(());
}
