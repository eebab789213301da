//! Saying that a run waits for the lock, and seeing it: a drill, which can be made again at any time, gives way.
//!
//! Who waits holds `.waiting` shared for as long as it waits; the operating system lets go of it with the process. A
//! drill looks, now and then, whether it could have the file alone.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::store::lock::open_own;

/// Somebody waits, for as long as this is held.
#[derive(Debug)]
#[must_use]
pub struct Waiting {
    _file: File,
}

impl Waiting {
    /// Says so in the file at `path` ([`qdrant_backup_shared::Layout::waiting_file`]).
    ///
    /// # Errors
    /// When the file cannot be made or locked.
    pub fn announce(path: &Path) -> io::Result<Self> {
        let file = open_own(path)?;
        // At most for the moment in which a drill looks.
        file.lock_shared()?;
        Ok(Self { _file: file })
    }
}

/// Whether anybody waits. Where that cannot be found out nobody is waited for.
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
