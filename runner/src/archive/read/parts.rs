//! The parts of an archive that can be decoded independently. Each is a gzip member that contains its length, or a Zstandard
//! frame after a skippable frame with its length (docs/formats.md).
//!
//! That length is only a hint. A part is valid if decoding it ends exactly there, with the right checksum; then the sequential
//! decoder would have the same result. The sequential decoder handles everything else.

use std::io;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

use super::pool::{Buffer, Pool};

/// Maximum size of a part, stored and decoded. Backups use at most half of it.
const PART_MAX_BYTES: usize = 1 << 20;

/// A gzip member's header up to the length, and the whole header; and the CRC-32 and the length at its end.
const GZIP_START: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'Q', b'B', 4, 0];
const GZIP_HEADER_BYTES: usize = 20;
const GZIP_TRAILER_BYTES: usize = 8;

/// A skippable frame up to the length, and the whole one.
const ZSTD_START: [u8; 8] = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0];
const ZSTD_HEADER_BYTES: usize = 12;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Zstd,
}

impl Format {
    /// Number of bytes at the start of a part that are needed to find its length.
    pub(super) fn header_bytes(self) -> usize {
        match self {
            Self::Gzip => GZIP_HEADER_BYTES,
            Self::Zstd => ZSTD_HEADER_BYTES,
        }
    }

    /// The length of the part that begins with `start`, if it is valid.
    pub(super) fn part_bytes(self, start: &[u8]) -> Option<usize> {
        let claimed = |rest: &[u8]| usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok();
        let bytes = match self {
            Self::Gzip => claimed(start.strip_prefix(&GZIP_START)?)?,
            Self::Zstd => claimed(start.strip_prefix(&ZSTD_START)?)?.checked_add(ZSTD_HEADER_BYTES)?,
        };
        (self.header_bytes()..=PART_MAX_BYTES).contains(&bytes).then_some(bytes)
    }
}

/// Decodes parts. Each thread has its own.
pub(super) enum PartDecoder {
    Gzip(Decompress),
    Zstd(Decompressor<'static>),
}

impl PartDecoder {
    /// # Errors
    /// When there is no memory for it.
    pub(super) fn new(format: Format) -> io::Result<Self> {
        Ok(match format {
            Format::Gzip => Self::Gzip(Decompress::new(false)),
            Format::Zstd => Self::Zstd(Decompressor::new()?),
        })
    }

    /// The contents of `part`. None unless it is exactly one part.
    pub(super) fn decode(&mut self, part: &[u8], pool: &Pool) -> Option<Buffer> {
        let mut plain = pool.take();
        match self {
            Self::Gzip(inflater) => gzip(inflater, part, &mut plain)?,
            Self::Zstd(decompressor) => {
                let frames = part.get(ZSTD_HEADER_BYTES..)?;
                let size = bounded(get_frame_content_size(frames).ok()??)?;
                let count = decompressor.decompress_to_buffer(frames, plain.room(size)).ok()?;
                plain.advance(count);
            }
        }
        Some(plain)
    }
}

fn gzip(inflater: &mut Decompress, member: &[u8], plain: &mut Buffer) -> Option<()> {
    let (body, trailer) = member.split_last_chunk::<GZIP_TRAILER_BYTES>()?;
    let deflated = body.get(GZIP_HEADER_BYTES..)?;
    let (crc, size) = trailer.split_first_chunk::<4>()?;
    let size = bounded(u64::from(u32::from_le_bytes(*size.first_chunk()?)))?;
    inflater.reset(false);
    let room = plain.room(size);
    let status = inflater.decompress(deflated, room, FlushDecompress::Finish).ok()?;
    let mut sum = Crc::new();
    sum.update(room);
    let whole = status == Status::StreamEnd
        && inflater.total_in() == deflated.len() as u64
        && inflater.total_out() == size as u64
        && sum.sum() == u32::from_le_bytes(*crc);
    plain.advance(size);
    whole.then_some(())
}

/// A decoded length that a part may have.
fn bounded(bytes: u64) -> Option<usize> {
    usize::try_from(bytes).ok().filter(|bytes| *bytes <= PART_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::archive::write::{Compression, Encoder};

    fn part(compression: Compression, data: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn only_a_whole_part_and_no_byte_more_or_less_is_decoded() {
        for (compression, format) in [(Compression::Gzip, Format::Gzip), (Compression::Zstd, Format::Zstd)] {
            let pool = Pool::default();
            let mut decoder = PartDecoder::new(format).unwrap();
            let whole = part(compression, b"hello world");
            let mut plain = |bytes: &[u8]| Some(decoder.decode(bytes, &pool)?.as_ref().to_vec());
            for cut in 0..whole.len() {
                assert_eq!(plain(&whole[..cut]), None, "{format:?} cut to {cut}");
            }
            for damaged in format.header_bytes()..whole.len() {
                let mut bytes = whole.clone();
                bytes[damaged] ^= 1;
                assert_ne!(plain(&bytes), Some(b"hello world".to_vec()), "{format:?} at {damaged}");
            }
            assert_eq!(plain(&[whole.as_slice(), b"\0"].concat()), None);
            assert_eq!(plain(&whole), Some(b"hello world".to_vec()), "it is none the worse for it");
        }
    }

    #[test]
    fn what_claims_or_holds_more_than_a_part_can_is_left_to_the_sequential_decoder() {
        let pool = Pool::default();
        let mut inflater = PartDecoder::new(Format::Gzip).unwrap();
        // Two million zeros in one member: with its true length, and with one that is bearable.
        let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflated.write_all(&vec![0; 2_000_000]).unwrap();
        let deflated = deflated.finish().unwrap();
        for claimed in [2_000_000_u32, u32::MAX, 1 << 20, 5] {
            let member = [&[0; GZIP_HEADER_BYTES], &deflated[..], &[0; 4], &claimed.to_le_bytes()].concat();
            assert!(inflater.decode(&member, &pool).is_none(), "{claimed}");
        }
        let mut decompressor = PartDecoder::new(Format::Zstd).unwrap();
        let frame = zstd::bulk::compress(&vec![0; 2_000_000], 1).unwrap();
        let bytes = [&[0; ZSTD_HEADER_BYTES], &frame[..]].concat();
        assert!(decompressor.decode(&bytes, &pool).is_none());
    }
}
