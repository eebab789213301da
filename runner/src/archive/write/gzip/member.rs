//! One block as gzip members (RFC 1952), each with one deflate stream (RFC 1951).

use std::io;

use super::deflater::Deflater;
use super::judge::{Judge, Method};
use crate::archive::write::blocks::{BlockEncoder, PIECE_BYTES};

/// Section size. Adjacent sections of the same kind become one member, so that vectors are not compressed only because text
/// follows in the same block, which would be slow.
const SECTION_BYTES: usize = 64 << 10;

/// Magic, method 8, an extra field, no time, no hints, unknown system; then the extra field: its length 8, our
/// subfield `QB` of length 4, which holds the member's length in bytes.
const HEADER_BYTES: usize = 20;
const HEADER_START: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'Q', b'B', 4, 0];

/// CRC-32 and length.
const TRAILER_BYTES: usize = 8;

/// Maximum size of a stored deflate block.
const STORED_MAX_BYTES: usize = 65_535;

/// Encodes blocks as gzip members.
pub struct Members {
    deflater: Deflater,
}

impl Members {
    /// An encoder for one thread.
    ///
    /// # Errors
    /// When the compressor cannot be created.
    pub fn new() -> io::Result<Self> {
        Ok(Self { deflater: Deflater::new()? })
    }

    /// Splits `block` into stretches of the same kind, with the method for each.
    fn stretches<'a>(&mut self, block: &'a [u8]) -> Vec<(Method, &'a [u8])> {
        let mut stretches = Vec::with_capacity(block.len() / SECTION_BYTES + 1);
        let mut judge = Judge::new(&mut self.deflater);
        // An empty block is one empty stretch.
        let (mut start, mut method, mut at) = (0, Method::Store, 0);
        while at < block.len() {
            // The rest would be too short for its own section.
            let left = block.len() - at;
            let end = if left < SECTION_BYTES + PIECE_BYTES { block.len() } else { at + SECTION_BYTES };
            let next = judge.judge(&block[at..end]);
            if at > start && next != method {
                stretches.push((method, &block[start..at]));
                start = at;
            }
            (method, at) = (next, end);
        }
        stretches.push((method, &block[start..]));
        stretches
    }

    /// Appends `plain` to `members` as a member.
    fn append(&mut self, method: Method, plain: &[u8], members: &mut Vec<u8>) -> io::Result<()> {
        let start = members.len();
        members.extend_from_slice(&HEADER_START);
        members.extend_from_slice(&[0; HEADER_BYTES - HEADER_START.len()]);
        // The sample may be wrong: if the result would be longer than this, the data is stored.
        let bound = stored_bytes(plain.len());
        if !compress(&mut self.deflater, method, plain, members, bound) {
            store(plain, members);
        }
        let mut crc = flate2::Crc::new();
        crc.update(plain);
        members.extend_from_slice(&crc.sum().to_le_bytes());
        members.extend_from_slice(&length(plain.len())?.to_le_bytes());
        let total = length(members.len() - start)?;
        members[start + HEADER_START.len()..start + HEADER_BYTES].copy_from_slice(&total.to_le_bytes());
        Ok(())
    }
}

impl BlockEncoder for Members {
    fn encode(&mut self, block: &[u8], encoded: &mut Vec<u8>) -> io::Result<()> {
        encoded.clear();
        for (method, plain) in self.stretches(block) {
            self.append(method, plain, encoded)?;
        }
        Ok(())
    }
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a block of 4 GiB or more"))
}

/// The length of `bytes` as stored deflate blocks.
fn stored_bytes(bytes: usize) -> usize {
    bytes + 5 * bytes.div_ceil(STORED_MAX_BYTES).max(1)
}

fn store(block: &[u8], member: &mut Vec<u8>) {
    member.reserve(stored_bytes(block.len()) + TRAILER_BYTES);
    let mut rest = block;
    loop {
        let (piece, behind) = rest.split_at(rest.len().min(STORED_MAX_BYTES));
        rest = behind;
        // At most 65,535, so nothing is lost.
        let count = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        member.push(u8::from(rest.is_empty()));
        member.extend_from_slice(&count.to_le_bytes());
        member.extend_from_slice(&(!count).to_le_bytes());
        member.extend_from_slice(piece);
        if rest.is_empty() {
            return;
        }
    }
}

