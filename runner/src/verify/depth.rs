//! Levels of checks without a server.

use qdrant_backup_shared::verification::Level;

/// The levels of checking that need nothing but the backup directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The stored bytes have the length and the digest of the manifest.
    Checksum,
    /// Also, the snapshot in them has its digest and its contents are complete.
    Archive,
}

impl Depth {
    /// Its name in verification records.
    pub fn level(self) -> Level {
        match self {
            Self::Checksum => Level::Checksum,
            Self::Archive => Level::Archive,
        }
    }
}
