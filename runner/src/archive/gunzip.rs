//! gzip (RFC 1952) of one or more members, and nothing after the last.

use std::io::Read;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use qdrant_backup_shared::manifest::SizeAndDigest;

use super::error::ArchiveError;
use super::stored::Stored;
use crate::stream::Tally;

/// Bytes that are decoded at once.
const DECODED_BYTES: usize = 256 << 10;

/// The decoded bytes, tallied.
pub(super) struct Gunzip {
    decoder: MultiGzDecoder<Stored>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    tally: Tally,
}

impl Gunzip {
    pub(super) fn new(stored: Stored) -> Self {
        Self {
            decoder: MultiGzDecoder::new(stored),
            buffer: vec![0; DECODED_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            tally: Tally::default(),
        }
    }

    /// The next decoded bytes; none at the end.
    pub(super) fn fill(&mut self, path: &Path) -> Result<&[u8], ArchiveError> {
        if self.start == self.end {
            let count = match self.decoder.read(&mut self.buffer) {
                Ok(count) => count,
                Err(error) => {
                    let stored = self.decoder.get_mut();
                    return Err(stored.take_failure(path).unwrap_or_else(|| ArchiveError::Corrupt {
                        path: path.to_owned(),
                        position: stored.read_bytes(),
                        reason: error.to_string(),
                    }));
                }
            };
            self.tally.update(&self.buffer[..count]);
            (self.start, self.end) = (0, count);
        }
        Ok(&self.buffer[self.start..self.end])
    }

    pub(super) fn consume(&mut self, amount: usize) {
        self.start = self.end.min(self.start + amount);
    }

    pub(super) fn stored(&self) -> &Stored {
        self.decoder.get_ref()
    }

    /// The bytes underneath, and the tally of the decoded ones.
    pub(super) fn into_parts(self) -> (Stored, SizeAndDigest) {
        (self.decoder.into_inner(), self.tally.finish())
    }
}
