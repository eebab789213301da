//! Why an archive cannot be read. Each case means something else for the backup.

use std::io;
use std::path::PathBuf;

use qdrant_backup_shared::FailureKind;

/// An archive could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is not there.
    #[error("{}: the archive is missing", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Something else than a file has its name: a directory, a link, a pipe. Links are not followed.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// What has the name.
        path: PathBuf,
    },
    /// The file system failed. This says nothing about the archive.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The stored bytes cannot be decoded.
    #[error("{}: corrupt before byte {position}: {reason}", path.display())]
    Corrupt {
        /// The archive.
        path: PathBuf,
        /// How many of the stored bytes had been read from the disk.
        position: u64,
        /// What the decoder says.
        reason: String,
    },
    /// This program does not know how the archive is stored.
    #[error("{}: this version cannot read archives stored as {encoding}; use the newer qdrant-backup that wrote it", path.display())]
    Unsupported {
        /// The archive.
        path: PathBuf,
        /// The encoding, as the manifest has it.
        encoding: String,
    },
}

impl ArchiveError {
    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Missing { .. } | Self::Corrupt { .. } => FailureKind::ArchiveCorrupt,
            Self::NotAFile { .. } | Self::Io { .. } => FailureKind::Io,
            Self::Unsupported { .. } => FailureKind::VersionUnsupported,
        }
    }
}

/// As a reader passes it on; [`io::Error::downcast`] gives it back.
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
