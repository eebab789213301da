//! Why an archive cannot be read. Each case has a different meaning for the backup.

use std::io;
use std::path::PathBuf;

use qdrant_backup_shared::FailureKind;

/// An archive could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file does not exist.
    #[error("{}: the archive is missing", path.display())]
    Missing {
        /// Its expected path.
        path: PathBuf,
    },
    /// It is not a regular file but a directory, a link or a pipe. Links are not followed.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// Path of something that is not a regular file.
        path: PathBuf,
    },
    /// The file system failed, not the archive.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// Path of the archive.
        path: PathBuf,
        /// Reason that the system gave.
        source: io::Error,
    },
    /// The stored bytes cannot be decoded.
    #[error("{}: corrupt before byte {position}: {reason}", path.display())]
    Corrupt {
        /// Path of the archive.
        path: PathBuf,
        /// Number of stored bytes that had been read from disk.
        position: u64,
        /// The error of the decoder.
        reason: String,
    },
    /// This program does not support the encoding of the archive.
    #[error("{}: this version cannot read archives stored as {encoding}; use the newer qdrant-backup that wrote it", path.display())]
    Unsupported {
        /// Path of the archive.
        path: PathBuf,
        /// The encoding, as in the manifest.
        encoding: String,
    },
}

/// Reading was ended by a signal. [`std::io::ErrorKind::Interrupted`] would make readers try again.
#[derive(Debug, thiserror::Error)]
#[error("interrupted by a signal")]
pub struct Stopped;

impl ArchiveError {
    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Missing { .. } | Self::Corrupt { .. } => FailureKind::ArchiveCorrupt,
            Self::Io { source, .. } if source.get_ref().is_some_and(|inner| inner.is::<Stopped>()) => {
                FailureKind::Interrupted
            }
            Self::NotAFile { .. } | Self::Io { .. } => FailureKind::Io,
            Self::Unsupported { .. } => FailureKind::VersionUnsupported,
        }
    }
}

/// As an I/O error of a reader; [`io::Error::downcast`] returns the original.
impl From<ArchiveError> for io::Error {
    fn from(error: ArchiveError) -> Self {
        let kind = match &error {
            ArchiveError::Missing { .. } => io::ErrorKind::NotFound,
            ArchiveError::Corrupt { .. } => io::ErrorKind::InvalidData,
            ArchiveError::Unsupported { .. } => io::ErrorKind::Unsupported,
            ArchiveError::NotAFile { .. } => io::ErrorKind::InvalidInput,
            ArchiveError::Io { source, .. } => source.kind(),
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_signal_ended_is_interrupted_and_no_failure_of_the_file_system() {
        let kind = |source: io::Error| ArchiveError::Io { path: "a".into(), source }.kind();
        assert_eq!(kind(io::Error::other(Stopped)), FailureKind::Interrupted);
        assert_eq!(kind(io::Error::other("interrupted by a signal")), FailureKind::Io);
    }
}
