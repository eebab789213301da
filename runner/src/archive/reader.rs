//! One stored archive as the snapshot that is in it.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use qdrant_backup_shared::Layout;
use qdrant_backup_shared::manifest::{Archive, Encoding, Manifest, SizeAndDigest};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::decompress::Decompress;
use super::error::ArchiveError;
use super::stored::Stored;

/// Reads an archive and gives the snapshot's bytes. Whoever reads on to [`ArchiveReader::finish`] learns the
/// digests of both; before that nothing that was read can be trusted.
///
/// Its I/O errors hold an [`ArchiveError`], to be had with [`io::Error::downcast`].
pub struct ArchiveReader {
    path: PathBuf,
    size_bytes: Option<u64>,
    decoder: Decoder,
}

/// What an archive that was read to its end has been found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// Of the bytes on disk.
    pub stored: SizeAndDigest,
    /// Of the snapshot in it.
    pub snapshot: SizeAndDigest,
}

enum Decoder {
    Plain(Stored),
    Compressed(Box<Decompress>),
}

impl ArchiveReader {
    /// Opens an archive of `manifest`. Only a regular file in the collection's own directory is read; links are not
    /// followed.
    ///
    /// # Errors
    /// Each of [`ArchiveError`] but `Corrupt`.
    pub fn open(layout: &Layout, manifest: &Manifest, archive: &Archive) -> Result<Self, ArchiveError> {
        let path = path(layout, manifest, archive)?;
        check_encoding(&path, &archive.encoding)?;
        let (file, size_bytes) = open_file(&path)?;
        let mut reader = Self::new(file, &path, &archive.encoding)?;
        reader.size_bytes = Some(size_bytes);
        Ok(reader)
    }

    /// As [`ArchiveReader::open`], but gives the stored bytes as they are, whatever they mean.
    ///
    /// # Errors
    /// As [`ArchiveReader::open`], but never `Unsupported`.
    pub fn open_stored(
        layout: &Layout,
        manifest: &Manifest,
        archive: &Archive,
    ) -> Result<Self, ArchiveError> {
        let path = path(layout, manifest, archive)?;
        let (file, size_bytes) = open_file(&path)?;
        Ok(Self { path, size_bytes: Some(size_bytes), decoder: Decoder::Plain(Stored::new(Box::new(file))) })
    }

    /// Reads from `source`, which is stored with `encoding`; `path` is only named in errors.
    ///
    /// # Errors
    /// `Unsupported`, when the encoding is not known; `Io` without memory for a decoder.
    pub fn new(
        source: impl Read + Send + 'static,
        path: &Path,
        encoding: &[Encoding],
    ) -> Result<Self, ArchiveError> {
        check_encoding(path, encoding)?;
        let stored = Stored::new(Box::new(source));
        let failed = |source: io::Error| ArchiveError::Io { path: path.to_owned(), source };
        let decoder = match encoding.first() {
            None => Decoder::Plain(stored),
            Some(Encoding::Zstd) => Decoder::Compressed(Box::new(Decompress::zstd(stored).map_err(failed)?)),
            Some(Encoding::Gzip | Encoding::Other(_)) => {
                Decoder::Compressed(Box::new(Decompress::gzip(stored)))
            }
        };
        Ok(Self { path: path.to_owned(), size_bytes: None, decoder })
    }

    /// The file's length in bytes when it was opened, where it was this that opened it.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// How many stored bytes were read from the disk so far.
    pub fn read_bytes(&self) -> u64 {
        match &self.decoder {
            Decoder::Plain(stored) => stored.read_bytes(),
            Decoder::Compressed(decompress) => decompress.stored().read_bytes(),
        }
    }

    /// Reads what is left, to the file's very end, and gives the digests of everything.
    ///
    /// # Errors
    /// `Io` and `Corrupt`.
    pub fn finish(mut self) -> Result<Digests, ArchiveError> {
        loop {
            let count = self.fill()?.len();
            if count == 0 {
                break;
            }
            self.consume(count);
        }
        match self.decoder {
            Decoder::Plain(stored) => {
                let stored = stored.finish(&self.path)?;
                Ok(Digests { stored, snapshot: stored })
            }
            Decoder::Compressed(decompress) => {
                let (stored, snapshot) = decompress.into_parts();
                Ok(Digests { stored: stored.finish(&self.path)?, snapshot })
            }
        }
    }

    /// The rest of the stored bytes as they are: once decoding has failed, their digest is all that can still be
    /// learnt. What was read before is in it.
    #[must_use]
    pub fn into_stored(self) -> Self {
        let stored = match self.decoder {
            Decoder::Plain(stored) => stored,
            Decoder::Compressed(decompress) => decompress.into_parts().0,
        };
        Self { decoder: Decoder::Plain(stored), ..self }
    }

    fn fill(&mut self) -> Result<&[u8], ArchiveError> {
        match &mut self.decoder {
            Decoder::Plain(stored) => {
                if let Err(source) = stored.fill_buf() {
                    let path = self.path.clone();
                    return Err(stored.take_failure(&path).unwrap_or(ArchiveError::Io { path, source }));
                }
                // What is there is given again without reading.
                stored.fill_buf().map_err(|source| ArchiveError::Io { path: self.path.clone(), source })
            }
            Decoder::Compressed(decompress) => decompress.fill(&self.path),
        }
    }
}

impl BufRead for ArchiveReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.fill()?)
    }

    fn consume(&mut self, amount: usize) {
        match &mut self.decoder {
            Decoder::Plain(stored) => stored.consume(amount),
            Decoder::Compressed(decompress) => decompress.consume(amount),
        }
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

/// Where the archive lies. The manifest was checked when it was read; that its name is no path is checked again,
/// because everything hangs on it.
fn path(layout: &Layout, manifest: &Manifest, archive: &Archive) -> Result<PathBuf, ArchiveError> {
    let name = Path::new(&archive.file_name);
    let path = layout.collection(&manifest.collection).join(name);
    if name.file_name() != Some(name.as_os_str()) {
        return Err(ArchiveError::NotAFile { path });
    }
    Ok(path)
}

/// Whether this program can read what is stored so.
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

fn open_file(path: &Path) -> Result<(File, u64), ArchiveError> {
    let io_error = |source: io::Error| ArchiveError::Io { path: path.to_owned(), source };
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
