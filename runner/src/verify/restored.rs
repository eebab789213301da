//! Stores the result of a restore or a drill in a backup's verification record.

use qdrant_backup_shared::Layout;
use qdrant_backup_shared::json_file::{self, ReadError};
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::verification::{RestoredPoints, VerificationRecord};

use super::record::RecordError;

/// Stores `points` as the number of points in `manifest`'s backup.
///
/// # Crash safety
/// The record is replaced whole or not at all.
///
/// # Errors
/// When the existing record cannot be read (it is then not changed), or the new one cannot be written.
pub fn note_points(layout: &Layout, manifest: &Manifest, points: RestoredPoints) -> Result<(), RecordError> {
    change(layout, manifest, |record| record.restored_points = Some(points))
}

/// Records the first drill in which all sampled points match.
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
    // Another backup's record is left for a verification to move aside.
    if record == before || record.backup_id != manifest.backup_id {
        return Ok(());
    }
    json_file::write(&path, &record).map_err(|source| RecordError::Write { path, source })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]
mod tests {
    use std::path::Path;

    use qdrant_backup_shared::operation::Operation;

    use super::*;

    #[test]
    fn what_was_found_is_added_to_the_record_and_a_record_that_cannot_be_read_is_left_alone() {
        let text = include_str!("../../../shared/testdata/manifest-v1.json");
        let manifest: Manifest = json_file::parse(Path::new("m"), text.as_bytes()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path(), directory.path());
        let at = manifest.started_at;
        let points = RestoredPoints { count: 7, at, by: Operation::Drill, sample_matched_at: None };
        let error = note_points(&layout, &manifest, points.clone()).unwrap_err();
        assert!(matches!(error, RecordError::Write { .. }), "there is no such directory: {error}");

        let path = layout.verification(&manifest.collection, manifest.backup_id);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        note_sample(&layout, &manifest, at).unwrap();
        assert!(!path.exists(), "without a number there is nothing to say of a sample");
        note_points(&layout, &manifest, points).unwrap();
        note_sample(&layout, &manifest, at).unwrap();
        note_sample(&layout, &manifest, at + chrono::TimeDelta::hours(1)).unwrap();
        let record: VerificationRecord = json_file::read(&path).unwrap();
        let points = record.restored_points.clone().unwrap();
        assert_eq!((points.count, points.sample_matched_at), (7, Some(at)), "the first time counts");
        assert!(!record.failed() && record.deepest_pass().is_none(), "a restore is no check");

        std::fs::write(&path, b"{").unwrap();
        assert!(matches!(note_points(&layout, &manifest, points), Err(RecordError::Read(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"{");
    }
}
