//! Steps that some file systems refuse, and what is done instead.
//!
//! Network mounts, FUSE and file systems of other operating systems lack some of what a local disk has. What they
//! lack must not cost a backup; what a disk fails to do must. This module tells the two apart.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

/// How a file came to a name that was free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// By a rename that replaces nothing.
    Renamed,
    /// By a second name for the file; the first was then removed.
    Linked,
    /// By a look whether the name is free, and a rename. Who takes the name in between loses it.
    Looked,
}

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// What this user can still write.
    pub available_bytes: u64,
    /// All that there is.
    pub size_bytes: u64,
}

/// Whether `error` says that a file system does not know such a step, rather than that the step failed.
fn is_unknown(error: &io::Error) -> bool {
    let unknown = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTTY, Errno::BADF];
    error.raw_os_error().is_some_and(|raw| unknown.contains(&Errno::from_raw_os_error(raw)))
}

/// Whether `error` may stand for a refusal of such a step to anybody: some file systems, and kernels that watch calls,
/// answer what they do not know like that.
fn is_refused(error: &io::Error) -> bool {
    is_unknown(error) || error.kind() == io::ErrorKind::PermissionDenied
}

/// Makes the names in `directory` durable; where the file system cannot do that for any directory, does nothing.
///
/// # Errors
/// When the directory cannot be opened, or its file system fails to sync it. What was done there may then be gone
/// after a power failure.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    syncs_directories(directory).map(drop)
}

/// As [`sync_directory`], and says whether the file system can do that at all.
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

/// Gives `file` this mode; where the file system keeps no modes, leaves it as it is.
///
/// # Errors
/// When the file system fails.
pub fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    unless_refused(file.set_permissions(Permissions::from_mode(mode)))
}

/// As [`set_mode`], for a directory; without the set-group-id bit where only that is refused.
///
/// # Errors
/// As there.
pub fn set_directory_mode(directory: &Path, mode: u32) -> io::Result<()> {
    // Not by its name, which somebody may have made a link meanwhile.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match rustix::fs::open(directory, flags, Mode::empty()) {
        Ok(directory) => File::from(directory),
        // A umask that keeps even the owner out.
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

/// Renames `from` to `to` within one directory, never over what is there.
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
            // What keeps its temporary name as well is removed with what killed runs left.
            drop(fs::remove_file(from));
            Ok(Taken::Linked)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Directories cannot be linked, and many file systems cannot link at all; what is really wrong shows again.
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

/// Renames `from` to `to`, over what is there.
#[expect(clippy::disallowed_methods, reason = "durable once the caller has synced the directory")]
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// The room on the file system of `directory`; nothing where it does not say, as mounts of object stores do not.
///
/// # Errors
/// When the file system cannot be asked.
pub fn room(directory: &Path) -> io::Result<Option<Room>> {
    let found = match rustix::fs::statvfs(directory).map_err(io::Error::from) {
        Err(error) if is_unknown(&error) => return Ok(None),
        other => other?,
    };
    // No file system has no blocks at all: it does not know, or has no end.
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
