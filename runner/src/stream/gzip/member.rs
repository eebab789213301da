//! One block as one gzip member (RFC 1952) with one deflate stream (RFC 1951).

use std::io;

use zlib_rs::{DeflateConfig, ReturnCode, Strategy, compress_bound, compress_slice};

use super::judge::{FULL_LEVEL, Method, judge};
use crate::stream::blocks::BlockEncoder;

/// Magic, method 8, an extra field, no time, no hints, unknown system; then the extra field: its length 8, our
/// subfield `QB` of length 4, which holds the member's length in bytes.
const HEADER_BYTES: usize = 20;
const HEADER_START: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'Q', b'B', 4, 0];

/// CRC-32 and length.
const TRAILER_BYTES: usize = 8;

/// What a stored deflate block can hold.
const STORED_MAX_BYTES: usize = 65_535;

/// Makes gzip members of blocks.
#[derive(Debug)]
pub struct Member;

impl BlockEncoder for Member {
    fn encode(&mut self, block: &[u8], encoded: &mut Vec<u8>) -> io::Result<()> {
        encode(block, encoded)
    }
}

/// Writes `block` to `member`, which is emptied first. Blocks are at most a few megabytes.
///
/// # Errors
/// When the compressor fails, which it has no reason to.
fn encode(block: &[u8], member: &mut Vec<u8>) -> io::Result<()> {
    member.clear();
    member.extend_from_slice(&HEADER_START);
    member.extend_from_slice(&[0; HEADER_BYTES - HEADER_START.len()]);
    match judge(block) {
        Method::Store => store(block, member),
        Method::Huffman => compress(block, member, Strategy::HuffmanOnly)?,
        Method::Full => compress(block, member, Strategy::Default)?,
    }
    if member.len() > HEADER_BYTES + stored_bytes(block.len()) {
        // The sample misled: stored, it is never larger than this.
        member.truncate(HEADER_BYTES);
        store(block, member);
    }
    let mut crc = flate2::Crc::new();
    crc.update(block);
    member.extend_from_slice(&crc.sum().to_le_bytes());
    member.extend_from_slice(&length(block.len())?.to_le_bytes());
    let total = length(member.len())?;
    member[HEADER_START.len()..HEADER_BYTES].copy_from_slice(&total.to_le_bytes());
    Ok(())
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
        // At most 65,535, so nothing is cut.
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

fn compress(block: &[u8], member: &mut Vec<u8>, strategy: Strategy) -> io::Result<()> {
    let config = DeflateConfig { level: FULL_LEVEL, window_bits: -15, strategy, ..DeflateConfig::default() };
    let start = member.len();
    member.resize(start + compress_bound(block.len()), 0);
    let (compressed, result) = compress_slice(&mut member[start..], block, config);
    let end = start + compressed.len();
    if result != ReturnCode::Ok {
        return Err(io::Error::other(format!("the compressor failed: {result:?}")));
    }
    member.truncate(end);
    Ok(())
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

    #[test]
    fn the_header_says_how_long_the_member_is() {
        let mut member = Vec::new();
        for length in [0, 1, 65_535, 65_536, 200_000] {
            encode(&vec![7; length], &mut member).unwrap();
            assert_eq!(u32::from_le_bytes(member[16..20].try_into().unwrap()) as usize, member.len());
            assert_eq!(decode(&member), vec![7; length]);
        }
    }

    proptest! {
        #[test]
        fn every_method_gives_back_what_it_was_given(block in proptest::collection::vec(any::<u8>(), 0..200_000), mask in any::<u8>()) {
            let block: Vec<u8> = block.into_iter().map(|byte| byte & mask).collect();
            let mut member = vec![1, 2, 3];
            encode(&block, &mut member).unwrap();
            prop_assert_eq!(decode(&member), block.clone());
            for method in [zlib_rs::Strategy::HuffmanOnly, zlib_rs::Strategy::Default] {
                let mut raw = Vec::new();
                compress(&block, &mut raw, method).unwrap();
                let mut plain = Vec::new();
                flate2::read::DeflateDecoder::new(raw.as_slice()).read_to_end(&mut plain).unwrap();
                prop_assert_eq!(&plain, &block);
            }
            prop_assert!(member.len() <= HEADER_BYTES + TRAILER_BYTES + stored_bytes(block.len()));
        }
    }
}
