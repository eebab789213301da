//! Valid and damaged archives, and sources that fail.

use std::io::Write;

use qdrant_backup_shared::atomic;
use sha2::{Digest, Sha256};

use super::*;
use crate::archive::write::{Compression, Encoder};

mod parts;

const MANIFEST: &str = include_str!("../../../../../shared/testdata/manifest-v1.json");

/// Returns its bytes in small pieces, with interruptions. Fails at the end if configured.
struct Faulty {
    bytes: Vec<u8>,
    position: usize,
    fails: bool,
    interrupted: bool,
}

impl Read for Faulty {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let rest = &self.bytes[self.position..];
        if rest.is_empty() && self.fails {
            return Err(io::Error::from_raw_os_error(5));
        }
        let count = rest.len().min(target.len()).min(1000);
        target[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Ok(count)
    }
}

fn faulty(bytes: &[u8], fails: bool) -> Faulty {
    Faulty { bytes: bytes.to_vec(), position: 0, fails, interrupted: false }
}

fn data() -> Vec<u8> {
    (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(2));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Several frames with skippable ones between them, as in backups.
fn zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Compression::Zstd, Vec::new()).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

type Compress = fn(&[u8]) -> Vec<u8>;

/// Each compression, and its name in manifests.
const COMPRESSED: [(Compress, Encoding); 2] = [(gzip, Encoding::Gzip), (zstd, Encoding::Zstd)];

fn read(
    source: impl Read + Send + 'static,
    encoding: &[Encoding],
) -> Result<(Vec<u8>, Digests), ArchiveError> {
    let mut reader = ArchiveReader::new(source, Path::new("a.gz"), encoding, Prove::File)?;
    let mut snapshot = Vec::new();
    reader
        .by_ref()
        .take(1_000_000)
        .read_to_end(&mut snapshot)
        .map_err(|error| error.downcast::<ArchiveError>().unwrap())?;
    Ok((snapshot, reader.finish()?))
}

fn is(found: SizeAndDigest, bytes: &[u8]) {
    assert_eq!(found.size_bytes, bytes.len() as u64);
    assert_eq!(found.sha256.as_bytes()[..], Sha256::digest(bytes)[..]);
}

#[test]
fn the_snapshot_comes_out_and_both_digests_are_of_everything() {
    let data = data();
    let mut archives = vec![(data.clone(), vec![])];
    for (compress, encoding) in COMPRESSED {
        let two = [compress(&data[..5000]), compress(&data[5000..])].concat();
        archives.extend([(compress(&data), vec![encoding.clone()]), (two, vec![encoding])]);
    }
    // Like the output of the `zstd` command: one frame, with nothing before it.
    archives.push((zstd::encode_all(data.as_slice(), 3).unwrap(), vec![Encoding::Zstd]));
    for (stored, encoding) in archives {
        let (snapshot, digests) = read(faulty(&stored, false), &encoding).unwrap();
        assert_eq!(snapshot, data[..1_000_000]);
        is(digests.stored.unwrap(), &stored);
        is(digests.snapshot, &data);
    }
}

#[test]
fn the_digest_of_stored_bytes_is_left_out_where_only_the_snapshot_is_to_be_proven() {
    let mut archives = vec![(data(), vec![])];
    archives.extend(COMPRESSED.map(|(compress, encoding)| (compress(&data()), vec![encoding])));
    for (stored, encoding) in archives {
        let source = faulty(&stored, false);
        let reader = ArchiveReader::new(source, Path::new("a"), &encoding, Prove::Snapshot).unwrap();
        let digests = reader.finish().unwrap();
        is(digests.snapshot, &data());
        // For a plain snapshot both are the same.
        assert_eq!(digests.stored, encoding.is_empty().then_some(digests.snapshot));
    }
}

