//! `--once`: writes the metrics once, to standard output or for node_exporter's textfile collector.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::atomic;

use crate::metrics;
use crate::observe::Observer;
use crate::stop::Stop;

/// Deadline of the observation. No scrape waits here, so it only matters for a hung mount.
const DEADLINE: Duration = Duration::from_secs(60);

/// Maximum time to resolve links in paths.
const RESOLVES: Duration = Duration::from_secs(5);

/// Mode of the file: node_exporter reads it as another user.
const MODE: u32 = 0o644;

/// Refuses an `output` that is something else than a regular file, which would be replaced, or that is in one of `directories`,
/// whose files belong to the runner.
///
/// # Errors
/// Why it is refused.
pub async fn check_output(output: &Path, directories: [&Path; 2]) -> Result<(), Stop> {
    let refuse = |why: String| Stop::Failure(format!("{}: {why}", output.display()));
    atomic::would_replace(output).map_err(|error| refuse(error.to_string()))?;
    let output = std::path::absolute(output)?;
    let parent = output.parent().unwrap_or(&output).to_owned();
    for directory in directories.map(Path::to_owned) {
        let (shown, above, is_above) = (directory.clone(), parent.clone(), parent.starts_with(&directory));
        // A mount that hangs must not prevent metrics about it.
        let real = tokio::task::spawn_blocking(move || {
            let real = fs::canonicalize(directory).ok()?;
            Some(fs::canonicalize(above).ok()?.starts_with(real))
        });
        let real = tokio::time::timeout(RESOLVES, real).await;
        if is_above || matches!(real, Ok(Ok(Some(true)))) {
            let why = "where only qdrant-backup writes; choose another directory";
            return Err(refuse(format!("is in {}, {why}", shown.display())));
        }
    }
    Ok(())
}

/// Observes once and writes the metrics in the text format to `output` (atomically, mode 0644), or to `stdout`.
/// Returns whether `up` is 1. Only then the caller's exit code is 0, but the metrics are written in any case.
///
/// # Errors
/// When they cannot be written.
pub async fn once(
    observer: &Observer,
    now: DateTime<Utc>,
    output: Option<&Path>,
    stdout: &mut (dyn io::Write + Send),
) -> Result<bool, Stop> {
    let observation = observer.observe(now, DEADLINE).await;
    let text = metrics::text(&metrics::textfile_families(&observation));
    match output {
        Some(path) => atomic::write(path, MODE, text.as_bytes())
            .map_err(|error| Stop::Failure(format!("{}: cannot be written: {error}", path.display())))?,
        None => stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| Stop::Failure(format!("standard output cannot be written: {error}")))?,
    }
    Ok(observation.is_up())
}
