//! Cutting the stored bytes into parts as they are read.

use std::io::{self, Read};

use super::parts::Format;
use super::pool::{Buffer, Pool};
use super::stored::Stored;

/// Bytes that are read at once where there are no parts.
const READ_BYTES: usize = 512 << 10;

/// What comes next in an archive.
pub(super) enum Cut {
    /// What claims to be one whole part.
    Part(Buffer),
    /// Bytes of which nothing is known.
    Loose(Buffer),
    /// The disk failed. This says nothing about the archive.
    Failed(io::Error),
    /// The file's end.
    End,
}

/// Reads the stored bytes, each once and in order.
pub(super) struct Cutter {
    stored: Stored,
    /// Which parts to look for; none after the first bytes that are not one, because where another begins is not known.
    format: Option<Format>,
    pool: Pool,
    /// The beginning of the next part, which was read with the last one.
    carried: Vec<u8>,
    ended: bool,
    failure: Option<io::Error>,
}

impl Cutter {
    /// Without a format everything is loose.
    pub(super) fn new(stored: Stored, format: Option<Format>, pool: Pool) -> Self {
        Self { stored, format, pool, carried: Vec::new(), ended: false, failure: None }
    }

    pub(super) fn next(&mut self) -> Cut {
        let mut buffer = self.pool.take();
        buffer.extend(&self.carried);
        self.carried.clear();
        if let Some(format) = self.format {
            self.fill(&mut buffer, format.header_bytes());
            if let Some(length) = format.part_bytes(buffer.as_ref()) {
                self.fill(&mut buffer, length + format.header_bytes());
                if let Some((_, next)) = buffer.as_ref().split_at_checked(length) {
                    self.carried.extend_from_slice(next);
                    buffer.truncate(length);
                    return Cut::Part(buffer);
                }
            }
            self.format = None;
        }
        self.fill(&mut buffer, READ_BYTES);
        if !buffer.is_empty() {
            return Cut::Loose(buffer);
        }
        self.failure.take().map_or(Cut::End, Cut::Failed)
    }

    /// The stored bytes with the tally of what was read.
    pub(super) fn into_stored(self) -> Stored {
        self.stored
    }

    /// Reads until `buffer` holds `total` bytes, or to the end or a failure, which is told when nothing is left before it.
    fn fill(&mut self, buffer: &mut Buffer, total: usize) {
        while buffer.len() < total && !self.ended {
            match self.stored.read(buffer.room(total)) {
                Ok(0) => self.ended = true,
                Ok(count) => buffer.advance(count),
                Err(failure) => {
                    self.failure = Some(failure);
                    self.ended = true;
                }
            }
        }
    }
}
