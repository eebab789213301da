//! The bulk data of a generated snapshot.

use bytes::Bytes;

use super::mix::mix;

/// The length of the vectors.
pub(crate) const DIMENSIONS: usize = 1024;

/// The number of directions that dominate in embeddings.
const RANK: usize = 24;
/// Embeddings and payload alternate in stretches that have this many bytes together.
const STRETCH_BYTES: usize = 4 << 20;
const PAYLOAD_BYTES: usize = 1 << 20;
/// A stretch of a sparse snapshot, and how much of it is data. The rest is zeros.
const SPARSE_STRETCH_BYTES: usize = 1 << 20;
const WRITTEN_BYTES: usize = 128 << 10;

/// The kind of a generated snapshot's bulk data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FillKind {
    /// Random floats between -1 and 1.
    #[default]
    Random,
    /// Repetitive text, which compresses well.
    Text,
    /// Random vectors of length 1. No other floats compress worse.
    Unit,
    /// Vectors of length 1 like those of models, mostly in a few directions, and payload made of words.
    Embeddings,
    /// Files with holes, and zeros where a log was allocated but not written.
    Sparse,
}

/// The block from which fill data is sliced.
pub(crate) fn base(kind: FillKind, len: usize) -> Bytes {
    let mut random = Random(mix(0x9e37_79b9) | 1);
    let mut bytes = Vec::with_capacity(len + DIMENSIONS * 4);
    match kind {
        FillKind::Random => uniform(&mut bytes, len, &mut random),
        FillKind::Text => {
            let line = "{\"source\":\"wiki\",\"lang\":\"en\",\"text\":\"lorem ipsum dolor sit amet\"}\n";
            bytes.extend_from_slice(line.repeat(len / line.len() + 1).as_bytes());
        }
        FillKind::Unit => vectors(&mut bytes, len, &mut random, gaussian),
        FillKind::Embeddings => {
            let directions = directions(&mut random);
            while bytes.len() < len {
                let until = bytes.len() + STRETCH_BYTES - PAYLOAD_BYTES;
                vectors(&mut bytes, until, &mut random, |random| embedding(random, &directions));
                payload(&mut bytes, until + PAYLOAD_BYTES, &mut random);
            }
        }
        FillKind::Sparse => {
            while bytes.len() < len {
                let until = bytes.len() + WRITTEN_BYTES;
                vectors(&mut bytes, until, &mut random, gaussian);
                bytes.resize(until + SPARSE_STRETCH_BYTES - WRITTEN_BYTES, 0);
            }
        }
    }
    bytes.truncate(len);
    bytes.into()
}

/// Makes every mebibyte of filling unique, so that a swapped block changes the digest.
pub(crate) fn stamp(kind: FillKind, seed: u64, block: u64, len: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(len);
    if kind == FillKind::Text {
        let text = format!("block {block} of the text generated from {seed}");
        bytes.extend_from_slice(format!("{text:<width$}\n", width = len - 1).as_bytes());
    } else {
        uniform(&mut bytes, len, &mut Random(mix(mix(seed) ^ block) | 1));
    }
    bytes.truncate(len);
    bytes.into()
}

/// A small generator with the same output on every machine.
struct Random(u64);

impl Random {
    fn number(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    /// Between -1 and 1.
    fn float(&mut self) -> f32 {
        self.number() as i32 as f32 / 2_147_483_648.0
    }

    /// Approximately normally distributed.
    fn normal(&mut self) -> f32 {
        self.float() + self.float() + self.float()
    }
}

fn uniform(bytes: &mut Vec<u8>, until: usize, random: &mut Random) {
    while bytes.len() < until {
        bytes.extend_from_slice(&random.float().to_le_bytes());
    }
}

/// Vectors from `make`, normalized to length 1.
fn vectors(
    bytes: &mut Vec<u8>,
    until: usize,
    random: &mut Random,
    mut make: impl FnMut(&mut Random) -> Vec<f32>,
) {
    while bytes.len() < until {
        let vector = make(random);
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        for value in vector {
            bytes.extend_from_slice(&(value / length).to_le_bytes());
        }
    }
    bytes.truncate(until);
}

fn gaussian(random: &mut Random) -> Vec<f32> {
    (0..DIMENSIONS).map(|_| random.normal()).collect()
}

fn directions(random: &mut Random) -> Vec<Vec<f32>> {
    (0..RANK).map(|_| gaussian(random)).collect()
}

/// Mostly the first directions, with decreasing weight, and some noise.
fn embedding(random: &mut Random, directions: &[Vec<f32>]) -> Vec<f32> {
    let mut vector: Vec<f32> = (0..DIMENSIONS).map(|_| 0.3 * random.float()).collect();
    for (number, direction) in directions.iter().enumerate() {
        let weight = random.normal() / (1.0 + number as f32).sqrt();
        for (value, part) in vector.iter_mut().zip(direction) {
            *value += weight * part;
        }
    }
    vector
}

/// Payload of points as JSON: a few repeated keys, and common words more often than rare ones.
fn payload(bytes: &mut Vec<u8>, until: usize, random: &mut Random) {
    const SYLLABLES: [&str; 16] = [
        "an", "ber", "con", "di", "est", "for", "ga", "hin", "in", "lo", "men", "or", "per", "ti", "un",
        "ver",
    ];
    while bytes.len() < until {
        let start = format!("{{\"id\":\"{:08x}{:08x}\",\"text\":\"", random.number(), random.number());
        bytes.extend_from_slice(start.as_bytes());
        for _ in 0..40 {
            // The lower of two random numbers, so that words at the start of the list are more frequent.
            let mut word = random.number().min(random.number()) >> 20;
            for _ in 0..=word % 3 {
                bytes.extend_from_slice(SYLLABLES[word as usize % SYLLABLES.len()].as_bytes());
                word /= 16;
            }
            bytes.push(b' ');
        }
        let end = format!("\",\"source\":\"wiki\",\"chunk\":{}}}\n", random.number() % 500);
        bytes.extend_from_slice(end.as_bytes());
    }
    bytes.truncate(until);
}
