//! Points per second on a real server: `compare` and `export --points` alternating with a plain scroll loop in
//! Python. Also a walk through generated points, whose memory must not depend on their number.

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

use super::sample::{self, median};
use crate::{
    sh::{Cmd, Context, Result},
    workspace,
};

/// The generated collection, which is removed at the end.
const COLLECTION: &str = "qdrant-backup-bench-points";
const SCRIPT: &str = include_str!("points.py");

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// A Qdrant for a temporary collection [default: only the walk without a server]
    #[arg(long)]
    url: Option<String>,
    /// Number of points
    #[arg(long, default_value_t = 100_000)]
    points: u64,
    /// Components of each vector
    #[arg(long, default_value_t = 128)]
    dimension: u32,
    /// Repetitions of each measurement
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Number of generated points for the walk without a server
    #[arg(long, default_value_t = 10_000_000)]
    walk: u64,
}

/// The result of a measurement: points per second, and peak memory of our own programs.
struct Way {
    name: &'static str,
    a_second: Vec<f64>,
    peak_bytes: u64,
}

pub(super) fn run(opts: &Opts) -> Result<()> {
    let build =
        ["build", "--release", "--locked", "--workspace", "--bin", "qdrant-backup", "--example", "walk"];
    workspace::cargo().args(build).run()?;
    let bin_dir = workspace::bin_dir("release")?;
    if let Some(url) = &opts.url {
        let directory = tempfile::tempdir().context("temporary directory")?;
        let measured =
            on_server(opts, url.trim_end_matches('/'), &bin_dir.join("qdrant-backup"), directory.path());
        python(url, &["delete"])?;
        println!(
            "\n{} points of {} components, {} rounds in turns\n",
            opts.points, opts.dimension, opts.rounds
        );
        println!("| way | points read a second | peak of memory |\n|---|---:|---:|");
        for way in measured? {
            let peak = match way.peak_bytes {
                0 => String::new(),
                bytes => format!("{} MiB", bytes >> 20),
            };
            println!("| {} | {:.0} | {peak} |", way.name, median(way.a_second));
        }
    }
    let walked = Cmd::new(bin_dir.join("examples/walk")).arg(opts.walk.to_string()).read()?;
    println!("\nWithout a server: {}", walked.trim());
    Ok(())
}

fn on_server(opts: &Opts, url: &str, runner: &Path, directory: &Path) -> Result<Vec<Way>> {
    let way = |name| Way { name, a_second: Vec::new(), peak_bytes: 0 };
    let mut ways = vec![
        way("scroll loop in Python, pages of 100"),
        way("scroll loop in Python, pages of 1000"),
        way("`compare`, both sides"),
        way("`export --points`, plain"),
    ];
    python(url, &["fill", &opts.points.to_string(), &opts.dimension.to_string()])?;
    let envs: [(&'static str, OsString); 2] =
        [("QDRANT_URL", url.into()), ("QDRANT_BACKUP_PATH", directory.join("backups").into())];
    let backups = |args: &[&str]| Cmd::new(runner).args(args).quiet_envs(&envs).read();
    std::fs::create_dir(directory.join("backups")).context("the backup directory")?;
    backups(&["init"])?;
    backups(&["backup", "--collection", COLLECTION])?;
    let points = opts.points as f64;
    for round in 1..=opts.rounds {
        println!("points: round {round} of {}", opts.rounds);
        for (place, page) in [(0, "100"), (1, "1000")] {
            let told: Value = read_json(&python(url, &["scroll", page])?)?;
            ways[place].a_second.push(points / told["seconds"].as_f64().unwrap_or(f64::NAN));
        }
        let compare = ["compare", "--collection", COLLECTION, "--on-source", "--json"];
        let told: Value = read_json(&backups(&compare)?)?;
        ways[2].a_second.push(2.0 * points / told["walk_seconds"].as_f64().unwrap_or(f64::NAN));
        let sample = sample::measure(directory, |time| time.arg(runner).args(compare).quiet_envs(&envs))?;
        ways[2].peak_bytes = ways[2].peak_bytes.max(sample.peak_bytes);
        let file = directory.join("points.jsonl");
        let export = ["export", "--points", "--collection", COLLECTION, "--on-source", "--force", "-o"];
        let sample =
            sample::measure(directory, |time| time.arg(runner).args(export).arg(&file).quiet_envs(&envs))?;
        // Includes the restore before it: only `compare` prints the duration of the walk alone.
        ways[3].a_second.push(points / sample.seconds);
        ways[3].peak_bytes = ways[3].peak_bytes.max(sample.peak_bytes);
    }
    ways[3].name = "`export --points`, plain, with the restore before it";
    Ok(ways)
}

fn python(url: &str, args: &[&str]) -> Result<String> {
    let (first, rest) = args.split_first().ok_or("no arguments")?;
    let url = url.trim_end_matches('/');
    Cmd::new("python3")
        .args(["-c", SCRIPT, first, url, COLLECTION])
        .args(rest)
        .shown_as("python3 points.py")
        .read()
}

fn read_json(text: &str) -> Result<Value> {
    serde_json::from_str(text).context("JSON")
}
