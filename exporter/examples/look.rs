//! Measures observations of a backup directory for `cargo xtask bench exporter`. Prints `name seconds` lines and the
//! final memory use.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use qdrant_backup_exporter::metrics::{self, ProcessInfo};
use qdrant_backup_exporter::observe::Observer;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments.next().ok_or("the backup directory is missing")?;
    let rounds: i64 =
        arguments.next().and_then(|text| text.into_string().ok()).ok_or("no rounds")?.parse()?;
    let mut out = io::stdout().lock();

    #[expect(clippy::disallowed_methods, reason = "what the times of the files are compared with")]
    let mut now = Utc::now();
    let observer = Observer::new(&directory, &directory);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    let mut scrape = |later: TimeDelta| {
        now += later;
        let began = Instant::now();
        let observation = runtime.block_on(observer.observe(now, Duration::from_secs(600)));
        let text = metrics::text(&metrics::families(&observation, &ProcessInfo::read()));
        let took = began.elapsed();
        if observation.directory.success() && !text.is_empty() { Ok(took) } else { Err("the look failed") }
    };
    let mut say = |what: &str, took: Duration| writeln!(out, "{what} {}", took.as_secs_f64());
    say("cold", scrape(TimeDelta::zero())?)?;
    for _ in 0..rounds {
        // Alternating, so that a machine that slows down affects all of them.
        let began = Instant::now();
        let count = bare(Path::new(&directory))?;
        say("bare", began.elapsed())?;
        say("full", scrape(TimeDelta::seconds(61))?)?;
        for _ in 0..5 {
            say("warm", scrape(TimeDelta::milliseconds(1))?)?;
        }
        if count == 0 {
            return Err("an empty directory".into());
        }
    }
    let memory = ProcessInfo::read().resident_memory_bytes.ok_or("no figures of the process")?;
    writeln!(out, "memory {memory}")?;
    Ok(())
}

/// The minimum work to list every directory and stat every file, for comparison.
fn bare(directory: &Path) -> rustix::io::Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    bare_in(&rustix::fs::openat(CWD, directory, flags, Mode::empty())?)
}

fn bare_in(directory: &rustix::fd::OwnedFd) -> rustix::io::Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut count = 0;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = rustix::fs::statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        count += 1;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            count += bare_in(&rustix::fs::openat(directory, entry.file_name(), flags, Mode::empty())?)?;
        }
    }
    Ok(count)
}
