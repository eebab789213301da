//! Writes files of lines, compressed according to their names. A file gets its name only when it is complete.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use qdrant_backup_shared::atomic::{ARCHIVE_MODE, AtomicFile, would_replace};

use super::error::PointsError;
use crate::host::output::is_closed;

/// Fast, with the same compression as archives.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// A file of lines that is being written, or stdout.
pub struct Output {
    to: String,
    encoder: Encoder,
    replace: bool,
}

enum Encoder {
    Plain(BufWriter<Raw>),
    Gzip(GzEncoder<BufWriter<Raw>>),
    Zstd(zstd::Encoder<'static, BufWriter<Raw>>),
}

enum Raw {
    Stdout,
    File(AtomicFile),
}

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout => io::stdout().lock().write(bytes),
            Self::File(file) => file.file().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout => io::stdout().lock().flush(),
            Self::File(file) => file.file().flush(),
        }
    }
}

impl Output {
    /// The file, or stdout for `-`, which is uncompressed. An existing file is only replaced if allowed.
    ///
    /// # Errors
    /// When it exists, or cannot be created.
    pub fn open(path: &Path, replace: bool) -> Result<Self, PointsError> {
        let to = path.display().to_string();
        let failed =
            |source: io::Error| PointsError::File { what: format!("{to} cannot be created"), source };
        if path == Path::new("-") {
            if io::stdout().is_terminal() {
                return Err(failed(io::Error::other("stdout is a terminal; redirect it or give a file")));
            }
            if is_closed() {
                return Err(failed(io::Error::other("it is closed; redirect it or give a file")));
            }
            let encoder = Encoder::Plain(BufWriter::new(Raw::Stdout));
            return Ok(Self { to: "stdout".to_owned(), encoder, replace });
        }
        if would_replace(path).map_err(failed)? && !replace {
            return Err(failed(io::Error::other("it already exists; choose another name")));
        }
        let raw = BufWriter::new(Raw::File(AtomicFile::create(path, ARCHIVE_MODE).map_err(failed)?));
        let encoder = match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Encoder::Gzip(GzEncoder::new(raw, Compression::new(GZIP_LEVEL))),
            Some("zst") => {
                let mut encoder = zstd::Encoder::new(raw, ZSTD_LEVEL).map_err(failed)?;
                encoder.include_checksum(true).map_err(failed)?;
                Encoder::Zstd(encoder)
            }
            Some(_) | None => Encoder::Plain(raw),
        };
        Ok(Self { to, encoder, replace })
    }

    /// Name of the file, for messages.
    pub fn name(&self) -> &str {
        &self.to
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&mut self, line: &str) -> Result<(), PointsError> {
        let written = match &mut self.encoder {
            Encoder::Plain(to) => to.write_all(line.as_bytes()).and_then(|()| to.write_all(b"\n")),
            Encoder::Gzip(to) => to.write_all(line.as_bytes()).and_then(|()| to.write_all(b"\n")),
            Encoder::Zstd(to) => to.write_all(line.as_bytes()).and_then(|()| to.write_all(b"\n")),
        };
        written.map_err(|source| self.failed(source))
    }

    /// Renames the file to its final name.
    ///
    /// # Errors
    /// When it cannot be written completely.
    pub fn finish(self) -> Result<(), PointsError> {
        let Self { to, encoder, replace } = self;
        let failed =
            |source: io::Error| PointsError::File { what: format!("{to} cannot be written"), source };
        let buffer = match encoder {
            Encoder::Plain(buffer) => buffer,
            Encoder::Gzip(gzip) => gzip.finish().map_err(failed)?,
            Encoder::Zstd(zstd) => zstd.finish().map_err(failed)?,
        };
        match buffer.into_inner().map_err(|error| failed(error.into_error()))? {
            Raw::Stdout => io::stdout().lock().flush().map_err(failed),
            Raw::File(file) if replace => file.commit().map_err(|error| failed(error.into())),
            Raw::File(file) => file.commit_new().map_err(|error| failed(error.into())),
        }
    }

    fn failed(&self, source: io::Error) -> PointsError {
        PointsError::File { what: format!("{} cannot be written", self.to), source }
    }
}
