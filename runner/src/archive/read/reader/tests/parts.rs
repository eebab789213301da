//! Archives of parts that contain their length: valid, with false lengths, and damaged. The result must be the same
//! as that of the gzip and zstd decoders for the whole file.

use std::sync::mpsc;
use std::time::Duration;

use super::*;

const FORMATS: [(Compression, Encoding); 2] =
    [(Compression::Gzip, Encoding::Gzip), (Compression::Zstd, Encoding::Zstd)];

/// One part.
fn part(compression: Compression, data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(compression, Vec::new()).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// The position of a part's length.
fn length_field(compression: Compression) -> std::ops::Range<usize> {
    if compression == Compression::Gzip { 16..20 } else { 8..12 }
}

/// The reader's result, and its digest of the stored bytes, which must always be right.
fn ours(stored: &[u8], encoding: &Encoding) -> Result<Vec<u8>, ArchiveError> {
    let mut reader = ArchiveReader::new(
        io::Cursor::new(stored.to_vec()),
        Path::new("a"),
        std::slice::from_ref(encoding),
        Prove::File,
    )
    .unwrap();
    let mut snapshot = Vec::new();
    match reader.read_to_end(&mut snapshot) {
        Ok(_) => {
            let digests = reader.finish().unwrap();
            is(digests.stored.unwrap(), stored);
            is(digests.snapshot, &snapshot);
            Ok(snapshot)
        }
        Err(error) => {
            is(reader.into_stored().unwrap().finish().unwrap().stored.unwrap(), stored);
            Err(error.downcast::<ArchiveError>().unwrap())
        }
    }
}

/// The plain decoder's result.
fn plainly(stored: &[u8], encoding: &Encoding) -> io::Result<Vec<u8>> {
    let mut snapshot = Vec::new();
    if *encoding == Encoding::Gzip {
        flate2::bufread::MultiGzDecoder::new(stored).read_to_end(&mut snapshot)?;
    } else {
        zstd::Decoder::with_buffer(stored)?.read_to_end(&mut snapshot)?;
    }
    Ok(snapshot)
}

#[test]
fn a_length_that_lies_changes_nothing_of_what_is_read() {
    let data = data();
    let pieces = [&data[..400_000], &data[400_000..400_100], &data[400_100..900_000], &data[900_000..]];
    for (compression, encoding) in FORMATS {
        let parts = pieces.map(|piece| part(compression, piece));
        let field = length_field(compression);
        for liar in 0..parts.len() {
            let start = parts[..liar].iter().map(Vec::len).sum::<usize>();
            let truth = u32::from_le_bytes(parts[liar][field.clone()].try_into().unwrap());
            let next = u32::try_from(parts.get(liar + 1).map_or(7, Vec::len)).unwrap();
            for lie in [
                0,
                1,
                truth / 2,
                truth - 1,
                truth + 1,
                truth + 12,
                truth + next / 2,
                truth + next,
                1 << 20,
                (1 << 20) + 1,
                u32::MAX,
            ] {
                let mut stored = parts.concat();
                stored[start..][field.clone()].copy_from_slice(&lie.to_le_bytes());
                let told = format!("{compression:?}: {lie} instead of {truth} in part {liar}");
                assert!(ours(&stored, &encoding).expect(&told) == data, "{told}");
            }
        }
    }
}

#[test]
fn whatever_is_done_to_an_archive_the_plain_decoders_agree() {
    let seed = match std::env::var("QDRANT_BACKUP_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("QDRANT_BACKUP_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut whole, mut corrupt) = (0, 0);
    for round in 0..600 {
        let (compression, encoding) = &FORMATS[round % 2];
        let mut parts: Vec<Vec<u8>> = (0..random.usize(1..5))
            .map(|_| {
                // Some parts are compressible, some are not.
                let mask = random.choice([1_u8, 0xff]).unwrap();
                let piece: Vec<u8> = (0..random.usize(..3000)).map(|_| random.u8(..) & mask).collect();
                part(*compression, &piece)
            })
            .collect();
        let field = length_field(*compression);
        let lying = random.usize(..parts.len());
        if random.bool() {
            let lie = random.u32(..4000).to_le_bytes();
            parts[lying][field.clone()].copy_from_slice(&lie);
        }
        if random.bool() {
            let (one, other) = (random.usize(..parts.len()), random.usize(..parts.len()));
            parts.swap(one, other);
        }
        let mut stored = parts.concat();
        match random.u8(..9) {
            0 => stored.truncate(random.usize(..stored.len())),
            1 => stored.extend((0..random.usize(1..40)).map(|_| random.u8(..))),
            2 => stored.extend_from_slice(&vec![0; random.usize(1..600)]),
            3 => {
                let place = random.usize(..stored.len());
                stored[place] ^= random.u8(1..);
            }
            4 => {
                let place = random.usize(..stored.len());
                stored.insert(place, random.u8(..));
            }
            _nothing => {}
        }
        let told = format!("round {round} of seed {seed}");
        match (ours(&stored, encoding), plainly(&stored, encoding)) {
            (Ok(ours), Ok(plainly)) => {
                assert!(ours == plainly, "{told}");
                whole += 1;
            }
            (Err(ArchiveError::Corrupt { position, .. }), Err(_)) => {
                assert!(position <= stored.len() as u64, "{told}: before byte {position}");
                corrupt += 1;
            }
            // For the plain decoder, a file without any frame is complete.
            (Err(_), Ok(plainly)) if stored.is_empty() => assert!(plainly.is_empty(), "{told}"),
            (ours, plainly) => panic!("{told}: {:?} and {:?}", ours.map(drop), plainly.map(drop)),
        }
    }
    assert!(whole > 100 && corrupt > 100, "{whole} whole and {corrupt} corrupt");
}

#[test]
fn a_disk_fault_inside_a_part_or_behind_it_is_no_corruption() {
    for (compression, encoding) in FORMATS {
        let one = part(compression, &data()[..100_000]);
        let stored = [one.as_slice(), &one].concat();
        for end in [1, 11, one.len() - 1, one.len(), one.len() + 5, stored.len() - 1, stored.len()] {
            let error = read(faulty(&stored[..end], true), std::slice::from_ref(&encoding)).unwrap_err();
            assert!(matches!(error, ArchiveError::Io { .. }), "{error}");
            assert!(error.to_string().contains("Input/output error"), "{error}");
        }
    }
}

#[test]
fn corruption_before_a_disk_fault_is_corruption_and_the_fault_is_told_when_the_rest_is_read() {
    for (compression, encoding) in FORMATS {
        let one = part(compression, &data()[..100_000]);
        let mut stored = [one.as_slice(), &one].concat();
        stored[one.len() / 2] ^= 1;
        let mut reader = ArchiveReader::new(
            faulty(&stored, true),
            Path::new("a"),
            std::slice::from_ref(&encoding),
            Prove::File,
        )
        .unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err().downcast::<ArchiveError>().unwrap();
        assert!(matches!(error, ArchiveError::Corrupt { .. }), "{error}");
        let error = reader.into_stored().unwrap().finish().unwrap_err();
        assert!(matches!(error, ArchiveError::Io { .. }), "{error}");
    }
}

/// An archive that repeats one part.
struct Endless {
    part: io::Cursor<Vec<u8>>,
    _gone: mpsc::Sender<()>,
}

impl Read for Endless {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.part.position() == self.part.get_ref().len() as u64 {
            self.part.set_position(0);
        }
        self.part.read(target)
    }
}

