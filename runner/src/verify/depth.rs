//! Levels of checks without a server.

use qdrant_backup_shared::verification::Level;

/// The levels of checks that need only the backup directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The stored bytes match the manifest's length and digest.
    Checksum,
    /// Also, the snapshot in them matches its digest and is complete.
    Archive,
}

impl Depth {
    /// The name in verification records.
    pub fn level(self) -> Level {
        match self {
            Self::Checksum => Level::Checksum,
            Self::Archive => Level::Archive,
        }
    }
}
