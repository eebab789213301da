//! Atomic writes: a file is complete under its final name, or does not exist.
//!
//! Every write goes to a temporary name in the same directory, is synced, renamed over the final name,
//! and the directory is synced. A temporary name begins with a dot and ends in [`TEMPORARY_SUFFIX`]. No final name does, so files
//! left by a killed run can be recognized.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub use crate::file_system::sync_directory;
use crate::file_system::{self, set_directory_mode, set_mode};

/// Suffix of every temporary name.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// Mode of directories: group members can read them, and files inherit the group, so that the exporter's user can read files
/// written by the runner's user.
pub const DIRECTORY_MODE: u32 = 0o2750;

/// Mode of JSON files: readable by owner and group.
pub const JSON_MODE: u32 = 0o640;

/// Mode of archives: they contain the data, so only the owner can read them.
pub const ARCHIVE_MODE: u32 = 0o600;

/// Whether `file_name` is a temporary name of [`AtomicFile`].
pub fn is_temporary(file_name: &str) -> bool {
    file_name.starts_with('.') && file_name.ends_with(TEMPORARY_SUFFIX)
}

/// Whether a file is at `target`, which a new one would replace.
///
/// # Errors
/// When something else than a regular file is there, or the system refuses.
pub fn would_replace(target: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(target) {
        Ok(metadata) if metadata.is_file() => Ok(true),
        Ok(_) => Err(io::Error::other("exists and is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file under a temporary name, which is removed on drop unless it was committed.
#[derive(Debug)]
#[must_use]
pub struct AtomicFile {
    temporary: NamedTempFile,
    target: PathBuf,
    mode: u32,
}

impl AtomicFile {
    /// Creates the temporary file for `target`, with exactly `mode`, regardless of the umask.
    ///
    /// # Errors
    /// When the temporary file cannot be created.
    pub fn create(target: &Path, mode: u32) -> io::Result<Self> {
        let (directory, name) = split(target)?;
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(TEMPORARY_SUFFIX)
            // The umask applies to this mode. If the file system cannot change modes later, this is the best possible mode.
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory)
            .map_err(without_path)?;
        Ok(Self { temporary, target: target.to_owned(), mode })
    }

    /// The final path.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The same file under another final name in the same directory.
    pub fn renamed(self, target: PathBuf) -> Self {
        Self { target, ..self }
    }

    /// The file, for writing.
    pub fn file(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }

    /// Moves the file durably to its final name, replacing an existing file.
    ///
    /// # Crash safety
    /// After `Ok` the whole file survives a power failure, if the file system can sync directories. After an error,
    /// or a crash before the return, the final name has either its old contents or the whole new file.
    ///
    /// # Errors
    /// When a write, sync or rename fails; the temporary file is then removed.
    pub fn commit(self) -> Result<(), CommitError> {
        self.finish(file_system::rename)
    }

    /// Like [`AtomicFile::commit`], but never replaces a file.
    ///
    /// # Errors
    /// Also with [`io::ErrorKind::AlreadyExists`], when the final name is taken.
    pub fn commit_new(self) -> Result<(), CommitError> {
        self.finish(|from, to| file_system::rename_new(from, to).map(drop))
    }

    fn finish(self, rename: impl FnOnce(&Path, &Path) -> io::Result<()>) -> Result<(), CommitError> {
        let target = self.persist(rename)?;
        split(&target)
            .and_then(|(directory, _)| sync_directory(directory))
            .map_err(|source| CommitError { in_place: true, source })
    }

    fn persist(self, rename: impl FnOnce(&Path, &Path) -> io::Result<()>) -> Result<PathBuf, CommitError> {
        let Self { temporary, target, mode } = self;
        let (mut file, path) = temporary.into_parts();
        file.flush().and_then(|()| set_mode(&file, mode)).and_then(|()| file.sync_all())?;
        match rename(&path, &target) {
            Ok(()) => {
                // The temporary name is no longer in use. On Unix this cannot fail.
                drop(path.keep());
                Ok(target)
            }
            Err(source) => Err(CommitError { in_place: may_have(&target, &file), source }),
        }
    }
}

/// A file was not made durable under its final name.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct CommitError {
    /// Whether the complete file has, or may have, its final name anyway. It may then be lost after a power failure.
    pub in_place: bool,
    /// Reason that the system gave.
    pub source: io::Error,
}

impl From<io::Error> for CommitError {
    /// A failure before the file got its name.
    fn from(source: io::Error) -> Self {
        Self { in_place: false, source }
    }
}

impl From<CommitError> for io::Error {
    fn from(error: CommitError) -> Self {
        error.source
    }
}

/// Whether `target` is `file`. A rename on a network file system may succeed although it reports a failure.
fn may_have(target: &Path, file: &File) -> bool {
    match (file.metadata(), fs::symlink_metadata(target)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        (_, Err(error)) => error.kind() != io::ErrorKind::NotFound,
        (Err(_), Ok(_)) => true,
    }
}

/// Writes `contents` to `target` with an [`AtomicFile`].
///
/// # Errors
/// When a write, sync or rename fails. `target` is then unchanged.
pub fn write(target: &Path, mode: u32, contents: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(target, mode)?;
    file.file().write_all(contents)?;
    Ok(file.commit()?)
}

/// Renames `from` to `to` within one directory, never over a file, and syncs the directory.
///
/// # Errors
/// When the new name is taken or the file system refuses.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (directory, _) = split(to)?;
    file_system::rename_new(from, to)?;
    sync_directory(directory)
}

/// Creates `directory` with exactly [`DIRECTORY_MODE`] if it does not exist, and syncs its parent. Missing parents are not
/// created: a missing parent may be a disk that is not mounted.
///
/// # Errors
/// When it cannot be created, or something else has that name.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIRECTORY_MODE & 0o777).create(directory) {
        Ok(()) => {
            // mkdir's mode passes through the umask and cannot carry the set-group-id bit.
            set_directory_mode(directory, DIRECTORY_MODE)?;
            match directory.parent() {
                Some(parent) if parent != Path::new("") => sync_directory(parent),
                Some(_) => sync_directory(Path::new(".")),
                None => Ok(()),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::metadata(directory)?.is_dir() {
                Ok(())
            } else {
                Err(io::Error::new(io::ErrorKind::NotADirectory, "exists and is not a directory"))
            }
        }
        Err(error) => Err(error),
    }
}

