//! Noting in a backup's verification record what a restore or a drill found in it.

use qdrant_backup_shared::Layout;
use qdrant_backup_shared::json_file::{self, ReadError};
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::verification::{RestoredPoints, VerificationRecord};

use super::record::RecordError;

/// Notes `points` as what `manifest`'s backup holds.
///
/// # Crash safety
/// The record is replaced whole or not at all.
///
/// # Errors
/// When the record so far cannot be read, and so is left alone, or the new one cannot be written.
pub fn note_points(layout: &Layout, manifest: &Manifest, points: RestoredPoints) -> Result<(), RecordError> {
    change(layout, manifest, |record| record.restored_points = Some(points))
}

/// Notes, at the first drill that finds it, that every sampled point is as it was backed up.
///
/// # Crash safety
/// As [`note_points`].
///
/// # Errors
/// As [`note_points`].
pub fn note_sample(
    layout: &Layout,
    manifest: &Manifest,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<(), RecordError> {
    change(layout, manifest, |record| {
        if let Some(points) = &mut record.restored_points {
            points.sample_matched_at.get_or_insert(at);
        }
    })
}

fn change(
    layout: &Layout,
    manifest: &Manifest,
    change: impl FnOnce(&mut VerificationRecord),
) -> Result<(), RecordError> {
    let path = layout.verification(&manifest.collection, manifest.backup_id);
    let before = match json_file::read::<VerificationRecord>(&path) {
        Ok(record) => record,
        Err(ReadError::NotFound { .. }) => VerificationRecord::new(manifest.backup_id),
        Err(error) => return Err(error.into()),
    };
    let mut record = before.clone();
    change(&mut record);
    // Another backup's record is for verification to move aside.
    if record == before || record.backup_id != manifest.backup_id {
        return Ok(());
    }
    json_file::write(&path, &record).map_err(|source| RecordError::Write { path, source })
}
