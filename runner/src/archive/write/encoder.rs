//! Encodes a snapshot for storage.

use std::io::{self, Write};

use qdrant_backup_shared::manifest::Encoding;

use super::blocks::BlockWriter;
use super::gzip::Members;
use super::zstd::Frames;

/// How archives are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// gzip (RFC 1952), optimized for speed: vectors hardly compress.
    Gzip,
    /// Zstandard (RFC 8878), also optimized for speed.
    Zstd,
    /// Uncompressed.
    None,
}

impl Compression {
    /// The encodings for the manifest, in order of application.
    pub fn encoding(self) -> Vec<Encoding> {
        match self {
            Self::Gzip => vec![Encoding::Gzip],
            Self::Zstd => vec![Encoding::Zstd],
            Self::None => Vec::new(),
        }
    }
}

/// Encodes the written data and passes it on.
pub enum Encoder<W> {
    /// Passes it on unchanged.
    Plain(W),
    /// Compresses it.
    Blocks(BlockWriter<W>),
}

impl<W: Write> Encoder<W> {
    /// An encoder that writes to `inner`.
    ///
    /// # Errors
    /// When the threads of the compressor cannot be started.
    pub fn new(compression: Compression, inner: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(inner),
            Compression::Gzip => Self::Blocks(BlockWriter::new(inner, Members::new)?),
            Compression::Zstd => Self::Blocks(BlockWriter::new(inner, Frames::new)?),
        })
    }

    /// Writes all pending data. Without this call, the file is truncated without an error.
    ///
    /// # Errors
    /// When the writer underneath fails.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(inner) => Ok(inner),
            Self::Blocks(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.write(buffer),
            Self::Blocks(encoder) => encoder.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(inner) => inner.flush(),
            Self::Blocks(encoder) => encoder.flush(),
        }
    }
}