/// Appends `plain` as a compressed stream. False if it should be stored, or does not fit into `bound` bytes.
fn compress(
    deflater: &mut Deflater,
    method: Method,
    plain: &[u8],
    members: &mut Vec<u8>,
    bound: usize,
) -> bool {
    let deflate = match method {
        Method::Store => return false,
        Method::Deflate => Deflater::deflate,
        Method::DeflateRuns => Deflater::deflate_runs,
    };
    let start = members.len();
    members.resize(start + bound, 0);
    let count = deflate(deflater, plain, &mut members[start..]);
    members.truncate(start + count.unwrap_or_default());
    count.is_some()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn decode(member: &[u8]) -> Vec<u8> {
        let mut decoder = flate2::bufread::GzDecoder::new(member);
        let mut plain = Vec::new();
        decoder.read_to_end(&mut plain).unwrap();
        assert!(decoder.into_inner().is_empty(), "the member ends where it says");
        plain
    }

    fn encoded(block: &[u8]) -> Vec<u8> {
        let mut members = vec![1, 2, 3];
        Members::new().unwrap().encode(block, &mut members).unwrap();
        members
    }

    #[test]
    fn the_header_says_how_long_the_member_is() {
        for length in [0, 1, 65_535, 65_536, 200_000] {
            let member = encoded(&vec![7; length]);
            assert_eq!(u32::from_le_bytes(member[16..20].try_into().unwrap()) as usize, member.len());
            assert_eq!(decode(&member), vec![7; length]);
        }
    }

    #[test]
    fn what_is_of_different_kinds_becomes_different_members() {
        let mut random = fastrand::Rng::with_seed(1);
        let section = SECTION_BYTES;
        // Noise, zeros from the middle of a section on, noise again, and a little more noise than fits.
        let mut block: Vec<u8> = (0..2 * section).map(|_| random.u8(..)).collect();
        block.resize(5 * section + 7, 0);
        block.extend((0..2 * section).map(|_| random.u8(..)));
        let lengths = |block: &[u8]| -> Vec<(Method, usize)> {
            let mut members = Members::new().unwrap();
            members.stretches(block).iter().map(|(method, bytes)| (*method, bytes.len())).collect()
        };
        assert_eq!(
            lengths(&block),
            [
                (Method::Store, 2 * section),
                (Method::DeflateRuns, 3 * section),
                (Method::Store, 2 * section + 7)
            ]
        );
        assert_eq!(lengths(&[]), [(Method::Store, 0)]);
        let members = encoded(&block);
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(members.as_slice()).read_to_end(&mut plain).unwrap();
        assert!(plain == block);
        assert!(members.len() < 4 * section + 2_000, "{}", members.len());
    }

    proptest! {
        #[test]
        fn every_method_gives_back_what_it_was_given(block in proptest::collection::vec(any::<u8>(), 0..200_000), mask in any::<u8>()) {
            let block: Vec<u8> = block.into_iter().map(|byte| byte & mask).collect();
            let member = encoded(&block);
            prop_assert_eq!(decode(&member), block.clone());
            let mut deflater = Deflater::new().unwrap();
            for method in [Method::Deflate, Method::DeflateRuns] {
                // Twice, because the second stream reuses the memory of the first one.
                for block in [&block[..], &block[block.len() / 3..]] {
                    let mut raw = Vec::new();
                    prop_assert!(compress(&mut deflater, method, block, &mut raw, block.len() * 2 + 1_000));
                    let mut plain = Vec::new();
                    flate2::read::DeflateDecoder::new(raw.as_slice()).read_to_end(&mut plain).unwrap();
                    prop_assert_eq!(&plain, block);
                }
            }
            prop_assert!(member.len() <= HEADER_BYTES + TRAILER_BYTES + stored_bytes(block.len()));
        }
    }
}
