//! Writes one snapshot to a file or to stdout, and checks its digests.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use qdrant_backup_shared::atomic::{ARCHIVE_MODE, AtomicFile, would_replace};
use qdrant_backup_shared::manifest::{Archive, Manifest};
use tokio_util::sync::CancellationToken;

use crate::archive::read::{ArchiveError, ArchiveReader, Prove, Source};
use crate::commands::Refusal;
use crate::host::output::is_closed;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The archive cannot be read back.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Writing failed.
    #[error("cannot write to {to}: {source}")]
    Write {
        /// The target.
        to: String,
        /// Reason that the system gave.
        source: io::Error,
    },
    /// It is not the snapshot that Qdrant created.
    #[error("the snapshot does not match the manifest (length or digest); do not use the export")]
    Mismatch,
    /// A signal was received.
    #[error("interrupted by a signal")]
    Interrupted,
}

/// The target of the snapshot.
pub enum Target {
    /// The program's output.
    Stdout,
    /// A file that gets its name only when it is complete.
    File {
        /// The open file.
        file: AtomicFile,
        /// Path of the finished file.
        path: PathBuf,
        /// Whether it may replace an existing file.
        replace: bool,
    },
}

impl Target {
    /// The file or stdout.
    ///
    /// # Errors
    /// When an existing file must not be replaced, or the file cannot be created.
    pub fn open(output: &Path, force: bool) -> Result<Self, Refusal> {
        if output == Path::new("-") {
            if io::stdout().is_terminal() {
                return Err(Refusal::failed("stdout is a terminal; redirect it or give -o FILE"));
            }
            if is_closed() {
                return Err(Refusal::failed("standard output cannot be written: it is closed"));
            }
            return Ok(Self::Stdout);
        }
        let shown = output.display();
        let exists = would_replace(output).map_err(|error| Refusal::failed(format!("{shown}: {error}")))?;
        if exists && !force {
            return Err(Refusal::failed(format!("{shown} already exists; --force replaces it")));
        }
        let file = AtomicFile::create(output, ARCHIVE_MODE)
            .map_err(|error| Refusal::failed(format!("{shown}: cannot be created: {error}")))?;
        Ok(Self::File { file, path: output.to_owned(), replace: force })
    }

    /// A new file.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn new_file(path: &Path, shown: PathBuf) -> Result<Self, ExportError> {
        match AtomicFile::create(path, ARCHIVE_MODE) {
            Ok(file) => Ok(Self::File { file, path: shown, replace: false }),
            Err(source) => Err(ExportError::Write { to: shown.display().to_string(), source }),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }

    /// Writes data.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().write_all(bytes),
            Self::File { file, .. } => file.file().write_all(bytes),
        }
    }

    /// Renames the file to its final name.
    ///
    /// # Errors
    /// When it cannot be made durable. A new file then does not exist.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().flush(),
            Self::File { file, replace: true, .. } => Ok(file.commit()?),
            Self::File { file, replace: false, .. } => {
                let target = file.target().to_owned();
                file.commit_new().map_err(|error| {
                    if error.in_place {
                        drop(fs::remove_file(target));
                    }
                    error.source
                })
            }
        }
    }
}

/// Copies the snapshot to `target` and returns the target's name. Reports the number of stored bytes read to `passed`.
///
/// # Crash safety
/// A file gets its name only when it is complete and has the right digest.
///
/// # Errors
/// When the archive does not match the manifest, or something cannot be read or written.
pub fn copy(
    source: &Source,
    manifest: &Manifest,
    archive: &Archive,
    mut target: Target,
    passed: &dyn Fn(u64),
    interrupt: &CancellationToken,
) -> Result<String, ExportError> {
    let to = target.name();
    let write_error = |source: io::Error| ExportError::Write { to: to.clone(), source };
    let mut reader = ArchiveReader::open(source, manifest, archive, Prove::Snapshot)?;
    let mut left = archive.snapshot.size_bytes;
    loop {
        if interrupt.is_cancelled() {
            return Err(ExportError::Interrupted);
        }
        let count = match reader.fill_buf() {
            Ok([]) => break,
            Ok(bytes) => {
                // Checks this before it fills the disk.
                left = left.checked_sub(bytes.len() as u64).ok_or(ExportError::Mismatch)?;
                target.write(bytes).map_err(write_error)?;
                bytes.len()
            }
            Err(error) => {
                let unexpected = |source| ArchiveError::Io { path: archive.file_name.clone().into(), source };
                return Err(error.downcast::<ArchiveError>().unwrap_or_else(unexpected).into());
            }
        };
        reader.consume(count);
        passed(reader.read_bytes());
    }
    let digests = reader.finish()?;
    if digests.snapshot != archive.snapshot {
        return Err(ExportError::Mismatch);
    }
    target.finish().map_err(write_error)?;
    Ok(to)
}
