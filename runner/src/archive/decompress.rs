//! gzip (RFC 1952) of one or more members, or Zstandard (RFC 8878) of one or more frames, and nothing after the last.

use std::io::{self, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use qdrant_backup_shared::manifest::SizeAndDigest;

use super::error::ArchiveError;
use super::stored::Stored;
use crate::stream::Tally;

/// Bytes that are decoded at once.
const DECODED_BYTES: usize = 256 << 10;

/// The decoded bytes, tallied.
pub(super) struct Decompress {
    decoder: Decoder,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    tally: Tally,
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<Stored>>),
    Zstd(Box<zstd::Decoder<'static, Stored>>),
}

impl Decompress {
    pub(super) fn gzip(stored: Stored) -> Self {
        Self::new(Decoder::Gzip(Box::new(MultiGzDecoder::new(stored))))
    }

    /// # Errors
    /// When there is no memory for the decoder.
    pub(super) fn zstd(stored: Stored) -> io::Result<Self> {
        Ok(Self::new(Decoder::Zstd(Box::new(zstd::Decoder::with_buffer(stored)?))))
    }

    fn new(decoder: Decoder) -> Self {
        let buffer = vec![0; DECODED_BYTES].into_boxed_slice();
        Self { decoder, buffer, start: 0, end: 0, tally: Tally::default() }
    }

    /// The next decoded bytes; none at the end.
    pub(super) fn fill(&mut self, path: &Path) -> Result<&[u8], ArchiveError> {
        if self.start == self.end {
            let result = match &mut self.decoder {
                Decoder::Gzip(decoder) => decoder.read(&mut self.buffer),
                Decoder::Zstd(decoder) => decoder.read(&mut self.buffer),
            };
            // No frame at all passes for a whole file with zstd.
            let result = match result {
                Ok(0) if self.stored().read_bytes() == 0 => Err(io::Error::other("the file is empty")),
                other => other,
            };
            let count = match result {
                Ok(count) => count,
                Err(error) => {
                    let stored = match &mut self.decoder {
                        Decoder::Gzip(decoder) => decoder.get_mut(),
                        Decoder::Zstd(decoder) => decoder.get_mut(),
                    };
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
        match &self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref(),
        }
    }

    /// The bytes underneath, and the tally of the decoded ones.
    pub(super) fn into_parts(self) -> (Stored, SizeAndDigest) {
        let stored = match self.decoder {
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish(),
        };
        (stored, self.tally.finish())
    }
}
