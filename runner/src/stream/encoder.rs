//! From snapshot bytes to stored bytes.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use qdrant_backup_shared::manifest::Encoding;

/// The lowest level at which zlib-rs does not make incompressible data larger; level 1 adds 5 % to vectors.
const LEVEL: u32 = 2;

/// How archives are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As gzip (RFC 1952), fast rather than small: vectors hardly compress.
    Gzip,
    /// As they are.
    None,
}

impl Compression {
    /// What the manifest says of it, in order of application.
    pub fn encoding(self) -> Vec<Encoding> {
        match self {
            Self::Gzip => vec![Encoding::Gzip],
            Self::None => Vec::new(),
        }
    }
}

/// Encodes what is written and passes it on.
#[derive(Debug)]
pub enum Encoder<W: Write> {
    /// Passes it on unchanged.
    Plain(W),
    /// Compresses it. Boxed: its state is large.
    Gzip(Box<GzEncoder<W>>),
}

impl<W: Write> Encoder<W> {
    /// An encoder that writes to `inner`.
    pub fn new(compression: Compression, inner: W) -> Self {
        match compression {
            Compression::None => Self::Plain(inner),
            Compression::Gzip => Self::Gzip(Box::new(GzEncoder::new(inner, flate2::Compression::new(LEVEL)))),
        }
    }

    /// Writes what is still held back and the trailer. An encoder that is only dropped leaves a
    /// file that looks good and is not.
    ///
    /// # Errors
    /// When the writer underneath fails.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(inner) => Ok(inner),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.write(buffer),
            Self::Gzip(encoder) => encoder.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(inner) => inner.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let data: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut encoder = Encoder::new(Compression::Gzip, Vec::new());
        encoder.write_all(&data).unwrap();
        let stored = encoder.finish().unwrap();
        let mut decoded = Vec::new();
        flate2::read::MultiGzDecoder::new(stored.as_slice()).read_to_end(&mut decoded).unwrap();
        assert!(decoded == data);
        assert!(stored.len() < data.len());

        let mut encoder = Encoder::new(Compression::None, Vec::new());
        encoder.write_all(&data).unwrap();
        assert!(encoder.finish().unwrap() == data);
    }
}
