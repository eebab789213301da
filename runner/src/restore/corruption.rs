//! A backup that shows to be corrupt when it is restored: that is put on record, and whoever waits is told of another one.

use std::time::Duration;

use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::verification::{CheckOutcome, Finding, Level};
use qdrant_backup_shared::{BackupId, FailureKind};

use super::error::RestoreError;
use crate::archive::ArchiveError;
use crate::session::Session;
use crate::verify::{self, Check};

/// Whether the archive itself is bad. A disk that cannot be read says nothing about it.
pub fn is_corrupt(error: &RestoreError) -> bool {
    matches!(error, RestoreError::Damaged { .. } | RestoreError::Archive(ArchiveError::Corrupt { .. }))
}

/// Records the backup as failed, as a verification that reads it whole would: it is no good backup any more.
pub fn record(session: &mut Session, manifest: &Manifest, error: &RestoreError, took: Duration) {
    let message = one_line(&error.to_string());
    let check = Check {
        level: Level::Archive,
        outcome: CheckOutcome::Failed,
        failure: Some(FailureKind::ArchiveCorrupt),
        findings: vec![Finding { kind: "archive_corrupt".to_owned(), message }],
        duration: took,
    };
    match verify::enter(session.layout(), manifest, &check, session.now()) {
        Ok(None) => {}
        Ok(Some(warning)) => session.warn(warning),
        Err(error) => session.warn(format!(
            "that backup {} of {} is corrupt could not be put on record: {error}",
            manifest.backup_id, manifest.collection
        )),
    }
}

/// The backup to restore instead: the newest good one before it, or else the oldest after it.
pub fn instead(catalog: &Catalog, manifest: &Manifest) -> Option<BackupId> {
    let backups = catalog.collections.get(&manifest.collection)?;
    let good = || {
        let others = backups.iter().filter(|backup| backup.is_good());
        others.filter(|backup| backup.backup_id != manifest.backup_id)
    };
    let before = good().rfind(|backup| backup.started_at <= manifest.started_at);
    before.or_else(|| good().next()).map(|backup| backup.backup_id)
}
