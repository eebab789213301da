//! Reads and writes the JSON files: checks the version first, gives one clear error, writes atomically.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::atomic::{self, CommitError};
use crate::links;
use crate::regular_file::{self, Links};

/// The version of every file format of this release.
pub const SCHEMA_VERSION: u32 = 1;

/// Size limit. A larger file is not read into memory.
const SIZE_MAX_BYTES: u64 = 64 << 20;

/// A JSON file could not be read. A missing file is a separate case, because it is often not an error.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("{}: no such file", path.display())]
    NotFound {
        /// The missing path.
        path: PathBuf,
    },
    /// The file exists but cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Io {
        /// Path of the unreadable file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is invalid: torn, edited by hand, or from another program.
    #[error("{}:{line}: not a valid {what}: {problem}", path.display())]
    Malformed {
        /// Path of the invalid file.
        path: PathBuf,
        /// The expected kind of file, such as "backup manifest".
        what: &'static str,
        /// The line of the problem, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The file has another schema version.
    #[error("{}: cannot read schema_version {version}, only {SCHEMA_VERSION}; use the newer qdrant-backup that wrote it", path.display())]
    UnsupportedVersion {
        /// Path of the file that a newer program wrote.
        path: PathBuf,
        /// Its `schema_version`.
        version: u64,
    },
}

impl ReadError {
    /// Whether the file does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// A JSON file format of this program.
pub trait JsonFile: Serialize + DeserializeOwned {
    /// Name of the format for messages, such as "backup manifest".
    const WHAT: &'static str;

    /// Checks the values beyond their types.
    ///
    /// # Errors
    /// One line that names the field.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Head {
    schema_version: u64,
}

/// Reads a file of type `T`.
///
/// # Errors
/// See [`ReadError`]. An unknown version is an error; such a file is never interpreted.
pub fn read<T: JsonFile>(path: &Path) -> Result<T, ReadError> {
    parse(path, &read_bytes(path)?)
}

/// The bytes of one of our files. A file that is too large is not read completely.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    let io_error = |source: io::Error| {
        let result = links::absent(path, source);
        let path = path.to_owned();
        match result {
            Ok(()) => ReadError::NotFound { path },
            Err(source) => ReadError::Io { path, source },
        }
    };
    // Links are followed: a status file may be one.
    regular_file::read_limited(path, Links::Follow, SIZE_MAX_BYTES).map_err(io_error)
}

/// Parses the bytes of a file of type `T` that was read from `path`.
///
/// # Errors
/// As [`read`], except those of the file system.
pub fn parse<T: JsonFile>(path: &Path, contents: &[u8]) -> Result<T, ReadError> {
    let malformed = |line: usize, problem: String| ReadError::Malformed {
        path: path.to_owned(),
        what: T::WHAT,
        line,
        problem,
    };
    if contents.len() as u64 > SIZE_MAX_BYTES {
        return Err(malformed(1, format!("larger than {SIZE_MAX_BYTES} bytes")));
    }
    let json_error = |error: serde_json::Error| malformed(error.line().max(1), plain_message(&error));
    let head: Head = serde_json::from_slice(contents).map_err(json_error)?;
    if head.schema_version != u64::from(SCHEMA_VERSION) {
        return Err(ReadError::UnsupportedVersion { path: path.to_owned(), version: head.schema_version });
    }
    let value: T = serde_json::from_slice(contents).map_err(json_error)?;
    value.check().map_err(|problem| malformed(1, problem))?;
    Ok(value)
}

/// The bytes that [`write()`] writes: indented, because people read these files too, and with a newline at the end.
///
/// # Errors
/// When the value cannot be written as JSON.
pub fn to_bytes<T: JsonFile>(value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes `value` to `path` atomically, mode 0640.
///
/// # Errors
/// When the file system fails. The existing file is then unchanged.
pub fn write<T: JsonFile>(path: &Path, value: &T) -> io::Result<()> {
    atomic::write(path, atomic::JSON_MODE, &to_bytes(value)?)
}

/// As [`write()`], but never replaces a file.
///
/// # Errors
/// Also when the file exists.
pub fn write_new<T: JsonFile>(path: &Path, value: &T) -> Result<(), CommitError> {
    let mut file = atomic::AtomicFile::create(path, atomic::JSON_MODE)?;
    io::Write::write_all(file.file(), &to_bytes(value)?)?;
    file.commit_new()
}

/// The message without serde_json's own "at line … column …", because the error contains the line.
pub(crate) fn plain_message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let plain = text.rsplit_once(" at line ").map_or(text.as_str(), |(before, _)| before);
    crate::text::shortened(plain, 200)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::repository::Repository;

    fn message(contents: &str) -> String {
        parse::<Repository>(Path::new("/r/repository.json"), contents.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_torn_file_is_named_with_its_line() {
        assert_eq!(
            message("{\n  \"schema_version\": 1,\n  \"repo"),
            "/r/repository.json:3: not a valid repository description: EOF while parsing a string"
        );
        assert_eq!(
            message(""),
            "/r/repository.json:1: not a valid repository description: EOF while parsing a value"
        );
    }

    #[test]
    fn another_version_is_never_read_as_ours() {
        let text = message("{\"schema_version\": 2, \"everything\": \"else\"}");
        assert!(text.starts_with("/r/repository.json: cannot read schema_version 2"), "{text}");
        assert!(message("{}").contains("missing field `schema_version`"));
    }

    #[test]
    fn absent_is_not_unreadable() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read::<Repository>(&directory.path().join("repository.json")).unwrap_err().is_not_found());
        fs::create_dir(directory.path().join("d")).unwrap();
        assert!(!read::<Repository>(&directory.path().join("d")).unwrap_err().is_not_found());
        std::os::unix::fs::symlink("/nowhere", directory.path().join("l")).unwrap();
        let dangling = read::<Repository>(&directory.path().join("l")).unwrap_err();
        assert!(
            !dangling.is_not_found() && dangling.to_string().contains("a link to /nowhere"),
            "{dangling}"
        );
    }

    #[test]
    fn a_pipe_in_place_of_a_file_is_refused_and_never_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("repository.json");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let error = read::<Repository>(&path).unwrap_err();
        assert!(error.to_string().ends_with("cannot be read: not a regular file"), "{error}");
    }
}
