//! Stores a check in a backup's verification record.

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::json_file::{self, ReadError};
use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::verification::{CheckOutcome, Level, VerificationRecord};
use qdrant_backup_shared::{Failure, FailureKind, Layout, atomic};

use super::check::Check;
use crate::archive::write::io_kind;

/// The result could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The existing record cannot be read, so it is not changed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The existing record cannot be read, and this check cannot replace it.
    #[error(
        "{problem}; its contents are unknown: replace it with the result of `qdrant-backup verify --level archive` or of a drill"
    )]
    Shallow {
        /// The problem of the existing record.
        problem: String,
    },
    /// An unreadable record could not be moved aside.
    #[error("{}: cannot be moved aside: {source}", path.display())]
    MoveAside {
        /// Path of the verification record.
        path: PathBuf,
        /// Reason that the system gave.
        source: io::Error,
    },
    /// It could not be written.
    #[error("{}: cannot be written: {source}; the result is not recorded", path.display())]
    Write {
        /// Path of the verification record.
        path: PathBuf,
        /// Reason that the system gave.
        source: io::Error,
    },
}

impl RecordError {
    /// For the status file.
    pub fn to_failure(&self) -> Failure {
        let kind = match self {
            Self::Write { source, .. } => io_kind(source),
            Self::Read(_) | Self::Shallow { .. } | Self::MoveAside { .. } => FailureKind::Io,
        };
        Failure { kind, message: qdrant_backup_shared::text::one_line(&self.to_string()) }
    }
}

/// Stores `check`, which ended at `at`, in the record of `manifest`'s backup. A record that is torn, of another version or about
/// another backup is moved aside; the returned line reports this. It may have recorded a bad backup, so a passed check of only
/// the stored bytes does not replace it.
///
/// # Crash safety
/// The record is replaced atomically.
///
/// # Errors
/// When a file cannot be read, moved or written.
pub fn enter(
    layout: &Layout,
    manifest: &Manifest,
    check: &Check,
    at: DateTime<Utc>,
) -> Result<Option<String>, RecordError> {
    let path = layout.verification(&manifest.collection, manifest.backup_id);
    let mut warning = None;
    let proves_little = check.level == Level::Checksum && check.outcome != CheckOutcome::Failed
        || matches!(check.outcome, CheckOutcome::Inconclusive | CheckOutcome::Unsupported);
    let mut aside = |problem: String| {
        if proves_little {
            return Err(RecordError::Shallow { problem });
        }
        let aside = move_aside(&path, at)?;
        warning = Some(format!("{problem}; moved aside to {}", aside.display()));
        Ok::<_, RecordError>(VerificationRecord::new(manifest.backup_id))
    };
    let mut record = match json_file::read::<VerificationRecord>(&path) {
        Ok(record) if record.backup_id == manifest.backup_id => record,
        Ok(record) => aside(format!(
            "{}:1: this record belongs elsewhere: it is about {}",
            path.display(),
            record.backup_id
        ))?,
        Err(ReadError::NotFound { .. }) => VerificationRecord::new(manifest.backup_id),
        Err(error @ ReadError::Io { .. }) => return Err(error.into()),
        Err(error @ (ReadError::Malformed { .. } | ReadError::UnsupportedVersion { .. })) => {
            aside(error.to_string())?
        }
    };
    record.enter(
        check.level.clone(),
        at,
        check.outcome.clone(),
        check.duration.as_secs_f64(),
        check.findings.clone(),
    );
    json_file::write(&path, &record).map_err(|source| RecordError::Write { path, source })?;
    Ok(warning)
}

fn move_aside(path: &Path, now: DateTime<Utc>) -> Result<PathBuf, RecordError> {
    let mut id = BackupId::at(now);
    loop {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".unreadable-{id}"));
        let aside = PathBuf::from(aside);
        match (atomic::rename_new(path, &aside), id.next()) {
            (Ok(()), _) => return Ok(aside),
            (Err(error), Some(next)) if error.kind() == io::ErrorKind::AlreadyExists => id = next,
            (Err(source), _) => return Err(RecordError::MoveAside { path: path.to_owned(), source }),
        }
    }
}
