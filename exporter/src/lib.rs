//! The exporter: everything behind the command `qdrant-backup-exporter`.
//!
//! [`observe`] reads the files of the runner, [`metrics`] converts them to Prometheus metrics, and [`page`] to a page
//! for people. None of these use the command line, the network or the wall clock. [`web`] uses them to answer
//! requests.

pub mod build_info;
pub mod cli;
pub mod log;
pub mod metrics;
pub mod observe;
pub mod once;
pub mod page;
mod start;
pub mod stop;
pub mod web;
mod worker;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use web::fuzzing;

use std::process::ExitCode;

use clap::Parser;

/// Runs the program.
pub fn main() -> ExitCode {
    protect_memory();
    let arguments: Vec<_> = std::env::args_os().collect();
    match cli::Cli::try_parse_from(&arguments) {
        Ok(cli) => start::start(&cli, &std::env::vars_os().collect(), wall_clock),
        Err(error) => start::misunderstood(&error, &arguments, wall_clock),
    }
}

/// The only use of the wall clock.
#[expect(clippy::disallowed_methods, reason = "the one clock; everything else is given the time")]
fn wall_clock() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// Keeps TLS keys and passwords out of core dumps, and denies other processes of the same user access to our memory.
/// If the system refuses, there is no alternative.
fn protect_memory() {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap_or(());
}
