//! Operations that some file systems do not support, and their fallbacks.
//!
//! Network mounts, FUSE and file systems of other operating systems lack some operations. A missing operation must not make a
//! backup fail, but a disk error must. This module distinguishes the two.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, StatVfsMountFlags, renameat_with, statvfs};
use rustix::io::Errno;

/// How a file got a name that was not in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// By a rename without replacement.
    Renamed,
    /// By a hard link; the first name was then removed.
    Linked,
    /// By a check that the name is not in use, and a rename. A file created in between is lost.
    Looked,
}

/// Space on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Space that this user can still write.
    pub available_bytes: u64,
    /// Total space.
    pub size_bytes: u64,
}

/// Whether the file system of `path` is mounted read-only. If it does not say, it is not.
pub fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Whether `error` means that the file system does not support the operation, not that it failed.
fn is_unknown(error: &io::Error) -> bool {
    let unknown = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTTY, Errno::BADF];
    error.raw_os_error().is_some_and(|raw| unknown.contains(&Errno::from_raw_os_error(raw)))
}

/// Whether `error` may mean that the operation is not supported: some file systems, and kernels that filter system calls, return
/// it for operations that they do not know.
fn is_refused(error: &io::Error) -> bool {
    is_unknown(error) || error.kind() == io::ErrorKind::PermissionDenied
}

/// Syncs the names in `directory`. If the file system cannot sync directories, does nothing.
///
/// # Errors
/// When the directory cannot be opened, or the sync fails. Recent changes there may then be lost after a power failure.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    syncs_directories(directory).map(drop)
}

/// As [`sync_directory`], and returns whether the file system supports it.
///
/// # Errors
/// As there.
pub fn syncs_directories(directory: &Path) -> io::Result<bool> {
    syncs(File::open(directory)?.sync_all()).map_err(|error| {
        let text = format!(
            "{}: the last changes there may be lost after a power failure: {error}",
            directory.display()
        );
        io::Error::new(error.kind(), text)
    })
}

fn syncs(synced: io::Result<()>) -> io::Result<bool> {
    match synced {
        Err(error) if is_unknown(&error) => Ok(false),
        other => other.map(|()| true),
    }
}

/// Sets the mode of `file`. If the file system has no modes, does nothing.
///
/// # Errors
/// When the file system fails.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    unless_refused(file.set_permissions(Permissions::from_mode(mode)))
}

/// As [`set_mode`], for a directory. Without the set-group-id bit if only that is refused.
///
/// # Errors
/// As there.
pub fn set_directory_mode(directory: &Path, mode: u32) -> io::Result<()> {
    // Not by name, which may have become a link in the meantime.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(directory, flags, Mode::empty()) {
        Ok(directory) => File::from(directory),
        // The umask may deny access even to the owner.
        Err(Errno::ACCESS) => return fs::set_permissions(directory, Permissions::from_mode(mode)),
        Err(error) => return Err(error.into()),
    };
    match directory.set_permissions(Permissions::from_mode(mode)) {
        Err(error) if is_refused(&error) => set_mode(&directory, mode & 0o777),
        other => other,
    }
}

fn unless_refused(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_refused(&error) => Ok(()),
        other => other,
    }
}

/// Renames `from` to `to` within one directory, without replacing a file.
///
/// # Crash safety
/// A crash leaves one of the names, or both of them for the whole file.
///
/// # Errors
/// With [`io::ErrorKind::AlreadyExists`] when the name is taken.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<Taken> {
    let spared = renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from);
    match spared {
        Err(error) if is_refused(&error) => {}
        other => return other.map(|()| Taken::Renamed),
    }
    match fs::hard_link(from, to) {
        Ok(()) => {
            // A remaining temporary name is removed together with the leftovers of killed runs.
            drop(fs::remove_file(from));
            Ok(Taken::Linked)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Directories cannot be linked, and many file systems have no links. A real error occurs again below.
        Err(_) => look_and_rename(from, to),
    }
}

fn look_and_rename(from: &Path, to: &Path) -> io::Result<Taken> {
    match fs::symlink_metadata(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
    }
    rename(from, to).map(|()| Taken::Looked)
}

/// Renames `from` to `to`, replacing a file.
#[expect(clippy::disallowed_methods, reason = "durable once the caller has synced the directory")]
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// The space on the file system of `directory`. None if it is not reported, as for mounts of object stores.
///
/// # Errors
/// When the file system cannot be asked.
pub fn room(directory: &Path) -> io::Result<Option<Room>> {
    let found = match rustix::fs::statvfs(directory).map_err(io::Error::from) {
        Err(error) if is_unknown(&error) => return Ok(None),
        other => other?,
    };
    // A file system with zero blocks does not report its size.
    Ok((found.f_blocks > 0).then(|| Room {
        available_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        size_bytes: found.f_blocks.saturating_mul(found.f_frsize),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn a_sync_that_the_file_system_does_not_know_is_no_failure_and_a_failing_disk_is() {
        for unknown in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP] {
            assert!(!syncs(Err(error(unknown))).unwrap(), "{unknown}");
        }
        for failed in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::STALE] {
            assert!(syncs(Err(error(failed))).is_err(), "{failed}");
        }
        assert!(syncs(Ok(())).unwrap());
    }

    #[test]
    fn a_mode_that_is_refused_is_no_failure_and_a_failing_disk_is() {
        for refused in [Errno::PERM, Errno::ACCESS, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL] {
            unless_refused(Err(error(refused))).unwrap();
        }
        for failed in [Errno::IO, Errno::ROFS] {
            assert!(unless_refused(Err(error(failed))).is_err(), "{failed}");
        }
    }

    #[test]
    fn looking_first_spares_what_is_there_as_a_sparing_rename_does() {
        for take in [rename_new, look_and_rename] {
            let directory = tempfile::tempdir().unwrap();
            let [a, b, c] = ["a", "b", "c"].map(|name| directory.path().join(name));
            fs::create_dir(&a).unwrap();
            File::create(&b).unwrap();
            std::os::unix::fs::symlink("nowhere", &c).unwrap();
            for taken in [&b, &c] {
                assert_eq!(take(&a, taken).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            }
            fs::remove_file(&b).unwrap();
            take(&a, &b).unwrap();
            assert!(b.is_dir() && !a.exists(), "a directory is moved too");
            assert_eq!(take(&a, &directory.path().join("d")).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_file_system_that_does_not_say_how_large_it_is_has_no_room_to_compare_with() {
        assert!(room(Path::new("/")).unwrap().is_some_and(|room| room.size_bytes > 0));
        assert_eq!(room(Path::new("/proc")).unwrap(), None);
        assert!(room(Path::new("/nowhere")).is_err());
    }
}
