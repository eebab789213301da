//! `--once`: writes the metrics once, to standard output or for node_exporter's textfile collector.

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

/// Mode of the file: node_exporter reads it as another user.
const MODE: u32 = 0o644;

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
            .map_err(|error| Stop::Failure(format!("standard output: {error}")))?,
    }
    Ok(observation.is_up())
}
