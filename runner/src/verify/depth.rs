//! How deep a check without a server can go.

use qdrant_backup_shared::verification::Level;

/// The levels of checking that need nothing but the backup directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The stored bytes have the length and the digest of the manifest.
    Checksum,
    /// That, and the snapshot in them has its own digest and is whole inside.
    Archive,
}

impl Depth {
    /// As verification records name it.
    pub fn level(self) -> Level {
        match self {
            Self::Checksum => Level::Checksum,
            Self::Archive => Level::Archive,
        }
    }
}
