//! The exporter: everything behind the command `qdrant-backup-exporter`.
//!
//! [`observe`] looks at the files that the runner left, [`metrics`] says what was found in the words of
//! Prometheus and [`page`] in words for people. None of them knows the command line, the network or the wall clock.
//! [`web`] answers requests with them.

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

/// Runs what the process was started for.
pub fn main() -> ExitCode {
    protect_memory();
    let arguments: Vec<_> = std::env::args_os().collect();
    match cli::Cli::try_parse_from(&arguments) {
        Ok(cli) => start::start(&cli, &std::env::vars_os().collect(), wall_clock),
        Err(error) => start::misunderstood(&error, &arguments, wall_clock),
    }
}

/// The one place that looks at the wall clock.
#[expect(clippy::disallowed_methods, reason = "the one clock; everything else is given the time")]
fn wall_clock() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// Keeps TLS keys and passwords out of core dumps, and other processes of the same user out of our memory. Where the
/// system refuses there is nothing better to do.
fn protect_memory() {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap_or(());
}
