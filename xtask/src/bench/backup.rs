//! A whole backup, uncompressed, gzip and zstd, beside what a person without the runner would do: create a snapshot,
//! fetch it with curl, sync, delete it. They take turns, so that a machine that slows down slows all of them.

use std::path::Path;

use super::sample::{self, Sample};
use crate::{
    serving::Serving,
    sh::{Cmd, Context, Result},
    tools, tree, workspace,
};

const COLLECTION: &str = "bench";

const CURL: &str = r#"
set -eu
snapshots="$1/collections/$2/snapshots"
name=$(curl -sSf --noproxy '*' -X POST "$snapshots?wait=true" | sed -n 's/.*"name" *: *"\([^"]*\)".*/\1/p')
curl -sSf --noproxy '*' -o "$3" "$snapshots/$name"
sync "$3"
curl -sSf --noproxy '*' -X DELETE -o /dev/null "$snapshots/$name?wait=true"
"#;

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Size of the generated snapshot
    #[arg(long, default_value = "64MiB")]
    size: String,
    /// How often each way is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// One way of making a backup, with its samples.
struct Way {
    name: &'static str,
    /// What `BACKUP_COMPRESSION` says, or nothing for curl.
    compression: Option<&'static str>,
    samples: Vec<Sample>,
    stored_bytes: u64,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    tools::debian("curl", "/usr/bin/curl")?;
    workspace::cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "qdrant-backup-runner",
            "--package",
            "e2e",
            "--bins",
        ])
        .run()?;
    let bin_dir = workspace::bin_dir("release")?;
    let generated = format!("{COLLECTION}={}:random", opts.size);
    let stand_in = Serving::stand_in(&bin_dir, &["--empty", "--generated", &generated])?;

    let way = |name, compression| Way { name, compression, samples: Vec::new(), stored_bytes: 0 };
    let mut ways = [
        way("curl and sync", None),
        way("qdrant-backup, none", Some("none")),
        way("qdrant-backup, gzip", Some("gzip")),
        way("qdrant-backup, zstd", Some("zstd")),
    ];
    for round in 1..=opts.rounds {
        println!("round {round} of {}", opts.rounds);
        for way in &mut ways {
            let scratch = tempfile::tempdir().context("temporary directory")?;
            way.stored_bytes = measure(way, scratch.path(), &bin_dir, stand_in.url())?;
        }
    }
    print!("\n{}", table(&opts.size, opts.rounds, &ways));
    Ok(())
}

/// Makes one backup, notes what it took, and returns the bytes that it left on disk.
fn measure(way: &mut Way, scratch: &Path, bin_dir: &Path, url: &str) -> Result<u64> {
    let Some(compression) = way.compression else {
        let file = scratch.join("snapshot");
        let curl = |time: Cmd| time.args(["sh", "-c", CURL, "sh", url, COLLECTION]).arg(&file);
        way.samples.push(sample::measure(scratch, curl)?);
        return file.metadata().map(|metadata| metadata.len()).context(file.display());
    };
    let runner = bin_dir.join("qdrant-backup");
    let backups = scratch.join("backups");
    let envs = [
        ("QDRANT_URL", url.into()),
        ("QDRANT_BACKUP_PATH", backups.clone().into_os_string()),
        ("BACKUP_COMPRESSION", compression.into()),
    ];
    Cmd::new(&runner).arg("init").quiet_envs(&envs).read()?;
    way.samples.push(sample::measure(scratch, |time| time.arg(&runner).arg("backup").quiet_envs(&envs))?);
    tree::size_bytes(&backups.join("collections"))
}

fn table(size: &str, rounds: u32, ways: &[Way]) -> String {
    let seconds = |way: &Way| sample::median(way.samples.iter().map(|sample| sample.seconds));
    let baseline = ways.first().map(seconds).unwrap_or_default();
    let mut table = format!(
        "Snapshot of {size} that does not compress, {rounds} rounds, medians; creation and deletion included.\n\n\
         | | seconds | fastest – slowest | beside curl | peak memory | stored |\n|---|---:|---:|---:|---:|---:|\n"
    );
    for way in ways {
        let all = || way.samples.iter().map(|sample| sample.seconds);
        let (fastest, slowest) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
        let peak = way.samples.iter().map(|sample| sample.peak_bytes).max().unwrap_or(0);
        table.push_str(&format!(
            "| {} | {:.3} | {fastest:.3} – {slowest:.3} | {:.2} × | {} | {} |\n",
            way.name,
            seconds(way),
            seconds(way) / baseline,
            tree::human_size(peak),
            tree::human_size(way.stored_bytes),
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_compares_each_way_with_the_first() {
        let way = |name, seconds: &[f64]| Way {
            name,
            compression: None,
            samples: seconds.iter().map(|&seconds| Sample { seconds, peak_bytes: 1 << 20 }).collect(),
            stored_bytes: 2048,
        };
        let table = table("1MiB", 3, &[way("curl", &[2.0, 1.0, 3.0]), way("runner", &[1.0, 1.0, 1.0])]);
        assert!(table.contains("| curl | 2.000 | 1.000 – 3.000 | 1.00 × | 1.0 MiB | 2.0 KiB |"), "{table}");
        assert!(table.contains("| runner | 1.000 | 1.000 – 1.000 | 0.50 × |"), "{table}");
    }
}
