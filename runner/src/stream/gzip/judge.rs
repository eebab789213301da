//! Deciding how a block is compressed, by looking at a little of it.
//!
//! Vectors are most of a snapshot and hardly shrink: their low bytes are noise. What shrinks of them, the skewed high bytes, Huffman
//! coding alone finds; searching them for repetitions only costs time. Payloads and indexes shrink to a fraction.

use zlib_rs::{DeflateConfig, ReturnCode, Strategy, compress_slice};

use crate::stream::blocks::{PIECE_BYTES, pieces};

/// How a block is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// As it is.
    Store,
    /// Huffman-coded, without a search for repetitions.
    Huffman,
    /// Compressed in full.
    Full,
}

/// Pieces of a block that are looked at.
const PIECES: usize = 8;
/// Pieces that are compressed on trial.
const TRIALS: usize = 3;

/// A search for repetitions must gain this much on Huffman coding alone.
const WORTH_A_SEARCH: f64 = 0.90;
/// Huffman coding must leave no more than this.
const WORTH_CODING: f64 = 0.90;

/// The level of zlib-rs for full compression, and for trials: 1 makes noise larger, more costs more than it saves.
pub const FULL_LEVEL: i32 = 2;

/// Chooses the method for `block`.
pub fn judge(block: &[u8]) -> Method {
    let coded = entropy(block);
    if trial(block) < coded * WORTH_A_SEARCH {
        Method::Full
    } else if coded <= WORTH_CODING {
        Method::Huffman
    } else {
        Method::Store
    }
}

/// What Huffman coding would leave of the block, as a share: the entropy of single bytes, but at least a bit for each.
fn entropy(block: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    let mut total = 0_u32;
    for piece in pieces(block, PIECES) {
        for byte in piece {
            counts[usize::from(*byte)] += 1;
            total += 1;
        }
    }
    if total == 0 {
        return 1.0;
    }
    let total = f64::from(total);
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum();
    bits.max(1.0) / 8.0
}

/// What full compression leaves of a few pieces, as a share.
fn trial(block: &[u8]) -> f64 {
    let config = DeflateConfig {
        level: FULL_LEVEL,
        window_bits: -15,
        strategy: Strategy::Default,
        ..DeflateConfig::default()
    };
    let mut output = [0; PIECE_BYTES * 2];
    let (mut before, mut after) = (0, 0);
    for piece in pieces(block, TRIALS) {
        let (compressed, result) = compress_slice(&mut output, piece, config);
        before += piece.len();
        after += if result == ReturnCode::Ok { compressed.len() } else { piece.len() };
    }
    if before == 0 { 1.0 } else { after as f64 / before as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            })
            .collect()
    }

    #[expect(clippy::cast_possible_truncation, reason = "test data")]
    #[test]
    fn noise_is_stored_text_is_compressed_and_skewed_bytes_are_coded() {
        assert_eq!(judge(&noise(1 << 19)), Method::Store);
        let text: Vec<u8> =
            b"the quick brown fox jumps over the lazy dog ".iter().copied().cycle().take(1 << 19).collect();
        assert_eq!(judge(&text), Method::Full);
        assert_eq!(judge(&vec![0; 1 << 19]), Method::Full);
        // Skewed and without repetitions: sums of noise.
        let (a, b, c) = (noise(1 << 21), 1 << 19, 1 << 20);
        let skewed: Vec<u8> = (0..1 << 19)
            .map(|i| ((u32::from(a[i]) + u32::from(a[i + b]) + u32::from(a[i + c])) / 12) as u8)
            .collect();
        assert_eq!(judge(&skewed), Method::Huffman);
    }

    #[test]
    fn short_and_empty_blocks_are_judged_too() {
        assert_eq!(judge(&[]), Method::Store);
        judge(&[1]);
        judge(&noise(5000));
    }
}
