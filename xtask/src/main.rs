//! The project's own commands, run as `cargo xtask <command>`. Each command has its own file.

mod acceptance;
mod alerts;
mod bench;
mod campaign;
mod daemon;
mod dashboard;
mod demo;
mod deploy;
mod dist;
mod fuzz;
mod links;
mod mutants;
mod package;
mod pages;
mod schema;
mod serving;
mod sh;
mod soak;
mod structure;
mod test;
mod tools;
mod tree;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's own commands")]
struct Opts {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything that CI runs, stopping at the first failure
    Test(test::Opts),
    /// Demonstrate the programs with a stand-in Qdrant (or QDRANT_URL), and verify their files independently
    Demo(demo::Opts),
    /// Write the JSON Schemas of the file formats to docs/schema/
    Schema(schema::Opts),
    /// Write the table of keys and the example in docs/configuration.md
    Settings(pages::Opts),
    /// Write docs/metrics.md from the exporter's table of metrics
    Metrics(pages::Opts),
    /// Check everything under alerts/, and that the rule tests detect each change of a rule
    Alerts(alerts::Opts),
    /// Run the acceptance test of the original task, and write its output to docs/
    Acceptance(acceptance::Opts),
    /// Check the dashboard with Grafana's own libraries (480 MB from npm), and render docs/images/dashboard.png
    Dashboard,
    /// Run the fault campaigns, and write their counts to docs/reliability.md
    Campaign(campaign::Opts),
    /// Remove one defense at a time, and check that the campaigns detect it
    Mutants(mutants::Opts),
    /// Run a benchmark; without a name, list them
    Bench(bench::Opts),
    /// Run backups, restores, faults and kills all at once for a while, and check that nothing is lost
    Soak(soak::Opts),
    /// Fuzz the code that reads input from outside, with cargo-fuzz and a nightly toolchain
    Fuzz(fuzz::Opts),
    /// Build the release files: a tarball, a Debian package, SHA256SUMS
    Dist(dist::Opts),
}

fn main() -> ExitCode {
    let result = match Opts::parse().command {
        Command::Test(opts) => test::run(&opts),
        Command::Demo(opts) => demo::run(&opts),
        Command::Schema(opts) => schema::run(&opts),
        Command::Settings(opts) => pages::settings(&opts),
        Command::Metrics(opts) => pages::metrics(&opts),
        Command::Alerts(opts) => alerts::run(&opts),
        Command::Acceptance(opts) => acceptance::run(&opts),
        Command::Dashboard => dashboard::run(),
        Command::Campaign(opts) => campaign::run(&opts),
        Command::Mutants(opts) => mutants::run(&opts),
        Command::Bench(opts) => bench::run(&opts),
        Command::Soak(opts) => soak::run(&opts),
        Command::Fuzz(opts) => fuzz::run(&opts),
        Command::Dist(opts) => dist::run(&opts),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
