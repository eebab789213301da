//! Indicates that a run waits for the lock, so that a drill, which can be repeated at any time, gives way.
//!
//! A waiting run holds `.waiting` shared; the operating system releases it with the process. A drill checks regularly whether it
//! could lock the file exclusively.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::store::lock::open_own;

/// Indicates a waiting run while it is held.
#[derive(Debug)]
#[must_use]
pub struct Waiting {
    _file: File,
}

impl Waiting {
    /// Locks the file at `path` ([`qdrant_backup_shared::Layout::waiting_file`]).
    ///
    /// # Errors
    /// When the file cannot be created or locked.
    pub fn announce(path: &Path) -> io::Result<Self> {
        let file = open_own(path)?;
        // Blocks only during a drill's short check.
        file.lock_shared()?;
        Ok(Self { _file: file })
    }
}

/// Whether a run waits. False if this is unknown.
pub fn is_anybody_waiting(path: &Path) -> bool {
    match open_own(path) {
        Ok(file) => matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
        Err(error) => {
            tracing::debug!("{}: cannot be opened: {error}", path.display());
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_seen_for_as_long_as_it_lasts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".waiting");
        assert!(!is_anybody_waiting(&path));
        let one = Waiting::announce(&path).unwrap();
        let other = Waiting::announce(&path).unwrap();
        assert!(is_anybody_waiting(&path));
        drop(one);
        assert!(is_anybody_waiting(&path));
        drop(other);
        assert!(!is_anybody_waiting(&path));
    }
}
