//! docs/performance.md: the results of every benchmark, with explanations.

use std::path::Path;

use super::{
    backup, exporter, goals,
    lab::{self, COLLECTION, Kind, Lab},
    machine, restore, turns, verify,
};
use crate::{
    sh::{Context, Result},
    tree, workspace,
};

const PAGE: &str = "docs/performance.md";

#[derive(clap::Args)]
pub(crate) struct Opts {
    #[command(flatten)]
    common: lab::Scale,
    /// Size of a second snapshot for measuring peak memory [default: --size]
    #[arg(long)]
    large: Option<String>,
}

/// The fixed text of the page.
const INTRODUCTION: &str = "# Performance

`cargo xtask bench table` measures everything here and writes this page. `cargo xtask bench` lists the benchmarks, which you can run one by one.

## How it is measured

- The server is the tests' stand-in for Qdrant on the same machine. It makes up the bytes while it sends them, and keeps uploads in a file. It takes
  the same share of the cores from every program, and there is no network in between.
- The data are vectors of 1024 float32. *Random unit vectors* hardly compress. *Embeddings with payload* are vectors that lie mostly in few
  directions, with noise, and a quarter of JSON in words. *Mostly zeros and holes* are preallocated logs that were not written, and sparse files.
- All ways of doing the same thing take turns (A B C A B C …), after one turn that does not count. *Seconds* are medians. *Beside* is the median of
  the ratios of each round: if the machine is slow for a while, it is slow for both sides. Do not compare seconds of different tables.
- *Peak memory* is that of the largest single process. The processes of a pipeline add up to more.
- The time of a backup includes creating and deleting the snapshot, checking its contents, both digests, `fsync` and the manifest. The time of a pipeline includes
  creating, deleting and `sync`. The pipeline into `openssl` keeps nothing: it shows the cost of hashing alone.
- `verify`, `restore` and the commands beside them read from the page cache, so the programs are measured and not the disk. On a slower
  disk, the disk sets the time for all of them.
- `verify` computes two digests, of the stored and of the plain bytes, and checks the contents. `openssl dgst` computes one. The two digests run on different
  threads, so two cores have no time for anything else.
- A restore decompresses and computes the digest of the snapshot, while `curl -F` only reads and sends; the server hashes what it gets. All of that
  shares the same cores.
- SHA-256 uses the processor's own instructions if it has them, which the program finds out when it starts (crate `sha2`).
";

pub(super) fn write(opts: &Opts) -> Result<()> {
    let path = workspace::root().join(PAGE);
    let text = measure(opts)?;
    #[expect(clippy::disallowed_methods, reason = "a file of the work tree, which git keeps, not a backup")]
    std::fs::write(&path, text).context(path.display())?;
    println!("wrote {PAGE}");
    Ok(())
}

fn measure(opts: &Opts) -> Result<String> {
    lab::prepare()?;
    let lab::Scale { size, rounds, .. } = &opts.common;
    let mut loads = vec![machine::load()?];
    let mut verdicts = Vec::new();
    let mut tables = String::new();
    for kind in opts.common.kinds() {
        let title = kind.title();
        tables.push_str(&format!("\n## {size} of {title}\n"));
        let mut add = |heading: &str, rows: &[turns::Row]| {
            tables.push_str(&format!("\n### {heading}: {title}\n\n{}", turns::table(rows)));
        };
        let lab = Lab::new(size, kind)?;
        let rows = backup::run(&lab, *rounds)?;
        add("Backup", &rows);
        verdicts.extend(goals::backup(kind, &rows));
        loads.push(machine::load()?);
        let lab = Lab::new(size, kind)?;
        let rows = verify::run(&lab, *rounds)?;
        let plain = lab.directory().join("snapshot");
        let plain_bytes = plain.metadata().context(plain.display())?.len();
        add("Verification", &rows);
        verdicts.extend(goals::verify(title, plain_bytes, &rows));
        loads.push(machine::load()?);
        let lab = Lab::new(size, kind)?;
        let rows = restore::run(&lab, *rounds)?;
        add("Restore", &rows);
        verdicts.extend(goals::restore(title, &rows));
        loads.push(machine::load()?);
    }
    let exporter = exporter::measure(&exporter::Opts::default())?;
    loads.push(machine::load()?);
    let memory = memory(size, opts.large.as_deref().unwrap_or(size))?;
    let head = format!(
        "{INTRODUCTION}\n## Machine\n\n{}; {} {rounds} rounds.\n",
        machine::describe(&std::env::temp_dir())?,
        load_in_words(&loads)
    );
    Ok(page(&head, &goals::table(&verdicts), &memory, &tables, &exporter))
}

