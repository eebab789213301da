//! The locks of a backup directory: one for writers, one for readers of archives.
//!
//! They are held in the operating system (flock), so a dead process never holds one. The text in the writers' file only informs
//! others about the holder.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use qdrant_backup_shared::file_system::set_mode;
use qdrant_backup_shared::lock_holder::LockHolder;
use qdrant_backup_shared::regular_file::{self, Links};
use rustix::io::Errno;
use tokio::time::{Instant, sleep};

use crate::host::user::{ROOT, explain};
use crate::store::lock_processes::{self, LockProcess};

/// Mode of lock files.
const LOCK_MODE: u32 = 0o600;

/// How often a held lock is tried again.
const POLL: Duration = Duration::from_millis(200);

/// How long readers wait for a deletion.
const DELETING_MAX: Duration = Duration::from_secs(30);

/// The held lock; freed on drop, and by the operating system whenever the process ends.
#[derive(Debug)]
#[must_use]
pub struct Lock {
    file: File,
}

/// A lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run holds it.
    #[error("{}", held_by(holder.as_ref(), processes))]
    Held {
        /// The holder, if it could be read.
        holder: Option<LockHolder>,
        /// The processes with the lock according to the system, as far as visible.
        processes: Vec<LockProcess>,
    },
    /// The lock file cannot be used.
    #[error("{}: cannot lock: {source}; may this user write to the backup directory?", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Reason that the system gave.
        source: io::Error,
    },
    /// The file system has no locks.
    #[error("{}: this file system has no locks ({source}), so two runs could collide; mount it with locks (NFS without `nolock`), or keep backups on another one", path.display())]
    Unsupported {
        /// The lock file.
        path: PathBuf,
        /// Reason that the system gave.
        source: io::Error,
    },
    /// A deletion is taking too long.
    #[error("{}: backups are being deleted; try again when that is finished", path.display())]
    Deleting {
        /// The lock file.
        path: PathBuf,
    },
}

impl LockError {
    fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if has_no_locks(&source) { Self::Unsupported { path, source } } else { Self::Io { path, source } }
    }
}

/// Whether `error` means that the file system does not support locks.
fn has_no_locks(error: &io::Error) -> bool {
    let answers = [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL];
    error.raw_os_error().is_some_and(|raw| answers.contains(&Errno::from_raw_os_error(raw)))
}

impl Lock {
    /// Acquires the lock at `path`, waiting up to `wait`, and writes `holder` into it.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process still has it after that, [`LockError::Unsupported`] without support for locks.
    pub async fn take(path: &Path, holder: &LockHolder, wait: Duration) -> Result<Self, LockError> {
        let io_error = |source: io::Error| LockError::Io { path: path.to_owned(), source };
        let mut file = open(path).map_err(io_error)?;
        let deadline = Instant::now() + wait;
        loop {
            match uninterrupted(|| file.try_lock()) {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(POLL).await,
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held {
                        holder: read_holder(&mut file),
                        processes: lock_processes::of(path),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(LockError::of(path, error)),
            }
        }
        // On a full disk the holder's name is missing, but the lock is held.
        if let Err(error) = write_holder(&mut file, holder) {
            tracing::debug!("{}: cannot write who holds the lock: {error}", path.display());
        }
        Ok(Self { file })
    }
}

/// Requests a lock until there is a result. On a network file system, a signal may interrupt the request.
fn uninterrupted(lock: impl Fn() -> Result<(), TryLockError>) -> Result<(), TryLockError> {
    loop {
        match lock() {
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            answered => return answered,
        }
    }
}

/// Describes the holder of the lock. The text in the file is used unless the system reports other processes, because a killed run
/// leaves its name there.
fn held_by(holder: Option<&LockHolder>, processes: &[LockProcess]) -> String {
    let is_among = |holder: &&LockHolder| {
        processes.is_empty() || processes.iter().any(|process| process.pid == holder.pid)
    };
    match (holder.filter(is_among), processes) {
        (Some(holder), _) => format!("another run holds the lock: {holder}"),
        (None, []) => "another run holds the lock (unknown process)".to_owned(),
        (None, [first, ..]) => stranger(first),
    }
}

/// The message about a process that holds the lock without its name in the file.
pub fn stranger(process: &LockProcess) -> String {
    let who = if process.is_ours() { "another run" } else { "another program" };
    let pid = process.pid;
    format!(
        "{who} holds the lock: {process}; nothing can run until it ends (`ps -fp {pid}` shows what it is, `kill {pid}` ends it)"
    )
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Prevents readers from seeing an outdated name.
        drop(self.file.set_len(0));
    }
}

/// Opens the lock file, or creates it. If it cannot be written, it is still locked: the run itself notices and records a
/// read-only disk.
fn open(path: &Path) -> io::Result<File> {
    match open_own(path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            ) =>
        {
            // The first error is more useful than "no such file".
            regular_file::open(path, Links::Refuse).map_err(|_| explain(path, error))
        }
        other => other,
    }
}

/// Opens or creates a lock file. Any user who can open it could hold the lock and block all runs, so only its owner
/// can. In
/// another user's directory, root changes its owner to that user.
pub(crate) fn open_own(path: &Path) -> io::Result<File> {
    let file = regular_file::open_or_create(path, LOCK_MODE)?;
    let metadata = file.metadata()?;
    let is_ours = metadata.uid() == uzers::get_effective_uid();
    if is_ours && metadata.mode() & 0o777 != LOCK_MODE {
        set_mode(&file, LOCK_MODE)?;
    }
    if metadata.uid() == ROOT
        && is_ours
        && let Some(directory) = path.parent()
    {
        let directory = fs::metadata(directory)?;
        if directory.uid() != ROOT
            && let Err(error) = fchown(&file, Some(directory.uid()), Some(directory.gid()))
        {
            tracing::warn!(
                "{}: cannot change the owner to the owner of the backups: {error}",
                path.display()
            );
        }
    }
    Ok(file)
}

