//! `--dry-run`: is the snapshot in the archive what its manifest says? Reads it whole and changes nothing.

use qdrant_backup_shared::manifest::Manifest;
use tokio_util::sync::CancellationToken;

use super::error::RestoreError;
use super::read::{read_whole, sole_archive};
use crate::archive::read::{Prove, Source};
use crate::host::console::Console;
use crate::qdrant;

/// Reads the archive of `manifest` whole and compares the digest of what would be restored, until `interrupt` is cancelled.
///
/// # Errors
/// When the backup cannot be restored by this version, or is damaged, or an interruption came.
pub async fn check_archive(
    source: &Source,
    manifest: &Manifest,
    console: &Console,
    interrupt: &CancellationToken,
) -> Result<(), RestoreError> {
    let size_bytes = sole_archive(manifest)?.snapshot.size_bytes;
    let bar = console.transfer(&manifest.collection, size_bytes);
    let reading = tokio::task::spawn_blocking({
        let (source, manifest, interrupt) = (source.clone(), manifest.clone(), interrupt.clone());
        let bar = bar.clone();
        move || {
            let archive = sole_archive(&manifest)?;
            read_whole(&source, &manifest, archive, Prove::Snapshot, |piece| {
                bar.inc(piece.len() as u64);
                !interrupt.is_cancelled()
            })
        }
    });
    let read = reading.await;
    bar.finish_and_clear();
    match read.map_err(|error| RestoreError::Internal(error.to_string()))?? {
        true => Ok(()),
        false => Err(qdrant::Error::Interrupted.into()),
    }
}
