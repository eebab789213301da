//! `cargo xtask bench`: benchmarks that print Markdown. No times are asserted.

mod backup;
mod cluster;
mod exporter;
mod goals;
mod lab;
mod machine;
mod offsite;
mod page;
mod points;
mod repository;
mod restore;
mod sample;
mod turns;
mod verify;

use clap::{Args, CommandFactory, Subcommand};

use self::lab::Lab;
use crate::sh::Result;

#[derive(Args)]
pub(crate) struct Opts {
    #[command(subcommand)]
    benchmark: Option<Benchmark>,
}

#[derive(Subcommand)]
enum Benchmark {
    /// A complete backup, compared with curl into a file, a hash, gzip, pigz and zstd
    Backup(lab::Scale),
    /// Verification of a stored backup, compared with hashing its plain snapshot
    Verify(lab::Scale),
    /// A restore, compared with uploading the plain snapshot with curl
    Restore(lab::Scale),
    /// A backup of six shards on three nodes, compared with six calls of curl
    Cluster(lab::Scale),
    /// A first copy to a restic repository, compared with gunzip and restic by hand; the runner's own restic calls
    /// take a second or two, so the result is only meaningful for 1GiB or more
    Offsite(lab::Scale),
    /// Scrapes of a large backup directory, compared with a bare listing and node_exporter
    Exporter(exporter::Opts),
    /// Points per second of `compare` and `export --points`, compared with a scroll loop in Python
    Points(points::Opts),
    /// All of these except points, written to docs/performance.md
    Table(page::Opts),
}

/// Used only to list the benchmarks.
#[derive(clap::Parser)]
struct Listing {
    #[command(subcommand)]
    _benchmark: Benchmark,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    match &opts.benchmark {
        Some(Benchmark::Backup(opts)) => each_kind(opts, Lab::new, backup::run),
        Some(Benchmark::Verify(opts)) => each_kind(opts, Lab::new, verify::run),
        Some(Benchmark::Restore(opts)) => each_kind(opts, Lab::new, restore::run),
        Some(Benchmark::Cluster(opts)) => each_kind(opts, Lab::of_cluster, cluster::run),
        Some(Benchmark::Offsite(opts)) => each_kind(opts, Lab::new, offsite::run),
        Some(Benchmark::Exporter(opts)) => {
            print!("\n{}", exporter::measure(opts)?);
            Ok(())
        }
        Some(Benchmark::Points(opts)) => points::run(opts),
        Some(Benchmark::Table(opts)) => page::write(opts),
        None => {
            for benchmark in Listing::command().get_subcommands() {
                let about = benchmark.get_about().map(ToString::to_string).unwrap_or_default();
                println!("cargo xtask bench {:<10} {about}", benchmark.get_name());
            }
            Ok(())
        }
    }
}

/// Measures with each requested kind of snapshot.
fn each_kind(
    opts: &lab::Scale,
    lab: impl Fn(&str, lab::Kind) -> Result<Lab>,
    measure: impl Fn(&Lab, u32) -> Result<Vec<turns::Row>>,
) -> Result<()> {
    lab::prepare()?;
    for kind in opts.kinds() {
        let rows = measure(&lab(&opts.size, kind)?, opts.rounds)?;
        let (size, title, rounds) = (&opts.size, kind.title(), opts.rounds);
        println!("\n{size} of {title}, {rounds} rounds, medians.\n\n{}", turns::table(&rows));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Listing::command().debug_assert();
    }
}
