//! Opens and reads files that other users may have created.
//!
//! A path may be a pipe, which would block forever, a device, which is endless, or a very large file. All of these are errors
//! here, so that nothing blocks or fills the memory.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::file_system::set_mode;

/// How to treat a symbolic link as the last part of a path. Links in its directories are always followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Follow it: the path belongs to a trusted user.
    Follow,
    /// Refuse it: another user may have created it.
    Refuse,
}

/// Opens the regular file at `path` for reading. Never blocks, not even for a pipe. A special file without data, such as some in
/// `/proc`, causes an error when it is read.
///
/// # Errors
/// When the system refuses, when it is not a regular file, or when it is a link and `links` refuses links.
pub fn open(path: &Path, links: Links) -> io::Result<File> {
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let file = match retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) if links == Links::Refuse => {
            return Err(refused("a symbolic link, not a regular file"));
        }
        // Errors of opening a socket, or a device without a driver.
        Err(Errno::NXIO | Errno::NODEV) => return Err(refused("not a regular file")),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused("not a regular file")) }
}

/// Opens the file at `path` for reading and writing, or creates it with exactly `mode`. It must be a regular file with a single
/// name; links are not followed, and it never blocks. Another user may have created a link to one of our files.
///
/// # Errors
/// When the system refuses, or when it is something else.
pub fn open_or_create(path: &Path, mode: u32) -> io::Result<File> {
    let flags = OFlags::RDWR
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let open = |flags: OFlags| retry_on_intr(|| rustix::fs::open(path, flags, Mode::from_raw_mode(mode)));
    if let Ok(made) = open(flags | OFlags::EXCL) {
        let made = File::from(made);
        // The umask was applied to the mode.
        set_mode(&made, mode)?;
        return Ok(made);
    }
    // The file exists, or the same error occurs again.
    let file = match open(flags) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(refused("a symbolic link, not a regular file")),
        Err(Errno::NXIO | Errno::NODEV | Errno::ISDIR) => return Err(refused("not a regular file")),
        Err(error) => return Err(error.into()),
    };
    check_alone(&file)?;
    Ok(file)
}

/// Checks that `file` is a regular file with a single name. Another user may have linked one of our files.
///
/// # Errors
/// The message says what it is instead.
pub fn check_alone(file: &File) -> io::Result<()> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refused("not a regular file"));
    }
    if metadata.nlink() > 1 {
        return Err(refused("a file with more than one name (hard links)"));
    }
    Ok(())
}

/// The contents of the file at `path`, opened with [`open`]. At most `most_bytes` are in memory.
///
/// # Errors
/// Like [`open`]; also when reading fails or the file is larger.
pub fn read_limited(path: &Path, links: Links, most_bytes: u64) -> io::Result<Vec<u8>> {
    let file = open(path, links)?;
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {most_bytes} bytes"));
    if file.metadata()?.len() > most_bytes {
        return Err(too_large());
    }
    // The reported size is not reliable: the file may grow, and kernel files report 0.
    let mut contents = Vec::new();
    file.take(most_bytes.saturating_add(1)).read_to_end(&mut contents)?;
    if contents.len() as u64 > most_bytes { Err(too_large()) } else { Ok(contents) }
}

/// Like [`read_limited`], for a text file.
///
/// # Errors
/// Also when it is not UTF-8.
pub fn read_text(path: &Path, links: Links, most_bytes: u64) -> io::Result<String> {
    String::from_utf8(read_limited(path, links, most_bytes)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not valid UTF-8"))
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;
    use crate::atomic;

    const MOST: u64 = 10;

    fn message(path: &Path, links: Links) -> String {
        read_limited(path, links, MOST).unwrap_err().to_string()
    }

    #[test]
    fn a_pipe_a_socket_a_directory_and_a_device_are_refused_and_never_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let (pipe, socket) = (directory.path().join("pipe"), directory.path().join("socket"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        for path in [&pipe, &socket, directory.path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
            for links in [Links::Follow, Links::Refuse] {
                assert_eq!(message(path, links), "not a regular file", "{}", path.display());
            }
        }
        drop(listener);
    }

    #[test]
    fn a_link_is_followed_only_where_it_may_be_and_never_to_a_device() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        let endless = directory.path().join("endless");
        atomic::write(&file, 0o600, b"contents").unwrap();
        symlink("file", &link).unwrap();
        symlink("/dev/zero", &endless).unwrap();
        assert_eq!(read_limited(&link, Links::Follow, MOST).unwrap(), b"contents");
        assert_eq!(read_limited(&file, Links::Refuse, MOST).unwrap(), b"contents");
        assert_eq!(message(&link, Links::Refuse), "a symbolic link, not a regular file");
        assert_eq!(message(&endless, Links::Follow), "not a regular file");
    }

    #[test]
    fn only_a_regular_file_with_one_name_is_opened_for_writing() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let refused = |name: &str| open_or_create(&path(name), 0o600).unwrap_err().to_string();
        atomic::write(&path("victim"), 0o600, b"contents").unwrap();
        symlink("victim", path("link")).unwrap();
        symlink("absent", path("dangling")).unwrap();
        symlink("/dev/null", path("device")).unwrap();
        std::fs::hard_link(path("victim"), path("second")).unwrap();
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for name in ["link", "dangling", "device"] {
            assert_eq!(refused(name), "a symbolic link, not a regular file", "{name}");
        }
        assert!(refused("second").contains("hard link") && refused("victim").contains("hard link"));
        assert_eq!(refused("pipe"), "not a regular file");
        assert!(open_or_create(directory.path(), 0o600).is_err());
        assert!(!path("absent").exists());
        assert_eq!(std::fs::read(path("victim")).unwrap(), b"contents");
        open_or_create(&path("new"), 0o600).unwrap();
        open_or_create(&path("new"), 0o600).unwrap();
    }

    #[test]
    fn a_larger_file_is_refused_before_it_is_in_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for (length, fits) in [(0, true), (MOST, true), (MOST + 1, false), (1 << 40, false)] {
            File::create(&path).unwrap().set_len(length).unwrap();
            assert_eq!(read_limited(&path, Links::Follow, MOST).is_ok(), fits, "{length}");
        }
        assert_eq!(message(&path, Links::Follow), "larger than 10 bytes");
        // Its reported length is 0.
        assert_eq!(message(Path::new("/proc/self/status"), Links::Follow), "larger than 10 bytes");
    }

    #[test]
    fn absent_stays_absent_and_text_is_utf_8() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let error = read_limited(&path, Links::Refuse, MOST).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        atomic::write(&path, 0o600, "é".as_bytes()).unwrap();
        assert_eq!(read_text(&path, Links::Refuse, MOST).unwrap(), "é");
        atomic::write(&path, 0o600, b"\xff").unwrap();
        assert_eq!(read_text(&path, Links::Refuse, MOST).unwrap_err().to_string(), "not valid UTF-8");
    }
}
