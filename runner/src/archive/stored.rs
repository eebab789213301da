//! The stored bytes, tallied as they come from the disk.

use std::io::{self, BufRead, Read};
use std::path::Path;

use qdrant_backup_shared::manifest::SizeAndDigest;

use super::error::ArchiveError;
use crate::stream::Tally;

/// Bytes that are read from the file at once.
const READ_BYTES: usize = 256 << 10;

/// A buffered reader that tallies every byte it gets, and remembers a failure of the source, so that it is never
/// taken for a fault of the data.
pub(super) struct Stored {
    source: Box<dyn Read + Send>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    tally: Tally,
    read_bytes: u64,
    failure: Option<io::Error>,
}

impl Stored {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self {
            source,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            tally: Tally::default(),
            read_bytes: 0,
            failure: None,
        }
    }

    /// How many bytes have come from the source.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Why the source failed, if it did. The next call does not say it again.
    pub(super) fn take_failure(&mut self, path: &Path) -> Option<ArchiveError> {
        let source = self.failure.take()?;
        Some(ArchiveError::Io { path: path.to_owned(), source })
    }

    /// Reads what is left and gives the tally of everything.
    pub(super) fn finish(mut self, path: &Path) -> Result<SizeAndDigest, ArchiveError> {
        loop {
            match self.fill_buf() {
                Ok([]) => return Ok(self.tally.finish()),
                Ok(_) => self.start = self.end,
                Err(source) => {
                    return Err(self
                        .take_failure(path)
                        .unwrap_or(ArchiveError::Io { path: path.to_owned(), source }));
                }
            }
        }
    }
}

impl BufRead for Stored {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end {
            match self.source.read(&mut self.buffer) {
                Ok(0) => return Ok(&[]),
                Ok(count) => {
                    self.tally.update(&self.buffer[..count]);
                    self.read_bytes += count as u64;
                    (self.start, self.end) = (0, count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let kind = error.kind();
                    self.failure = Some(error);
                    return Err(kind.into());
                }
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.start = self.end.min(self.start + amount);
    }
}

impl Read for Stored {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(target)?;
        self.consume(count);
        Ok(count)
    }
}
