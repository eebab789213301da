//! `cargo xtask fuzz`: fuzzes everything that reads input from outside with libFuzzer and its address sanitizer, one
//! target after another. The ordinary tests run the same functions on the inputs in `fuzz/corpus`.

use std::path::PathBuf;

use crate::{
    sh::{Cmd, Context, Result},
    tools, workspace,
};

/// Memory limit of a target in MiB. A decoder's window alone may be 128.
const MEMORY_MIB: u32 = 512;
/// Seconds after which an input counts as hanging.
const HANGS_AFTER: u32 = 10;

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// How long to fuzz each target, in minutes
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    minutes: f64,
    /// Only these targets, by file name in fuzz/fuzz_targets [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    let all = targets()?;
    if let Some(unknown) = opts.targets.iter().find(|target| !all.contains(target)) {
        return Err(format!("there is no target {unknown}; there are {}", all.join(", ")));
    }
    let cargo_fuzz = tools::cargo_fuzz()?;
    // Outside the repository's files: new inputs are stored here, and useful ones are copied to fuzz/corpus by hand.
    let work = workspace::target_dir()?.join("fuzz");
    let (built, seconds) = (work.join("build"), (opts.minutes * 60.0).ceil());
    for target in if opts.targets.is_empty() { &all } else { &opts.targets } {
        let found = work.join("corpus").join(target);
        std::fs::create_dir_all(&found).context(found.display())?;
        let mut fuzz = Cmd::new(&cargo_fuzz)
            .shown_as("cargo fuzz")
            .env("RUSTUP_TOOLCHAIN", "nightly")
            // The sanitizer keeps freed memory for a while, which must not count as memory of the target.
            .env("ASAN_OPTIONS", "quarantine_size_mb=32")
            .cwd(&workspace::root().join("fuzz"))
            .args(["run", "--target-dir"])
            .arg(&built)
            .arg(target)
            .arg(&found);
        for seeds in seeds(target).iter().filter(|seeds| seeds.is_dir()) {
            fuzz = fuzz.arg(seeds);
        }
        fuzz.arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
            .arg(format!("-timeout={HANGS_AFTER}"))
            .arg(format!("-max_len={}", longest(target)))
            .arg(format!("-detect_leaks={}", u8::from(!has_threads(target))))
            .args(["-print_final_stats=1", "-verbosity=1"])
            .run()
            .map_err(|error| format!("{error}; the input is in fuzz/artifacts/{target}"))?;
    }
    Ok(())
}

/// The names of all targets, in order.
fn targets() -> Result<Vec<String>> {
    let directory = workspace::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).context(directory.display())? {
        let path = entry.context(directory.display())?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// The directory of initial inputs, in addition to those that earlier runs have found.
fn seeds(target: &str) -> Vec<PathBuf> {
    let root = workspace::root();
    let mut seeds = vec![root.join("fuzz/corpus").join(target)];
    if target == "snapshot" {
        seeds.extend(["1.14.1", "1.18.3"].map(|version| root.join("tests/data/snapshots").join(version)));
    }
    seeds
}

/// Whether decoding threads may still be starting or ending after an input, which would count as a leak.
fn has_threads(target: &str) -> bool {
    matches!(target, "gzip" | "zstd")
}

/// Maximum input length in bytes. Longer inputs are only slower, except for snapshots.
fn longest(target: &str) -> u32 {
    match target {
        "snapshot" => 32 << 10,
        "cron" | "name" | "server_name" => 512,
        "request" | "request_head" => 2 << 10,
        _ => 8 << 10,
    }
}