fn page(head: &str, goals: &str, memory: &str, tables: &str, exporter: &str) -> String {
    format!(
        "{head}\n## Goals\n\n\
         The ratio of the time of a backup to that of `curl -o` and `sync`, of a verification to `openssl dgst -sha256` of the plain snapshot, and \
         of a restore to `curl -F` of it. A backup with gzip, the default, should be six times as fast as the pipeline with gzip and twice as fast \
         as the one with zstd. A verification may take twice as long if it must decompress the archive.\n\n{goals}\n\
         ## Memory\n\n\
         Peak memory of `qdrant-backup`, archives as gzip, random unit vectors.\n\n{memory}\
         {tables}\n\
         ## Exporter\n\n{exporter}"
    )
}

/// A note if the machine was busy with other work. The measured programs alone use as many cores as there are.
fn load_in_words(loads: &[f64]) -> String {
    let (lowest, highest) =
        loads.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), &load| (low.min(load), high.max(load)));
    format!(
        "the load average was between {lowest:.1} and {highest:.1} between the measurements. \
         Where it is well above the number of cores, other programs were running, and single figures are not reliable."
    )
}

/// Peak memory of each command for both snapshot sizes.
fn memory(size: &str, large: &str) -> Result<String> {
    let mut sizes = vec![size];
    if large != size {
        sizes.push(large);
    }
    let mut table = "| snapshot | backup | verify | restore |\n|---|---:|---:|---:|\n".to_owned();
    for size in sizes {
        println!("peak memory with {size}");
        let lab = Lab::new(size, Kind::Unit)?;
        let backups = lab.directory().join("backups");
        lab.init(&backups)?;
        let peak =
            |args: &[&str]| -> Result<String> { Ok(tree::human_size(peak_bytes(&lab, &backups, args)?)) };
        let backup = peak(&["backup"])?;
        let verify = peak(&["verify", "--collection", COLLECTION])?;
        let restore = peak(&["restore", "--collection", COLLECTION, "--as", "restored"])?;
        table.push_str(&format!("| {size} | {backup} | {verify} | {restore} |\n"));
    }
    Ok(table)
}

fn peak_bytes(lab: &Lab, backups: &Path, args: &[&str]) -> Result<u64> {
    let scratch = tempfile::tempdir().context("temporary directory")?;
    Ok(lab.measure(scratch.path(), backups, "gzip", args)?.peak_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_part_once_and_in_order() {
        let page = page("HEAD\n", "GOALS\n", "MEMORY\n", "\nTABLES\n", "EXPORTER\n");
        let places =
            ["HEAD\n\n", "## Goals\n", "GOALS\n\n", "## Memory\n", "MEMORY\n\nTABLES\n", "EXPORTER\n"].map(
                |part| {
                    assert_eq!(page.matches(part).count(), 1, "{part:?} in {page}");
                    page.find(part)
                },
            );
        assert!(places.is_sorted(), "{page}");
    }

    #[test]
    fn the_load_is_told_from_lowest_to_highest() {
        assert!(load_in_words(&[2.0, 1.04, 7.5]).contains("between 1.0 and 7.5"));
    }
}
