//! Scrapes of a large backup directory: in the process compared with a bare listing, and over HTTP compared with
//! node_exporter.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{repository, sample::median};
use crate::{
    daemon::Daemon,
    sh::{Cmd, Context, Result},
    tools, tree, workspace,
};

const NODE_EXPORTER: &str = "/usr/bin/prometheus-node-exporter";

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Number of backups
    #[arg(long, default_value_t = Self::default().backups)]
    backups: u32,
    /// Number of collections
    #[arg(long, default_value_t = Self::default().collections, value_parser = clap::value_parser!(u32).range(1..))]
    collections: u32,
    /// Repetitions of each measurement
    #[arg(long, default_value_t = Self::default().rounds, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// The defaults of the command line.
impl Default for Opts {
    fn default() -> Self {
        Self { backups: 10_000, collections: 100, rounds: 20 }
    }
}

/// A row of the table.
struct Row {
    name: String,
    seconds: Vec<f64>,
    memory_bytes: Option<u64>,
}

pub(super) fn measure(opts: &Opts) -> Result<String> {
    tools::debian("prometheus-node-exporter", NODE_EXPORTER)?;
    workspace::cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "qdrant-backup-exporter",
            "--bins",
            "--examples",
        ])
        .run()?;
    let bin_dir = workspace::bin_dir("release")?;
    let scratch = tempfile::tempdir().context("temporary directory")?;
    let directory = scratch.path().join("backups");
    std::fs::create_dir(&directory).context(directory.display())?;
    println!("making {} backups in {} collections", opts.backups, opts.collections);
    repository::generate(&directory, opts.collections, opts.backups)?;
    // Recently changed files are not served from the cache.
    std::thread::sleep(Duration::from_secs(3));
    let mut rows = in_process(&bin_dir, &directory, opts.rounds)?;
    rows.extend(over_http(&bin_dir, &directory, scratch.path(), opts.rounds)?);
    Ok(table(opts, &rows))
}

/// Reads the directory like the exporter, with its example `look`.
fn in_process(bin_dir: &Path, directory: &Path, rounds: u32) -> Result<Vec<Row>> {
    let said = Cmd::new(bin_dir.join("examples/look")).arg(directory).arg(rounds.to_string()).read()?;
    let values = |wanted: &str| -> Vec<f64> {
        let of = |line: &str| line.strip_prefix(wanted)?.trim().parse().ok();
        said.lines().filter_map(of).collect()
    };
    let memory = said.lines().find_map(|line| line.strip_prefix("memory ")?.trim().parse().ok());
    let row = |name: &str, wanted: &str, memory_bytes| Row {
        name: name.to_owned(),
        seconds: values(wanted),
        memory_bytes,
    };
    Ok(vec![
        row("bare readdir and stat of every file", "bare", None),
        row("look at every file again", "full", None),
        row("warm look", "warm", None),
        row("first look", "cold", memory),
    ])
}

/// Scrapes the exporter and node_exporter alternately over HTTP.
fn over_http(bin_dir: &Path, directory: &Path, scratch: &Path, rounds: u32) -> Result<Vec<Row>> {
    let ours = Daemon::start("qdrant-backup-exporter, warm scrape", |address| {
        Cmd::new(bin_dir.join("qdrant-backup-exporter"))
            .arg("--backup-dir")
            .arg(directory)
            .arg(format!("--web.listen-address={address}"))
            .cwd(scratch)
    })?;
    let theirs = Daemon::start("node_exporter, scrape", |address| {
        Cmd::new(NODE_EXPORTER).arg(format!("--web.listen-address={address}")).cwd(scratch)
    })?;
    let mut servers = [(ours, Vec::new()), (theirs, Vec::new())];
    for _ in 0..rounds * 5 {
        for (server, seconds) in &mut servers {
            let began = Instant::now();
            server.get("/metrics")?;
            seconds.push(began.elapsed().as_secs_f64());
        }
    }
    servers
        .into_iter()
        .map(|(server, seconds)| {
            let memory_bytes = Some(server.memory_bytes()?);
            Ok(Row { name: server.name.clone(), seconds, memory_bytes })
        })
        .collect()
}

fn table(opts: &Opts, rows: &[Row]) -> String {
    let bare = rows.first().map(|row| median(row.seconds.iter().copied())).unwrap_or_default();
    let mut table = format!(
        "{} backups in {} collections, {} rounds, medians.\n\n\
         | | milliseconds | fastest – slowest | beside the bare listing | memory |\n|---|---:|---:|---:|---:|\n",
        opts.backups, opts.collections, opts.rounds
    );
    for Row { name, seconds, memory_bytes } in rows {
        let middle = median(seconds.iter().copied());
        let fastest = seconds.iter().copied().fold(f64::INFINITY, f64::min) * 1000.0;
        let slowest = seconds.iter().copied().fold(0.0, f64::max) * 1000.0;
        table.push_str(&format!(
            "| {name} | {:.2} | {fastest:.2} – {slowest:.2} | {:.2} × | {} |\n",
            middle * 1000.0,
            middle / bare,
            memory_bytes.map(tree::human_size).unwrap_or_default(),
        ));
    }
    table
}
