//! `--once`: the metrics once, for standard output or for node_exporter's textfile collector.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::atomic;

use crate::metrics;
use crate::observe::Observer;

/// How long the look may take. Nobody scrapes here, so only a hung mount is cut off.
const DEADLINE: Duration = Duration::from_secs(60);

/// Mode of the file: node_exporter reads it as its own user.
const MODE: u32 = 0o644;

/// The metrics could not be handed over.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The file cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output is closed.
    #[error("standard output: {0}")]
    Print(#[source] io::Error),
}

/// Looks once and writes the metrics, in the text format, to `output` (atomically, mode 0644), or else to
/// `stdout`. Says whether `up` is 1: the caller's exit code is 0 only then, but the metrics are written either way.
///
/// # Errors
/// When they cannot be written.
pub fn once(
    observer: &Observer,
    now: DateTime<Utc>,
    output: Option<&Path>,
    stdout: &mut dyn io::Write,
) -> Result<bool, OnceError> {
    let observation = observer.observe(now, DEADLINE);
    let text = metrics::text(&metrics::textfile_families(&observation));
    match output {
        Some(path) => atomic::write(path, MODE, text.as_bytes())
            .map_err(|source| OnceError::Write { path: path.to_owned(), source })?,
        None => stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(OnceError::Print)?,
    }
    Ok(observation.is_up())
}
