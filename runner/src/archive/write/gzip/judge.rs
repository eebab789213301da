//! Decides how to compress a section of a block, using samples.
//!
//! Vectors are most of a snapshot and hardly compress: their low bytes are noise, and the small gain on the rest
//! would take more time than everything else, also when reading. Payloads and indexes shrink to a fraction.

use super::deflater::Deflater;
use crate::archive::write::blocks::{PIECE_BYTES, pieces};

/// Method for a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Stored.
    Store,
    /// Compressed.
    Deflate,
    /// Compressed as runs.
    DeflateRuns,
}

/// Number of samples of a section.
const PIECES: usize = 2;

/// If compression leaves less than this, the data consists of runs.
const RUNS: f64 = 0.02;
/// If compression leaves more than this, the data is stored.
const WORTH_COMPRESSING: f64 = 0.90;

/// If entropies differ by less than this, the data is of the same kind.
const ALIKE: f64 = 0.02;
/// Maximum number of sections between two trials, however similar they are.
const SECTIONS_A_TRIAL: usize = 4;

/// Judges the sections of one block, one after the other.
pub struct Judge<'a> {
    /// The compressor for trials.
    deflater: &'a mut Deflater,
    last: Option<Last>,
}

/// The section of the last trial.
struct Last {
    entropy: f64,
    method: Method,
    /// Number of further sections that this trial is valid for.
    left: usize,
}

impl<'a> Judge<'a> {
    /// A new judge.
    pub fn new(deflater: &'a mut Deflater) -> Self {
        Self { deflater, last: None }
    }

    /// Chooses the method for the next section. Trials are expensive, so one is valid for similar sections after it.
    pub fn judge(&mut self, section: &[u8]) -> Method {
        let entropy = entropy(section);
        if let Some(last) = &mut self.last
            && last.left > 0
            && (last.entropy - entropy).abs() < ALIKE
        {
            last.left -= 1;
            return last.method;
        }
        // The code table is a large part of a short trial. For more data it would be smaller, as the entropy shows.
        let tried = trial(section, self.deflater);
        let method = if tried <= RUNS {
            Method::DeflateRuns
        } else if entropy.min(tried) <= WORTH_COMPRESSING {
            Method::Deflate
        } else {
            Method::Store
        };
        self.last = Some(Last { entropy, method, left: SECTIONS_A_TRIAL - 1 });
        method
    }
}

/// The share of the section that Huffman coding would leave: the entropy of single bytes, but at least one bit each.
fn entropy(section: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    let mut total = 0_u32;
    for piece in pieces(section, PIECES) {
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

/// The compressed size of its beginning, as a share.
fn trial(section: &[u8], deflater: &mut Deflater) -> f64 {
    let piece = &section[..section.len().min(PIECE_BYTES)];
    if piece.is_empty() {
        return 1.0;
    }
    let mut output = [0; PIECE_BYTES * 2];
    let left = deflater.deflate(piece, &mut output).unwrap_or(piece.len());
    left as f64 / piece.len() as f64
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

    fn judged(section: &[u8]) -> Method {
        Judge::new(&mut Deflater::new().unwrap()).judge(section)
    }

    #[expect(clippy::cast_possible_truncation, reason = "test data")]
    #[test]
    fn noise_is_stored_and_what_repeats_itself_or_is_skewed_is_compressed() {
        assert_eq!(judged(&noise(1 << 16)), Method::Store);
        let text: String =
            (0..2000).map(|i| format!("the quick brown fox jumps over {i} lazy dogs ")).collect();
        assert_eq!(judged(text.as_bytes()), Method::Deflate);
        assert_eq!(judged(&vec![0; 1 << 16]), Method::DeflateRuns);
        // Skewed and without repetitions: sums of noise.
        let (a, b, c) = (noise(1 << 18), 1 << 16, 1 << 17);
        let skewed: Vec<u8> = (0..1 << 16)
            .map(|i| ((u32::from(a[i]) + u32::from(a[i + b]) + u32::from(a[i + c])) / 12) as u8)
            .collect();
        assert_eq!(judged(&skewed), Method::Deflate);
    }

    #[test]
    fn one_trial_stands_for_some_sections_that_look_alike_and_for_no_others() {
        let mut deflater = Deflater::new().unwrap();
        let mut judge = Judge::new(&mut deflater);
        let noise = noise(4 << 16);
        let mut sections = noise.chunks(1 << 16);
        // Looks like noise byte by byte, but is the same everywhere.
        let repeated = noise[..2 << 10].repeat(1 << 5);
        assert_eq!(judge.judge(sections.next().unwrap()), Method::Store);
        assert_eq!(judge.judge(&[0; 1 << 16]), Method::DeflateRuns, "looks different");
        for section in sections {
            assert_eq!(judge.judge(section), Method::Store);
        }
        assert_eq!(judge.judge(&repeated), Method::Store, "the last of four");
        assert_eq!(judge.judge(&repeated), Method::Deflate, "and now it is tried");
    }

    #[test]
    fn short_and_empty_sections_are_judged_too() {
        assert_eq!(judged(&[]), Method::Store);
        judged(&[1]);
        judged(&noise(5000));
    }
}