/// Held shared while archives are read, to prevent their deletion, and exclusively during a deletion. Freed on drop, and by the
/// operating system when the process ends.
#[derive(Debug)]
#[must_use]
pub struct ReadersLock {
    /// None on a read-only mount, or without support for locks.
    _file: Option<File>,
}

impl ReadersLock {
    /// Acquires the lock at `path` ([`qdrant_backup_shared::Layout::readers_file`]) together with other readers.
    /// During a deletion, waits for up to 30 s. Works in a read-only directory and on a file system without locks,
    /// where backups cannot be deleted either. Blocks the thread while it waits.
    ///
    /// # Errors
    /// [`LockError::Deleting`] if the deletion takes longer; [`LockError::Io`].
    pub fn share(path: &Path) -> Result<Self, LockError> {
        let Some(file) = open_readers(path)? else { return Ok(Self { _file: None }) };
        let since = std::time::Instant::now();
        loop {
            match uninterrupted(|| file.try_lock_shared()) {
                Ok(()) => return Ok(Self { _file: Some(file) }),
                Err(TryLockError::WouldBlock) if since.elapsed() < DELETING_MAX => {
                    std::thread::sleep(POLL);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Deleting { path: path.to_owned() });
                }
                Err(TryLockError::Error(error)) if has_no_locks(&error) => return Ok(Self { _file: None }),
                Err(TryLockError::Error(error)) => return Err(LockError::of(path, error)),
            }
        }
    }

    /// Acquires the lock at `path` for a deletion. None while there are readers. Does not wait.
    ///
    /// # Errors
    /// [`LockError::Unsupported`], [`LockError::Io`].
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>, LockError> {
        let file = open_own(path).map_err(|source| LockError::Io { path: path.to_owned(), source })?;
        match uninterrupted(|| file.try_lock()) {
            Ok(()) => Ok(Some(Self { _file: Some(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(LockError::of(path, error)),
        }
    }
}

/// The readers' file, opened with the available permissions. None if it does not exist and cannot be created.
fn open_readers(path: &Path) -> Result<Option<File>, LockError> {
    let io_error = |source: io::Error| LockError::Io { path: path.to_owned(), source };
    let refused = match open_own(path) {
        Ok(file) => return Ok(Some(file)),
        Err(error) => error,
    };
    let read_only = refused.kind() == io::ErrorKind::ReadOnlyFilesystem;
    if !read_only && refused.kind() != io::ErrorKind::PermissionDenied {
        return Err(io_error(refused));
    }
    match regular_file::open(path, Links::Refuse) {
        Ok(file) => Ok(Some(file)),
        Err(error) if read_only && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(_) => Err(io_error(explain(path, refused))),
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
    use std::fs::OpenOptions;

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
        let own = LockHolder { pid: std::process::id(), ..holder("backup") };
        let first = Lock::take(&path, &own, Duration::ZERO).await.unwrap();
        let error = Lock::take(&path, &holder("list"), Duration::ZERO).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "another run holds the lock: backup (process {} on db-1) since 2025-07-15 14:30:00 UTC",
                own.pid
            )
        );
        let waiting = tokio::spawn({
            let path = path.clone();
            async move { Lock::take(&path, &holder("verify"), Duration::from_secs(20)).await }
        });
        sleep(Duration::from_millis(50)).await;
        drop(first);
        drop(waiting.await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn a_held_lock_with_torn_or_stale_text_is_held_by_whom_the_system_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        // A killed run left its name, and no process has this id.
        let _first = Lock::take(&path, &holder("backup"), Duration::ZERO).await.unwrap();
        for text in [None, Some("")] {
            if text.is_some() {
                OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
            }
            let error = Lock::take(&path, &holder("x"), Duration::ZERO).await.unwrap_err().to_string();
            let own = std::process::id();
            assert!(error.contains(&format!("another program holds the lock: process {own} (")), "{error}");
            assert!(!error.contains("db-1"), "{error}");
        }
    }

    #[test]
    fn where_the_system_names_nobody_the_text_counts() {
        assert!(held_by(Some(&holder("backup")), &[]).contains("backup (process 42 on db-1)"));
        assert!(held_by(None, &[]).ends_with("(unknown process)"));
    }

    #[test]
    fn a_file_system_without_locks_is_told_from_a_lock_that_fails() {
        let told = |errno: Errno| LockError::of(Path::new("/b/.lock"), errno.into()).to_string();
        for errno in [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP] {
            assert!(told(errno).contains("/b/.lock: this file system has no locks"), "{errno}");
        }
        for errno in [Errno::IO, Errno::STALE, Errno::ACCESS] {
            assert!(told(errno).contains("/b/.lock: cannot lock"), "{errno}");
        }
    }

    #[test]
    fn readers_share_and_who_deletes_is_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".readers");
        let one = ReadersLock::share(&path).unwrap();
        let other = ReadersLock::share(&path).unwrap();
        assert!(ReadersLock::try_exclusive(&path).unwrap().is_none());
        drop(one);
        assert!(ReadersLock::try_exclusive(&path).unwrap().is_none());
        drop(other);
        let deleting = ReadersLock::try_exclusive(&path).unwrap().unwrap();
        assert!(ReadersLock::try_exclusive(&path).unwrap().is_none());
        let reader = std::thread::spawn({
            let path = path.clone();
            move || ReadersLock::share(&path).is_ok()
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!reader.is_finished());
        drop(deleting);
        assert!(reader.join().unwrap());
    }
}