/// The error without the random name of the temporary file, which the library appends.
fn without_path(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path \"") {
        Some((problem, _)) => io::Error::new(error.kind(), problem),
        None => error,
    }
}

fn split(target: &Path) -> io::Result<(&Path, &str)> {
    let name = target
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let directory = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    Ok((directory, name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_committed_file_has_its_content_and_exact_mode() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("status.json");
        write(&target, JSON_MODE, b"one").unwrap();
        write(&target, JSON_MODE, b"two").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, JSON_MODE);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing temporary stays");
    }

    #[test]
    fn only_a_regular_file_would_be_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        assert!(!would_replace(&at("a")).unwrap());
        write(&at("a"), JSON_MODE, b"").unwrap();
        assert!(would_replace(&at("a")).unwrap());
        std::os::unix::fs::symlink(at("a"), at("link")).unwrap();
        for other in [at("link"), directory.path().to_owned()] {
            assert_eq!(would_replace(&other).unwrap_err().to_string(), "exists and is not a regular file");
        }
        assert!(would_replace(&at("a/b")).is_err());
    }

    #[test]
    fn a_dropped_file_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = AtomicFile::create(&directory.path().join("a"), ARCHIVE_MODE).unwrap();
        file.file().write_all(b"half").unwrap();
        let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(is_temporary(names[0].to_str().unwrap()), "{names:?}");
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn commit_new_never_replaces_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a");
        write(&target, JSON_MODE, b"first").unwrap();
        let file = AtomicFile::create(&target, JSON_MODE).unwrap();
        assert_eq!(file.commit_new().unwrap_err().source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&target).unwrap(), b"first");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn rename_new_never_replaces_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        write(&a, JSON_MODE, b"a").unwrap();
        write(&b, JSON_MODE, b"b").unwrap();
        assert!(rename_new(&a, &b).is_err());
        fs::remove_file(&b).unwrap();
        rename_new(&a, &b).unwrap();
        assert_eq!(fs::read(&b).unwrap(), b"a");
    }

    #[test]
    fn directories_get_their_mode_and_parents_are_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let made = directory.path().join("d");
        create_directory(&made).unwrap();
        create_directory(&made).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o7777, DIRECTORY_MODE);
        assert!(create_directory(&directory.path().join("x/y")).is_err());
        write(&directory.path().join("f"), JSON_MODE, b"").unwrap();
        assert_eq!(
            create_directory(&directory.path().join("f")).unwrap_err().kind(),
            io::ErrorKind::NotADirectory
        );
    }
}
