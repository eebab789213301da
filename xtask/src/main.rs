//! The project's own commands, run as `cargo xtask <command>`. One file a command.

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
    /// Show the programs at work against a stand-in Qdrant (or QDRANT_URL), and prove what they wrote
    Demo(demo::Opts),
    /// Write the JSON Schemas of the file formats to docs/schema/
    Schema(schema::Opts),
    /// Write the table of keys and the example of docs/configuration.md from the declarations of the settings
    Settings(pages::Opts),
    /// Write docs/metrics.md from the exporter's table of metrics
    Metrics(pages::Opts),
    /// Check everything under alerts/, and that the rules' tests notice each change of a rule
    Alerts(alerts::Opts),
    /// Run the acceptance of the original task, and write what it printed to docs/
    Acceptance(acceptance::Opts),
    /// Check the dashboard with Grafana's own libraries (480 MB from npm), and draw docs/images/dashboard.png
    Dashboard,
    /// Run the campaigns of faults, and write their counts into docs/reliability.md
    Campaign(campaign::Opts),
    /// Take out one defense after the other, and check that the campaigns notice
    Mutants(mutants::Opts),
    /// Run a benchmark; without a name, list them
    Bench(bench::Opts),
    /// Let everything happen at once for a while, with faults and kills, and see that nothing is lost
    Soak(soak::Opts),
    /// Fuzz what reads input from outside, with cargo-fuzz and a nightly toolchain
    Fuzz(fuzz::Opts),
    /// Build what is shipped: a tarball, a Debian package, SHA256SUMS
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
