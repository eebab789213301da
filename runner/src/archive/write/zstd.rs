//! Zstandard (RFC 8878) on all cores, without wasting time on data that does not compress.
//!
//! Each block becomes a separate frame, with its content size and checksum, so that `zstd` can read the file. Before each frame
//! is a skippable frame with its length, as in the format of `pzstd`. So frames can be found and decompressed in parallel, by
//! `pzstd -d` too.

use std::io;

use zstd::bulk::Compressor;
use zstd::zstd_safe::{CParameter, compress_bound};

use super::blocks::{BlockEncoder, PIECE_BYTES, pieces};

/// The skippable frame: magic number, length of its content, and the length of the next frame.
const SKIPPABLE_START: [u8; 8] = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0];
const SKIPPABLE_BYTES: usize = 12;

/// Level for compressible data: on text and indexes, smaller than gzip and several times as fast.
const LEVEL: i32 = 1;

/// The fastest level. It finds no matches in noise, and so stores it.
const STORE_LEVEL: i32 = -131_072;

/// Number of samples that are compressed.
const TRIALS: usize = 3;

/// If compression leaves more than this, the fastest level is used.
const WORTH_COMPRESSING: f64 = 0.90;

/// Encodes blocks as frames.
pub struct Frames {
    compressor: Compressor<'static>,
    storer: Compressor<'static>,
}

impl Frames {
    /// An encoder for one thread.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new() -> io::Result<Self> {
        Ok(Self { compressor: compressor(LEVEL)?, storer: compressor(STORE_LEVEL)? })
    }

    /// Whether compression is worthwhile, according to samples of the block.
    fn is_worth_compressing(&mut self, block: &[u8]) -> io::Result<bool> {
        let mut output = [0; PIECE_BYTES * 2];
        let (mut before, mut after) = (0, 0);
        for piece in pieces(block, TRIALS) {
            before += piece.len();
            after += self.compressor.compress_to_buffer(piece, &mut output[..])?;
        }
        Ok((after as f64) <= before as f64 * WORTH_COMPRESSING)
    }
}

impl BlockEncoder for Frames {
    fn encode(&mut self, block: &[u8], encoded: &mut Vec<u8>) -> io::Result<()> {
        encoded.resize(SKIPPABLE_BYTES + compress_bound(block.len()), 0);
        let compressor =
            if self.is_worth_compressing(block)? { &mut self.compressor } else { &mut self.storer };
        let length = compressor.compress_to_buffer(block, &mut encoded[SKIPPABLE_BYTES..])?;
        encoded.truncate(SKIPPABLE_BYTES + length);
        let length = u32::try_from(length)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a block of 4 GiB or more"))?;
        encoded[..SKIPPABLE_START.len()].copy_from_slice(&SKIPPABLE_START);
        encoded[SKIPPABLE_START.len()..SKIPPABLE_BYTES].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

fn compressor(level: i32) -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(block: &[u8]) -> Vec<u8> {
        let mut encoded = vec![1, 2, 3];
        Frames::new().unwrap().encode(block, &mut encoded).unwrap();
        encoded
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(1);
        (0..length).map(|_| random.u8(..)).collect()
    }

    #[test]
    fn the_skippable_frame_says_how_long_the_frame_is_and_that_says_how_long_its_content_is() {
        for length in [0, 1, 65_535, 200_000] {
            let block = noise(length);
            let encoded = encode(&block);
            let frame = &encoded[SKIPPABLE_BYTES..];
            assert_eq!(u32::from_le_bytes(encoded[8..12].try_into().unwrap()) as usize, frame.len());
            assert_eq!(zstd::zstd_safe::get_frame_content_size(frame).unwrap(), Some(length as u64));
            assert_eq!(zstd::bulk::decompress(frame, length).unwrap(), block, "the frame alone is whole");
        }
    }

    #[test]
    fn noise_is_stored_and_what_shrinks_is_compressed() {
        let mut frames = Frames::new().unwrap();
        assert!(!frames.is_worth_compressing(&noise(1 << 19)).unwrap());
        assert!(frames.is_worth_compressing(&vec![0; 1 << 19]).unwrap());
        let block = noise(1 << 19);
        // Three bytes of framing for every 128 KiB.
        assert!(encode(&block).len() < block.len() + 100);
        assert!(encode(&vec![7; 1 << 19]).len() < 200);
    }

    #[test]
    fn a_flipped_byte_of_stored_noise_does_not_pass() {
        let block = noise(100_000);
        let mut encoded = encode(&block);
        encoded[50_000] ^= 1;
        assert!(zstd::decode_all(encoded.as_slice()).is_err());
    }

    proptest! {
        #[test]
        fn every_block_comes_back(block in proptest::collection::vec(any::<u8>(), 0..200_000), mask in any::<u8>()) {
            let block: Vec<u8> = block.into_iter().map(|byte| byte & mask).collect();
            prop_assert_eq!(zstd::decode_all(encode(&block).as_slice()).unwrap(), block);
        }
    }
}
