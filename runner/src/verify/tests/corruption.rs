//! Changed bytes and truncated archives with unchanged manifests.

use std::io::Write;

use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::catalog::Whole;
use qdrant_backup_shared::manifest::Encoding;
use qdrant_backup_shared::verification::CheckOutcome;

use super::stored::{COLLECTIONS, Place, describe, genuine, kinds, tally};
use crate::archive::write::{Compression, Encoder};
use crate::verify::Depth;

const ID: &str = "2025-07-15-14-30-00";

/// Every genuine snapshot of a collection: as gzip with one member, as gzip like in backups, as zstd, and
/// uncompressed.
fn backups(place: &Place) -> Vec<(Whole, Vec<u8>)> {
    let mut backups = Vec::new();
    for (number, name) in COLLECTIONS.iter().enumerate() {
        for (form, encoding) in
            [("gzip", vec![Encoding::Gzip]), ("zstd", vec![Encoding::Zstd]), ("plain", vec![])]
        {
            let backup = place.store(&format!("{form}-{number}"), ID, &genuine(name), &encoding);
            let bytes = std::fs::read(place.archive(&backup)).unwrap();
            backups.push((backup, bytes));
        }
        let snapshot = genuine(name);
        let mut encoder = Encoder::new(Compression::Gzip, Vec::new()).unwrap();
        encoder.write_all(&snapshot).unwrap();
        let bytes = encoder.finish().unwrap();
        let mut manifest = describe(&format!("members-{number}"), ID, &snapshot, &[Encoding::Gzip]);
        manifest.archives[0].stored = tally(&bytes);
        backups.push((place.put(&manifest, &bytes), bytes));
    }
    backups
}

#[expect(clippy::disallowed_methods, reason = "damaging an archive in place is the point")]
fn overwrite(place: &Place, backup: &Whole, bytes: &[u8]) {
    std::fs::write(place.archive(backup), bytes).unwrap();
}

fn seeded() -> fastrand::Rng {
    let seed = match std::env::var("QDRANT_BACKUP_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => fastrand::u64(..),
    };
    println!("QDRANT_BACKUP_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

#[test]
fn sound_backups_pass_at_both_levels() {
    let place = Place::new();
    for (backup, _) in backups(&place) {
        for depth in [Depth::Checksum, Depth::Archive] {
            let check = place.check(&backup, depth);
            assert_eq!((check.outcome, check.findings), (CheckOutcome::Passed, vec![]));
        }
    }
}

#[test]
fn a_thousand_single_byte_corruptions_are_all_found() {
    let place = Place::new();
    let backups = backups(&place);
    let mut random = seeded();
    let mut found = 0;
    for round in 0..1000 {
        let (backup, bytes) = &backups[round % backups.len()];
        // Every byte of the header, then random positions.
        let offset =
            if round < 10 * backups.len() { round / backups.len() } else { random.usize(..bytes.len()) };
        let flip = random.u8(1..);
        let mut damaged = bytes.clone();
        damaged[offset] ^= flip;
        overwrite(&place, backup, &damaged);
        let name = place.archive(backup);
        let told = format!("{}: byte {offset} ^ {flip:#x}", name.display());
        for depth in [Depth::Checksum, Depth::Archive] {
            let check = place.check(backup, depth);
            assert_eq!(check.outcome, CheckOutcome::Failed, "{told} at {depth:?}");
            assert!(kinds(&check).contains(&"archive_checksum"), "{told}: {:?}", check.findings);
        }
        found += 1;
        overwrite(&place, backup, bytes);
    }
    println!("{found} of 1000 corruptions found");
}

#[test]
fn truncations_at_two_hundred_offsets_are_all_found() {
    let place = Place::new();
    let backups = backups(&place);
    let mut random = seeded();
    for round in 0..200 {
        let (backup, bytes) = &backups[round % backups.len()];
        let length = match round / backups.len() {
            0 => 0,
            1 => bytes.len() - 1,
            2 => bytes.len() - 512,
            _ => random.usize(..bytes.len()),
        };
        overwrite(&place, backup, &bytes[..length]);
        for depth in [Depth::Checksum, Depth::Archive] {
            let check = place.check(backup, depth);
            assert_eq!((check.outcome.clone(), kinds(&check)), (CheckOutcome::Failed, vec!["archive_size"]));
            assert_eq!(check.failure, Some(FailureKind::SizeMismatch));
        }
        overwrite(&place, backup, bytes);
    }
}

#[test]
fn cuts_whose_length_and_digest_were_made_to_fit_are_found_by_the_contents() {
    let place = Place::new();
    let mut random = seeded();
    for (mut backup, bytes) in backups(&place) {
        for _ in 0..10 {
            let cut = &bytes[..random.usize(1..bytes.len())];
            overwrite(&place, &backup, cut);
            backup.manifest.archives[0].stored = tally(cut);
            if backup.manifest.archives[0].encoding.is_empty() {
                backup.manifest.archives[0].snapshot = tally(cut);
            }
            assert_eq!(place.check(&backup, Depth::Checksum).outcome, CheckOutcome::Passed);
            let check = place.check(&backup, Depth::Archive);
            assert_eq!(check.outcome, CheckOutcome::Failed, "cut to {}", cut.len());
        }
    }
}

#[test]
fn what_follows_a_whole_archive_is_found_too() {
    let place = Place::new();
    for (mut backup, bytes) in backups(&place) {
        let longer = [bytes.as_slice(), b"more"].concat();
        overwrite(&place, &backup, &longer);
        assert_eq!(kinds(&place.check(&backup, Depth::Archive)), ["archive_size"]);
        backup.manifest.archives[0].stored = tally(&longer);
        let check = place.check(&backup, Depth::Archive);
        let expected =
            if backup.manifest.archives[0].encoding.is_empty() { "snapshot_size" } else { "archive_corrupt" };
        assert!(kinds(&check).contains(&expected), "{:?}", check.findings);
    }
}
