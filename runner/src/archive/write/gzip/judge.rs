//! Deciding how a section of a block is compressed, by looking at a little of it.
//!
//! Vectors are most of a snapshot and hardly shrink: their low bytes are noise, and what little can be had of the rest costs more time than
//! everything else together, when they are read again as well. Payloads and indexes shrink to a fraction.

use super::deflater::Deflater;
use crate::archive::write::blocks::{PIECE_BYTES, pieces};

/// How a section is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// As it is.
    Store,
    /// Compressed.
    Deflate,
    /// Compressed as what consists of runs.
    DeflateRuns,
}

/// Pieces of a section that are looked at.
const PIECES: usize = 2;

/// Where so little is left, there are runs.
const RUNS: f64 = 0.02;
/// Compression must leave no more than this.
const WORTH_COMPRESSING: f64 = 0.90;

/// Entropies that differ by less are those of bytes of one kind.
const ALIKE: f64 = 0.02;
/// After so many sections a trial is made anew, however much they are alike.
const SECTIONS_A_TRIAL: usize = 4;

/// Judges the sections of one block, one after the other.
pub struct Judge<'a> {
    /// Makes the trials.
    deflater: &'a mut Deflater,
    last: Option<Last>,
}

/// The section that a trial was last made of.
struct Last {
    entropy: f64,
    method: Method,
    /// For how many more it may stand.
    left: usize,
}

impl<'a> Judge<'a> {
    /// One that has seen nothing yet.
    pub fn new(deflater: &'a mut Deflater) -> Self {
        Self { deflater, last: None }
    }

    /// Chooses the method for the next section. A trial costs most of the time that judging takes, so one stands for the sections
    /// that follow and look alike.
    pub fn judge(&mut self, section: &[u8]) -> Method {
        let entropy = entropy(section);
        if let Some(last) = &mut self.last
            && last.left > 0
            && (last.entropy - entropy).abs() < ALIKE
        {
            last.left -= 1;
            return last.method;
        }
        // The code of a short trial takes its share of what it leaves; of more it would be less, as the entropy says.
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

/// What Huffman coding would leave of the section, as a share: the entropy of single bytes, but at least a bit for each.
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

/// What compression leaves of its beginning, as a share.
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
        // Looks like noise, byte by byte, and is the same all over.
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
