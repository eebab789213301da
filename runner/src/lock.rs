//! The lock of writers: one run at a time in a backup directory.
//!
//! The operating system holds it (flock), so a dead process never does. The file's text is only there to
//! tell the next one who it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qdrant_backup_shared::atomic::JSON_MODE;
use qdrant_backup_shared::lock_holder::LockHolder;
use tokio::time::{Instant, sleep};

/// How often a held lock is tried again.
const POLL: Duration = Duration::from_millis(200);

/// The held lock; freed on drop, and by the operating system whenever the process ends.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    file: File,
}

/// The lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run has it.
    #[error("another run holds the lock: {}", holder.as_ref().map_or_else(|| "its name could not be read".to_owned(), ToString::to_string))]
    Held {
        /// Who, where that could be read.
        holder: Option<LockHolder>,
    },
    /// The lock file cannot be used.
    #[error("{}: cannot lock: {source}; may this user write to the backup directory?", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock at `path`, waiting for it up to `wait`, and writes `holder` into it.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process still has it after that.
    pub async fn take(path: &Path, holder: &LockHolder, wait: Duration) -> Result<Self, LockError> {
        let io_error = |source: io::Error| LockError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(JSON_MODE)
            .open(path)
            .map_err(io_error)?;
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(POLL).await,
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { holder: read_holder(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(io_error(error)),
            }
        }
        // On a full disk the name is missing; the lock is held all the same.
        if let Err(error) = write_holder(&mut file, holder) {
            tracing::debug!("{}: cannot write who holds the lock: {error}", path.display());
        }
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // So that nobody reads a name that no longer holds.
        drop(self.file.set_len(0));
    }
}

/// The lock between those who read archives, who share it, and those who delete them.
#[derive(Debug)]
#[must_use]
pub struct ReadersLock {
    _file: File,
}

impl ReadersLock {
    /// Shares the lock at `path`, or gives nothing while archives are being deleted.
    ///
    /// # Errors
    /// When the lock file cannot be used.
    pub fn try_shared(path: &Path) -> Result<Option<Self>, LockError> {
        Self::try_with(path, File::try_lock_shared)
    }

    /// Takes the lock at `path` alone, or gives nothing while somebody reads archives.
    ///
    /// # Errors
    /// When the lock file cannot be used.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>, LockError> {
        Self::try_with(path, File::try_lock)
    }

    fn try_with(
        path: &Path,
        try_lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> Result<Option<Self>, LockError> {
        let io_error = |source: io::Error| LockError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(JSON_MODE)
            .open(path)
            .map_err(io_error)?;
        match try_lock(&file) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(io_error(error)),
        }
    }
}

fn write_holder(file: &mut File, holder: &LockHolder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    let mut text = serde_json::to_vec(holder)?;
    text.push(b'\n');
    file.write_all(&text)
}

fn read_holder(file: &mut File) -> Option<LockHolder> {
    let mut text = Vec::new();
    file.rewind().ok()?;
    file.take(4096).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(command: &str) -> LockHolder {
        LockHolder {
            command: command.to_owned(),
            pid: 42,
            hostname: "db-1".to_owned(),
            since: "2025-07-15T14:30:00Z".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn the_second_is_told_who_the_first_is_and_gets_it_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        let first = Lock::take(&path, &holder("backup"), Duration::ZERO).await.unwrap();
        let error = Lock::take(&path, &holder("list"), Duration::ZERO).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "another run holds the lock: backup (process 42 on db-1) since 2025-07-15 14:30:00 UTC"
        );
        let waiting = tokio::spawn({
            let path = path.clone();
            async move { Lock::take(&path, &holder("verify"), Duration::from_secs(20)).await }
        });
        sleep(Duration::from_millis(50)).await;
        drop(first);
        drop(waiting.await.unwrap().unwrap());
    }

    #[test]
    fn readers_share_and_whoever_deletes_is_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".readers");
        let readers = [ReadersLock::try_shared(&path).unwrap(), ReadersLock::try_shared(&path).unwrap()];
        assert!(readers.iter().all(Option::is_some));
        assert!(ReadersLock::try_exclusive(&path).unwrap().is_none());
        drop(readers);
        let alone = ReadersLock::try_exclusive(&path).unwrap();
        assert!(alone.is_some() && ReadersLock::try_shared(&path).unwrap().is_none());
    }

    #[tokio::test]
    async fn a_held_lock_with_torn_text_is_still_held() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        let _first = Lock::take(&path, &holder("backup"), Duration::ZERO).await.unwrap();
        std::fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        let error = Lock::take(&path, &holder("x"), Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, LockError::Held { holder: None }));
    }
}