#[test]
fn an_archive_is_not_read_much_further_ahead_than_was_taken_and_not_on_when_nobody_wants_it() {
    let data = data();
    for (compression, encoding) in FORMATS {
        for lie in [None, Some(u32::MAX)] {
            let mut part = part(compression, &data[..400_000]);
            if let Some(lie) = lie {
                part[length_field(compression)].copy_from_slice(&lie.to_le_bytes());
            }
            let per_part = part.len() as u64;
            let (_gone, gone) = mpsc::channel();
            let source = Endless { part: io::Cursor::new(part), _gone };
            let mut reader =
                ArchiveReader::new(source, Path::new("a"), std::slice::from_ref(&encoding), Prove::File)
                    .unwrap();
            let mut taken = 0;
            while taken < 40_000_000 {
                taken += reader.next_piece().unwrap().len() as u64;
                let behind = reader.read_bytes().saturating_sub(taken / 400_000 * per_part);
                // Five blocks for each of eight threads, and a few in the queues behind them.
                assert!(behind < 50 * (1 << 20), "{behind} bytes ahead");
            }
            drop(reader);
            let dropped = gone.recv_timeout(Duration::from_secs(120));
            assert_eq!(dropped, Err(mpsc::RecvTimeoutError::Disconnected), "the source was dropped");
        }
    }
}
