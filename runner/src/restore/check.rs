//! `--dry-run`: checks that the snapshot in the archive matches its manifest. Reads it completely and changes nothing.

use qdrant_backup_shared::manifest::{Archive, Manifest};
use tokio_util::sync::CancellationToken;

use super::error::RestoreError;
use super::read::{read_whole, shard_archives, sole_archive};
use crate::archive::read::{Prove, Source};
use crate::host::console::Console;
use crate::qdrant;

/// Reads the archive of `manifest` whole and compares the digest of what would be restored, until `interrupt` is canceled.
///
/// # Errors
/// When this version cannot restore the backup, the backup is damaged, or on an interruption.
pub async fn check_archive(
    source: &Source,
    manifest: &Manifest,
    console: &Console,
    interrupt: &CancellationToken,
) -> Result<(), RestoreError> {
    let size_bytes = archives(manifest)?.iter().map(|archive| archive.snapshot.size_bytes).sum();
    let bar = console.transfer(&manifest.collection, size_bytes);
    let reading = tokio::task::spawn_blocking({
        let (source, manifest, interrupt) = (source.clone(), manifest.clone(), interrupt.clone());
        let bar = bar.clone();
        move || {
            for archive in archives(&manifest)? {
                let is_whole = read_whole(&source, &manifest, archive, Prove::Snapshot, |piece| {
                    bar.inc(piece.len() as u64);
                    !interrupt.is_cancelled()
                })?;
                if !is_whole {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    });
    let read = reading.await;
    bar.finish_and_clear();
    let read: Result<bool, RestoreError> = read.map_err(|error| RestoreError::Internal(error.to_string()))?;
    match read? {
        true => Ok(()),
        false => Err(qdrant::Error::Interrupted.into()),
    }
}

fn archives(manifest: &Manifest) -> Result<Vec<&Archive>, RestoreError> {
    if manifest.is_by_shard() {
        return Ok(shard_archives(manifest)?.into_values().collect());
    }
    Ok(vec![sole_archive(manifest)?])
}
