//! Counts and hashes written data.

use std::io::{self, Write};

use qdrant_backup_shared::digest::Sha256Digest;
use qdrant_backup_shared::manifest::SizeAndDigest;
use sha2::{Digest, Sha256};

/// Length and SHA-256 of data that arrives in pieces.
#[derive(Debug, Default)]
pub struct Tally {
    size_bytes: u64,
    sha256: Sha256,
}

impl Tally {
    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.size_bytes += piece.len() as u64;
        self.sha256.update(piece);
    }

    /// The number of all bytes and their digest.
    pub fn finish(self) -> SizeAndDigest {
        SizeAndDigest {
            size_bytes: self.size_bytes,
            sha256: Sha256Digest::from_bytes(self.sha256.finalize().into()),
        }
    }
}

/// A writer that tallies its data.
#[derive(Debug)]
pub struct TallyWriter<W> {
    inner: W,
    tally: Tally,
}

impl<W: Write> TallyWriter<W> {
    /// Counts and hashes data written to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, tally: Tally::default() }
    }

    /// The inner writer, and the tally.
    pub fn finish(self) -> (W, SizeAndDigest) {
        (self.inner, self.tally.finish())
    }
}

impl<W: Write> Write for TallyWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.tally.update(&buffer[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts at most three bytes at a time.
    struct Sips(Vec<u8>);

    impl Write for Sips {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            let taken = buffer.len().min(3);
            self.0.extend_from_slice(&buffer[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn exactly_what_the_inner_writer_took_is_tallied() {
        let mut writer = TallyWriter::new(Sips(Vec::new()));
        writer.write_all(b"hello world").unwrap();
        let (inner, tally) = writer.finish();
        assert_eq!(inner.0, b"hello world");
        assert_eq!(tally.size_bytes, 11);
        assert_eq!(
            tally.sha256.to_string(),
            "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
        );
    }
}