#[test]
fn what_is_not_whole_to_its_end_is_corrupt_and_the_stored_bytes_can_still_be_told() {
    for (compress, encoding) in COMPRESSED {
        let whole = compress(&data());
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        let mut checksum = whole.clone();
        checksum[whole.len() - if encoding == Encoding::Gzip { 8 } else { 4 }] ^= 1;
        let cut = whole[..whole.len() - 1].to_vec();
        let garbage = [whole.as_slice(), b"garbage after the end"].concat();
        let zeros = [whole.as_slice(), &[0; 512]].concat();
        for stored in [flipped, checksum, cut, garbage, zeros, b"nothing like it".to_vec(), Vec::new()] {
            let encoding = std::slice::from_ref(&encoding);
            let mut reader =
                ArchiveReader::new(faulty(&stored, false), Path::new("a"), encoding, Prove::File).unwrap();
            let error = loop {
                match reader.fill_buf() {
                    Ok([]) => panic!("{} bytes pass for whole {encoding:?}", stored.len()),
                    Ok(some) => {
                        let count = some.len();
                        reader.consume(count);
                    }
                    Err(error) => break error,
                }
            };
            let error = error.downcast::<ArchiveError>().unwrap();
            assert!(matches!(error, ArchiveError::Corrupt { .. }), "{error}");
            is(reader.into_stored().unwrap().finish().unwrap().stored.unwrap(), &stored);
        }
    }
}

#[test]
fn a_disk_fault_is_never_taken_for_corruption() {
    for (end, encoding) in [
        (0, vec![Encoding::Gzip]),
        (5000, vec![Encoding::Gzip]),
        (0, vec![Encoding::Zstd]),
        (5000, vec![Encoding::Zstd]),
        (5000, vec![]),
    ] {
        let stored = if encoding == [Encoding::Zstd] { zstd(&data()) } else { gzip(&data()) };
        let error = read(faulty(&stored[..end], true), &encoding).unwrap_err();
        assert!(error.to_string().contains("Input/output error"), "{error}");
        assert_eq!(error.kind(), qdrant_backup_shared::FailureKind::Io);
    }
}

#[test]
fn unknown_encodings_are_refused_by_name() {
    for encoding in [
        vec![Encoding::Gzip, Encoding::Gzip],
        vec![Encoding::Zstd, Encoding::Gzip],
        vec![Encoding::Other("rot13\n".to_owned())],
    ] {
        let error = ArchiveReader::new(io::empty(), Path::new("a"), &encoding, Prove::File).unwrap_err();
        assert!(matches!(error, ArchiveError::Unsupported { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn only_a_regular_file_in_the_collections_directory_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::new(directory.path(), directory.path());
    let source = Source::here(layout.clone());
    let mut manifest: Manifest =
        qdrant_backup_shared::json_file::parse(Path::new("m"), MANIFEST.as_bytes()).unwrap();
    let inside = layout.collection(&manifest.collection);
    std::fs::create_dir_all(&inside).unwrap();
    let archive = manifest.archives[0].clone();
    let path = inside.join(&archive.file_name);
    let open = || ArchiveReader::open(&source, &manifest, &archive, Prove::Snapshot);

    assert!(matches!(open(), Err(ArchiveError::Missing { .. })));
    atomic::write(&directory.path().join("outside"), 0o600, &gzip(b"x")).unwrap();
    std::os::unix::fs::symlink(directory.path().join("outside"), &path).unwrap();
    assert!(matches!(open(), Err(ArchiveError::NotAFile { .. })));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(open(), Err(ArchiveError::NotAFile { .. })));
    std::fs::remove_dir(&path).unwrap();
    atomic::write(&path, 0o600, &gzip(b"x")).unwrap();
    let reader = open().unwrap();
    assert_eq!(reader.size_bytes(), Some(gzip(b"x").len() as u64));
    is(reader.finish().unwrap().snapshot, b"x");
    is(
        ArchiveReader::open_stored(&source, &manifest, &archive).unwrap().finish().unwrap().snapshot,
        &gzip(b"x"),
    );

    manifest.archives[0].file_name = "../../outside".to_owned();
    let archive = manifest.archives[0].clone();
    assert!(matches!(
        ArchiveReader::open(&source, &manifest, &archive, Prove::Snapshot),
        Err(ArchiveError::NotAFile { .. })
    ));
}
