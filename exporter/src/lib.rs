//! The exporter: everything behind the command `qdrant-backup-exporter`.
//!
//! [`observe`] looks at the files that the runner left, [`metrics`] says what was found in the words of
//! Prometheus. Neither knows the command line, the network or the wall clock.

pub mod metrics;
pub mod observe;
pub mod once;

use std::process::ExitCode;

use clap::Parser;

/// Prometheus metrics about the backups that qdrant-backup made.
#[derive(Parser)]
#[command(name = "qdrant-backup-exporter", version)]
struct Cli {}

/// Runs what the process was started for.
pub fn main() -> ExitCode {
    Cli::parse();
    ExitCode::SUCCESS
}
