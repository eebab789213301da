//! Sequential decoder for gzip (RFC 1952) with one or more members, or Zstandard (RFC 8878) with one or more frames, and nothing
//! after the last. Used for archives of other tools, and for data that cannot be decoded in parallel.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::lanes::{Done, Outlet};
use super::parts::Format;
use super::pool::{Buffer, Pool};

/// Number of bytes decoded at once.
const DECODED_BYTES: usize = 256 << 10;

/// Why decoding ended early.
pub(super) enum Fault {
    /// The disk failed.
    Io(io::Error),
    /// The bytes cannot be decoded.
    Corrupt { position: u64, reason: io::Error },
}

/// Decodes stored bytes sequentially.
pub(super) enum Sequential {
    Gzip(Box<MultiGzDecoder<Rest>>),
    Zstd(zstd::Decoder<'static, Rest>),
}

impl Sequential {
    /// # Errors
    /// When there is no memory for the decoder.
    pub(super) fn new(format: Format, rest: Rest) -> io::Result<Self> {
        Ok(match format {
            Format::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(rest))),
            Format::Zstd => Self::Zstd(zstd::Decoder::with_buffer(rest)?),
        })
    }

    /// The next decoded bytes; none at the end.
    pub(super) fn next(&mut self, pool: &Pool) -> Result<Buffer, Fault> {
        let mut plain = pool.take();
        let result = match self {
            Self::Gzip(decoder) => decoder.read(plain.room(DECODED_BYTES)),
            Self::Zstd(decoder) => decoder.read(plain.room(DECODED_BYTES)),
        };
        let rest = match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        };
        match result {
            // zstd accepts an empty file.
            Ok(0) if rest.position == 0 => {
                Err(Fault::Corrupt { position: 0, reason: io::Error::other("the file is empty") })
            }
            Ok(count) => {
                plain.advance(count);
                Ok(plain)
            }
            Err(reason) => Err(match rest.failure.take() {
                Some(failure) => Fault::Io(failure),
                None => Fault::Corrupt { position: rest.position, reason },
            }),
        }
    }
}

/// The stored bytes from one position on, in order. Remembers a disk failure, so that it is never reported as damaged data.
pub(super) struct Rest {
    outlet: Outlet,
    current: Buffer,
    used: usize,
    /// End of `current` in the file.
    position: u64,
    ended: bool,
    failure: Option<io::Error>,
}

impl Rest {
    /// `first`, which ends at `position` in the file, followed by the rest. Nothing more once it has `ended`.
    pub(super) fn new(outlet: Outlet, first: Buffer, position: u64, ended: bool) -> Self {
        Self { outlet, current: first, used: 0, position, ended, failure: None }
    }
}

impl BufRead for Rest {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.current.len() && !self.ended {
            match self.outlet.next() {
                Done::Decoded { stored, .. } | Done::Raw(stored) => {
                    self.position += stored.len() as u64;
                    self.used = 0;
                    self.current = stored;
                }
                Done::End => self.ended = true,
                Done::Failed(failure) => {
                    self.ended = true;
                    let kind = failure.kind();
                    self.failure = Some(failure);
                    return Err(kind.into());
                }
            }
        }
        Ok(&self.current.as_ref()[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used = self.current.len().min(self.used + amount);
    }
}

impl Read for Rest {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(target)?;
        self.consume(count);
        Ok(count)
    }
}
