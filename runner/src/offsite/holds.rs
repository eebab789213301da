//! Brings the holds of backups to a place, and their ends.

use std::fs;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::Backup;
use qdrant_backup_shared::layout::stem;
use qdrant_backup_shared::{Layout, OffsiteRecord, json_file};

use super::error::OffsiteError;
use super::listing::File;
use super::records::write;
use super::restic::Restic;
use super::retention::forget_snapshots;
use super::tags::Key;

/// Brings the hold of a backup to the place, or removes it there, as it is here. Whether something changed there.
///
/// # Crash safety
/// A hold in the place that the record does not know is placed here again, so that no hold is lost.
///
/// # Errors
/// As [`OffsiteError`] says.
pub(super) fn carry_hold(
    restic: &Restic,
    layout: &Layout,
    key: &Key,
    backup: &Backup,
    there: Option<&File>,
    now: DateTime<Utc>,
) -> Result<bool, OffsiteError> {
    let here = layout.hold(&backup.collection, backup.backup_id);
    match (backup.remarks().hold.is_some(), there) {
        (true, None) => {
            let unreadable =
                |error| OffsiteError::Manifest(format!("{}: cannot be read: {error}", here.display()));
            let bytes = fs::read(&here).map_err(unreadable)?;
            let name = format!("{}.hold.json", stem(&key.component, key.backup_id));
            let mut saving = restic.save(&name, &key.tags())?;
            if saving.write(&bytes).is_err() {
                return Err(saving.why());
            }
            saving.finish()?;
        }
        (false, Some(hold)) if !restic.settings().place.append_only => {
            forget_snapshots(restic, &[hold.snapshot.as_str()], now)?;
        }
        (true, Some(_)) | (false, _) => return Ok(false),
    }
    let path = layout.offsite(&backup.collection, backup.backup_id, restic.settings().name());
    let mut record: OffsiteRecord =
        json_file::read(&path).map_err(|error| OffsiteError::Manifest(error.to_string()))?;
    record.held = there.is_none();
    write(&path, &record)?;
    Ok(true)
}
