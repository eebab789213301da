//! Handles a corrupt backup found during a restore: records it, and suggests another one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::verification::{CheckOutcome, Finding, Level};
use qdrant_backup_shared::{BackupId, FailureKind, Layout};

use super::error::RestoreError;
use crate::archive::read::ArchiveError;
use crate::host::shell::quoted;
use crate::session::Session;
use crate::verify::{self, Check};

/// Whether the archive itself is damaged, not only the disk unreadable.
pub fn is_corrupt(error: &RestoreError) -> bool {
    matches!(error, RestoreError::Damaged { .. } | RestoreError::Archive(ArchiveError::Corrupt { .. }))
}

/// Whether the corrupt backup was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// Whether it is.
    pub is_done: bool,
    /// The message about that.
    pub warning: Option<String>,
}

/// Records the backup as failed, like a full verification. `message` is the finding.
pub fn record(
    layout: &Layout,
    manifest: &Manifest,
    message: &str,
    took: Duration,
    now: DateTime<Utc>,
) -> Recorded {
    let check = Check {
        level: Level::Archive,
        outcome: CheckOutcome::Failed,
        failure: Some(FailureKind::ArchiveCorrupt),
        findings: vec![Finding { kind: "archive_corrupt".to_owned(), message: one_line(message) }],
        duration: took,
    };
    match verify::enter(layout, manifest, &check, now) {
        Ok(warning) => Recorded { is_done: true, warning },
        Err(error) => Recorded { is_done: false, warning: Some(error.to_string()) },
    }
}

/// If `error` means that the backup is corrupt, records that in `session`, and returns advice. Nothing for a copy, which has no
/// record here.
pub fn note(
    session: &mut Session,
    manifest: &Manifest,
    error: &RestoreError,
    took: Duration,
    by: impl FnOnce(BackupId) -> String,
) -> Option<String> {
    if !is_corrupt(error) || session.source().is_elsewhere() {
        return None;
    }
    let recorded = record(session.layout(), manifest, &error.to_string(), took, session.now());
    if let Some(warning) = recorded.warning {
        session.warn(warning);
    }
    Some(advice(session.catalog(), manifest, recorded.is_done, by))
}

/// Advice for a corrupt backup. `by` describes how to use another one.
pub fn advice(
    catalog: &Catalog,
    manifest: &Manifest,
    is_on_record: bool,
    by: impl FnOnce(BackupId) -> String,
) -> String {
    let id = manifest.backup_id;
    let now = if is_on_record {
        format!("backup {id} is now recorded as failed")
    } else {
        format!(
            "backup {id} is corrupt, but that is NOT recorded; `qdrant-backup verify --collection {} --backup {id}` records it",
            quoted(manifest.collection.as_str())
        )
    };
    match instead(catalog, manifest) {
        Some(other) => format!("{now}; {}", by(other)),
        None => format!("{now}; there is no other good backup of \"{}\"", manifest.collection),
    }
}

/// The backup to restore instead: the newest good one before it, or else the oldest after it.
fn instead(catalog: &Catalog, manifest: &Manifest) -> Option<BackupId> {
    let backups = catalog.collections.get(&manifest.collection)?;
    let good = || {
        let others = backups.iter().filter(|backup| backup.is_good());
        others.filter(|backup| backup.backup_id != manifest.backup_id)
    };
    let before = good().rfind(|backup| backup.started_at <= manifest.started_at);
    before.or_else(|| good().next()).map(|backup| backup.backup_id)
}
