//! Fuzz targets for snapshots, walked as a tar, and for stored archives, decoded on all cores.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken promise ends the run")]

use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use qdrant_backup_shared::fuzzing::assert_line;
use qdrant_backup_shared::manifest::Encoding;
use sha2::{Digest, Sha256};

use crate::archive::inspect::{Inspection, Limits, inspect};
use crate::archive::read::{ArchiveError, ArchiveReader, Prove};

/// Maximum number of decoded bytes to compare, so that a decompression bomb ends.
const COMPARED_BYTES: u64 = 4 << 20;
/// The start of a part of a gzip archive, before its four length bytes.
const PART: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'Q', b'B', 4, 0];

/// A snapshot: the input itself, and the input with correct header checksums, without which little else is read.
pub fn snapshot(data: &[u8]) {
    look(data);
    let mut fitting = data.to_vec();
    put_checksums_right(&mut fitting);
    if fitting != data {
        look(&fitting);
    }
}

fn look(bytes: &[u8]) {
    let inspection = within(bytes, &Limits::default());
    inspection.shard_keys();
    inspection.holds_no_points();
    // In pieces of any size.
    let in_pieces = inspect(&mut BufReader::with_capacity(61, bytes), &Limits::default()).unwrap();
    assert_eq!(in_pieces, inspection);
    let tight = Limits {
        max_kept_member_bytes: 64,
        max_kept_total_bytes: 128,
        max_extension_bytes: 32,
        max_members: 8,
        max_shards: 2,
        max_segments: 2,
        max_findings: 2,
        ..Limits::default()
    };
    within(bytes, &tight);
}

fn within(bytes: &[u8], limits: &Limits) -> Inspection {
    let mut rest = bytes;
    let inspection = inspect(&mut rest, limits).unwrap();
    assert!(rest.is_empty(), "{} bytes were not looked at", rest.len());
    assert_eq!(inspection.uncompressed_bytes, bytes.len() as u64);
    assert!(inspection.shards.len() <= limits.max_shards);
    assert!(
        inspection.shards.values().map(|shard| shard.segments.len()).sum::<usize>() <= limits.max_segments
    );
    // The number of findings that are not listed.
    assert!(inspection.findings.len() <= limits.max_findings + 1);
    for finding in &inspection.findings {
        assert_line(&finding.to_string());
    }
    inspection
}

/// Corrects the checksum of every block that looks like a header.
fn put_checksums_right(bytes: &mut [u8]) {
    for block in bytes.as_chunks_mut::<512>().0 {
        if block[257..262] != *b"ustar" {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// A gzip archive: the input itself, and the input with correct checksums.
pub fn gzip(data: &[u8]) {
    stored(data, &Encoding::Gzip);
    let mut fitting = data.to_vec();
    put_trailers_right(&mut fitting);
    if fitting != data {
        stored(&fitting, &Encoding::Gzip);
    }
}

/// An archive in Zstandard.
pub fn zstd(data: &[u8]) {
    stored(data, &Encoding::Zstd);
}

/// Decodes on all cores, and sequentially with only the libraries. The results must be the same.
fn stored(bytes: &[u8], encoding: &Encoding) {
    let one_by_one = match encoding {
        Encoding::Zstd => read(zstd::Decoder::with_buffer(bytes).unwrap()),
        Encoding::Gzip | Encoding::Other(_) => read(MultiGzDecoder::new(bytes)),
    };
    let source = std::io::Cursor::new(bytes.to_vec());
    let mut reader =
        ArchiveReader::new(source, Path::new("archive"), std::slice::from_ref(encoding), Prove::File)
            .unwrap();
    let ahead = read(&mut reader);
    let common = ahead.bytes.len().min(one_by_one.bytes.len());
    assert!(ahead.bytes[..common] == one_by_one.bytes[..common], "decoded otherwise");
    if ahead.bytes.len() as u64 >= COMPARED_BYTES || one_by_one.bytes.len() as u64 >= COMPARED_BYTES {
        return;
    }
    // The library accepts a file without any frame.
    let whole = one_by_one.error.is_none() && !bytes.is_empty();
    assert_eq!(ahead.error.is_none(), whole, "{:?}, and one by one {:?}", ahead.error, one_by_one.error);
    let stored = if let Some(error) = ahead.error {
        let error = error.downcast::<ArchiveError>().unwrap();
        assert!(matches!(error, ArchiveError::Corrupt { .. }), "{error}");
        assert_line(&error.to_string());
        reader.into_stored().unwrap().finish().unwrap().stored
    } else {
        let digests = reader.finish().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(ahead.bytes.len(), one_by_one.bytes.len());
        assert_eq!(digests.snapshot.size_bytes, ahead.bytes.len() as u64);
        assert_eq!(digests.snapshot.sha256.as_bytes()[..], Sha256::digest(&ahead.bytes)[..]);
        digests.stored
    };
    let stored = stored.unwrap();
    assert_eq!(stored.size_bytes, bytes.len() as u64);
    assert_eq!(stored.sha256.as_bytes()[..], Sha256::digest(bytes)[..]);
}

struct Decoded {
    bytes: Vec<u8>,
    error: Option<std::io::Error>,
}

fn read(decoder: impl Read) -> Decoded {
    let mut bytes = Vec::new();
    let error = decoder.take(COMPARED_BYTES).read_to_end(&mut bytes).err();
    Decoded { bytes, error }
}

/// Corrects the checksum and the length of every part that contains its length and can be inflated.
fn put_trailers_right(bytes: &mut [u8]) {
    let starts: Vec<usize> = bytes
        .windows(PART.len())
        .enumerate()
        .filter(|(_, window)| **window == PART)
        .map(|(at, _)| at)
        .collect();
    for at in starts {
        let Some(part) = bytes.get_mut(at..) else { continue };
        let Some(length) = part.get(16..20).and_then(|length| length.try_into().ok()) else { continue };
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        let Some(part) = part.get_mut(..length).filter(|part| part.len() >= 28) else { continue };
        let (body, trailer) = part.split_at_mut(length - 8);
        let inflated = read(DeflateDecoder::new(&body[20..]));
        if inflated.error.is_some() {
            continue;
        }
        let mut sum = flate2::Crc::new();
        sum.update(&inflated.bytes);
        trailer[..4].copy_from_slice(&sum.sum().to_le_bytes());
        trailer[4..].copy_from_slice(&sum.amount().to_le_bytes());
    }
}
