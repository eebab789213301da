//! `cargo xtask bench`: measurements, printed as Markdown. Nothing here asserts a time.

mod backup;
mod exporter;
mod repository;
mod sample;

use clap::{Args, CommandFactory, Subcommand};

use crate::sh::Result;

#[derive(Args)]
pub(crate) struct Opts {
    #[command(subcommand)]
    benchmark: Option<Benchmark>,
}

#[derive(Subcommand)]
enum Benchmark {
    /// A whole backup, uncompressed, gzip and zstd, beside curl and sync
    Backup(backup::Opts),
    /// Scrapes of a large backup directory, beside a bare listing and node_exporter
    Exporter(exporter::Opts),
}

/// Only there to list the benchmarks.
#[derive(clap::Parser)]
struct Listing {
    #[command(subcommand)]
    _benchmark: Benchmark,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    match &opts.benchmark {
        Some(Benchmark::Backup(opts)) => backup::run(opts),
        Some(Benchmark::Exporter(opts)) => exporter::run(opts),
        None => {
            for benchmark in Listing::command().get_subcommands() {
                let about = benchmark.get_about().map(ToString::to_string).unwrap_or_default();
                println!("cargo xtask bench {:<10} {about}", benchmark.get_name());
            }
            Ok(())
        }
    }
}
