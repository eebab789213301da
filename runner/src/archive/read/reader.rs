//! Reads the snapshot in a stored archive.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, Bytes};
use qdrant_backup_shared::Layout;
use qdrant_backup_shared::manifest::{Archive, Encoding, Manifest, SizeAndDigest};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::ahead::{self, Ahead, Next};
use super::error::ArchiveError;
use super::parts::Format;
use super::source::Source;
use super::stored::Stored;
use super::thread_died;

/// What a full read of an archive must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prove {
    /// That the snapshot is the one that Qdrant created. Its digest proves this, whatever its stored form.
    Snapshot,
    /// Also that the stored file has not changed, even in bytes that do not affect the snapshot. This needs a second digest.
    File,
}

/// Reads an archive ahead, on several threads, and returns the bytes of the snapshot. [`ArchiveReader::finish`] returns the
/// digests; before that, the data cannot be trusted.
///
/// Its I/O errors contain an [`ArchiveError`]; get it with [`io::Error::downcast`].
pub struct ArchiveReader {
    path: PathBuf,
    size_bytes: Option<u64>,
    ahead: Ahead,
    /// How many stored bytes were read.
    progress: Arc<AtomicU64>,
    /// Data that was read but not yet consumed.
    current: Bytes,
    end: Option<End>,
}

/// How the reading ended.
enum End {
    /// With the snapshot's tally, unless it is the one of the stored bytes.
    Reached(Option<SizeAndDigest>),
    /// With an error, which was already returned.
    Failed,
}

/// Digests of an archive that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Of the bytes on disk, if they had to be proven.
    pub stored: Option<SizeAndDigest>,
    /// Of the snapshot in it.
    pub snapshot: SizeAndDigest,
}

impl ArchiveReader {
    /// Opens an archive of `manifest`. In the backup directory it must be a regular file in the collection's own directory; links
    /// are not followed.
    ///
    /// # Errors
    /// Any [`ArchiveError`] except `Corrupt`.
    pub fn open(
        source: &Source,
        manifest: &Manifest,
        archive: &Archive,
        prove: Prove,
    ) -> Result<Self, ArchiveError> {
        let path = named(source, path(source.layout(), manifest, archive)?);
        check_encoding(&path, &archive.encoding)?;
        let (stored, size_bytes) = open_stored(source, &path, manifest, archive)?;
        let mut reader = Self::new(stored, &path, &archive.encoding, prove)?;
        reader.size_bytes = size_bytes;
        Ok(reader)
    }

    /// As [`ArchiveReader::open`], but returns the stored bytes without decoding.
    ///
    /// # Errors
    /// As [`ArchiveReader::open`], but never `Unsupported`.
    pub fn open_stored(
        source: &Source,
        manifest: &Manifest,
        archive: &Archive,
    ) -> Result<Self, ArchiveError> {
        let path = named(source, path(source.layout(), manifest, archive)?);
        let (stored, size_bytes) = open_stored(source, &path, manifest, archive)?;
        let mut reader = Self::start(Stored::new(stored), &path, None)?;
        reader.size_bytes = size_bytes;
        Ok(reader)
    }

    /// Reads from `source`, which is stored with `encoding`. `path` is only used in errors.
    ///
    /// # Errors
    /// `Unsupported` if the encoding is unknown; `Io` if there is no memory for a decoder or a thread.
    pub fn new(
        source: impl Read + Send + 'static,
        path: &Path,
        encoding: &[Encoding],
        prove: Prove,
    ) -> Result<Self, ArchiveError> {
        check_encoding(path, encoding)?;
        let format = match encoding.first() {
            None => None,
            Some(Encoding::Zstd) => Some(Format::Zstd),
            Some(Encoding::Gzip | Encoding::Other(_)) => Some(Format::Gzip),
        };
        let stored = Stored::new(Box::new(source));
        // Without a format, the snapshot is stored directly: both digests are the same.
        let stored = if prove == Prove::File || format.is_none() { stored } else { stored.untallied() };
        Self::start(stored, path, format)
    }

    fn start(stored: Stored, path: &Path, format: Option<Format>) -> Result<Self, ArchiveError> {
        let progress = stored.progress();
        let ahead = ahead::start(stored, format, path).map_err(|source| io_error(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            size_bytes: None,
            ahead,
            progress,
            current: Bytes::new(),
            end: None,
        })
    }

