//! Cuts the stored bytes into parts while they are read.

use std::io::{self, Read};

use super::parts::Format;
use super::pool::{Buffer, Pool};
use super::stored::Stored;

/// Read size if there are no parts.
const READ_BYTES: usize = 512 << 10;

/// The next piece of an archive.
pub(super) enum Cut {
    /// Apparently a whole part.
    Part(Buffer),
    /// Bytes without a known structure.
    Loose(Buffer),
    /// The disk failed, not the archive.
    Failed(io::Error),
    /// The file's end.
    End,
}

/// Reads the stored bytes, each once and in order.
pub(super) struct Cutter {
    stored: Stored,
    /// The format of the parts. None after the first bytes that are not a part, because the start of the next part is then
    /// unknown.
    format: Option<Format>,
    pool: Pool,
    /// The beginning of the next part, which was read together with the last one.
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

    /// Reads until `buffer` has `total` bytes, or until the end or a failure. A failure is reported after the data before it.
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::archive::read::parts::PartDecoder;
    use crate::archive::write::{Compression, Encoder};

    const FORMATS: [(Compression, Format); 2] =
        [(Compression::Gzip, Format::Gzip), (Compression::Zstd, Format::Zstd)];

    fn cutter(source: impl Read + Send + 'static, format: Format) -> Cutter {
        Cutter::new(Stored::new(Box::new(source)), Some(format), Pool::default())
    }

    #[test]
    fn what_backups_write_is_parts_and_nothing_else() {
        // Noise, noise of fewer bits, and zeros.
        let mut random = fastrand::Rng::with_seed(1);
        let mut data: Vec<u8> = (0..600_000).map(|_| random.u8(..)).collect();
        data.extend((0..600_000).map(|_| random.u8(..64)));
        data.resize(2_000_000, 0);
        for (compression, format) in FORMATS {
            let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
            encoder.write_all(&data).unwrap();
            let mut cutter = cutter(io::Cursor::new(encoder.finish().unwrap()), format);
            let mut decoder = PartDecoder::new(format).unwrap();
            let (mut plain, mut parts) = (Vec::new(), 0);
            loop {
                match cutter.next() {
                    Cut::Part(part) => {
                        let decoded = decoder.decode(part.as_ref(), &Pool::default()).unwrap();
                        plain.extend_from_slice(decoded.as_ref());
                        parts += 1;
                    }
                    Cut::End => break,
                    Cut::Loose(_) | Cut::Failed(_) => panic!("{format:?}: not a part, after {parts}"),
                }
            }
            assert!(plain == data, "{format:?}");
            // One frame per block. A new member also starts where the kind of data changes.
            assert_eq!(parts, if format == Format::Gzip { 6 } else { 4 }, "{format:?}");
        }
    }

    #[test]
    fn a_length_beyond_all_measure_is_not_believed() {
        for (format, start) in [
            (Format::Gzip, &b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x08\0QB\x04\0\xff\xff\xff\xff"[..]),
            (Format::Zstd, &b"\x50\x2a\x4d\x18\x04\0\0\0\xff\xff\xff\xff"[..]),
        ] {
            let mut cutter = cutter(start.chain(io::repeat(0)), format);
            for _ in 0..3 {
                match cutter.next() {
                    Cut::Loose(bytes) => assert_eq!(bytes.len(), READ_BYTES),
                    Cut::Part(_) | Cut::Failed(_) | Cut::End => panic!("{format:?}"),
                }
            }
        }
    }
}