    /// Size of the file when it was opened, in bytes, if this opened it.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// Number of stored bytes read from disk so far, including data read ahead.
    pub fn read_bytes(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// The next available bytes, without a copy. Empty at the end.
    ///
    /// # Errors
    /// `Io` and `Corrupt`.
    pub fn next_piece(&mut self) -> Result<Bytes, ArchiveError> {
        self.fill()?;
        Ok(std::mem::take(&mut self.current))
    }

    /// Reads the rest of the file, and returns the digests of everything.
    ///
    /// # Errors
    /// `Io` and `Corrupt`.
    pub fn finish(mut self) -> Result<Digests, ArchiveError> {
        while !self.next_piece()?.is_empty() {}
        let snapshot = match self.end {
            Some(End::Reached(tally)) => tally,
            Some(End::Failed) | None => None,
        };
        let stored = stop(self.ahead, &self.path)?.finish();
        let snapshot = snapshot.or(stored).ok_or_else(|| io_error(&self.path, thread_died()))?;
        Ok(Digests { stored, snapshot })
    }

    /// The rest of the stored bytes without decoding. After decoding has failed, only their digest can still be computed. It
    /// includes the bytes read before, if the file had to be proven.
    ///
    /// # Errors
    /// `Io`, when no thread can be started.
    pub fn into_stored(self) -> Result<Self, ArchiveError> {
        let stored = stop(self.ahead, &self.path)?;
        Ok(Self { size_bytes: self.size_bytes, ..Self::start(stored, &self.path, None)? })
    }

    /// Fills `current`, except at the end.
    fn fill(&mut self) -> Result<&[u8], ArchiveError> {
        if self.current.is_empty() {
            match &self.end {
                Some(End::Reached(_)) => {}
                Some(End::Failed) => {
                    return Err(io_error(&self.path, io::Error::other("an earlier read failed")));
                }
                None => self.receive()?,
            }
        }
        Ok(&self.current)
    }

    fn receive(&mut self) -> Result<(), ArchiveError> {
        let error = match self.ahead.snapshot.recv() {
            Ok(Next::Piece(bytes)) => {
                self.current = bytes;
                return Ok(());
            }
            Ok(Next::End(tally)) => {
                self.end = Some(End::Reached(tally));
                return Ok(());
            }
            Ok(Next::Failed(error)) => error,
            Err(_) => io_error(&self.path, thread_died()),
        };
        self.end = Some(End::Failed);
        Err(error)
    }
}

/// Stops reading, and returns the stored bytes.
fn stop(ahead: Ahead, path: &Path) -> Result<Stored, ArchiveError> {
    let Ahead { snapshot, reading } = ahead;
    drop(snapshot);
    reading.join().map_err(|_| io_error(path, thread_died()))
}

fn io_error(path: &Path, source: io::Error) -> ArchiveError {
    ArchiveError::Io { path: path.to_owned(), source }
}

impl BufRead for ArchiveReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.fill()?)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(self.current.len().min(amount));
    }
}

impl Read for ArchiveReader {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.fill()?.read(target)?;
        self.consume(count);
        Ok(count)
    }
}

impl std::fmt::Debug for ArchiveReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ArchiveReader").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Path of the archive. The manifest was checked when it was read, but the check that the name is not a path is repeated here,
/// because it is critical.
fn path(layout: &Layout, manifest: &Manifest, archive: &Archive) -> Result<PathBuf, ArchiveError> {
    let name = Path::new(&archive.file_name);
    let path = layout.collection(&manifest.collection).join(name);
    if name.file_name() != Some(name.as_os_str()) {
        return Err(ArchiveError::NotAFile { path });
    }
    Ok(path)
}

/// Whether this program supports this encoding.
pub fn is_readable(encoding: &[Encoding]) -> bool {
    matches!(encoding, [] | [Encoding::Gzip | Encoding::Zstd])
}

fn check_encoding(path: &Path, encoding: &[Encoding]) -> Result<(), ArchiveError> {
    if is_readable(encoding) {
        return Ok(());
    }
    let names: Vec<&str> = encoding.iter().map(Encoding::as_str).collect();
    let encoding = qdrant_backup_shared::text::shortened(&names.join("+"), 80);
    Err(ArchiveError::Unsupported { path: path.to_owned(), encoding })
}

/// Name of the archive in messages. For an offsite place it is not a path.
fn named(source: &Source, path: PathBuf) -> PathBuf {
    match path.file_name() {
        Some(name) if source.is_elsewhere() => PathBuf::from(name),
        Some(_) | None => path,
    }
}

/// The stored bytes, and their number if it is known in advance.
fn open_stored(
    source: &Source,
    path: &Path,
    manifest: &Manifest,
    archive: &Archive,
) -> Result<(Box<dyn Read + Send>, Option<u64>), ArchiveError> {
    match source.place() {
        None => open_file(path)
            .map(|(file, size_bytes)| (Box::new(file) as Box<dyn Read + Send>, Some(size_bytes))),
        Some(place) => {
            let stored = place.open(manifest, archive).map_err(|error| io_error(path, error))?;
            Ok((stored, None))
        }
    }
}

fn open_file(path: &Path) -> Result<(File, u64), ArchiveError> {
    let io_error = |source: io::Error| io_error(path, source);
    // Without NONBLOCK, opening a pipe would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Err(ArchiveError::Missing { path: path.to_owned() }),
        Err(Errno::LOOP) => return Err(ArchiveError::NotAFile { path: path.to_owned() }),
        Err(error) => return Err(io_error(error.into())),
    };
    let metadata = file.metadata().map_err(io_error)?;
    if !metadata.is_file() {
        return Err(ArchiveError::NotAFile { path: path.to_owned() });
    }
    Ok((file, metadata.len()))
}

#[cfg(test)]
mod tests;
