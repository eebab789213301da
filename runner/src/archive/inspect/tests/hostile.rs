//! Hostile bytes: no panic, no endless loop, everything consumed.

use proptest::prelude::*;

use super::builder::{Tar, dissect};
use super::{GENUINE, Limits, genuine, inspect, look};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_are_findings(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(!look(&bytes).findings.is_empty());
    }

    #[test]
    fn mutated_snapshots_never_panic(
        which in 0..GENUINE.len(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        moved in any::<(prop::sample::Index, prop::sample::Index, prop::sample::Index)>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = genuine(GENUINE[which]);
        for (place, value) in flips {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let (from, to) = (moved.0.index(bytes.len()), moved.1.index(bytes.len()));
        let piece: Vec<u8> = bytes.drain(from.min(to)..from.max(to)).collect();
        if !cut {
            let place = moved.2.index(bytes.len() + 1);
            bytes.splice(place..place, piece);
        }
        look(&bytes);
    }

    /// Faults behind headers with correct checksums, which random bit flips never reach.
    #[test]
    fn headers_with_any_fields_never_panic(
        which in 0..GENUINE.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..512usize, any::<u8>()), 1..6),
    ) {
        let bytes = genuine(GENUINE[which]);
        let mut entries = dissect(&bytes);
        for (entry, place, value) in changes {
            let entry = entry.index(entries.len());
            entries[entry].header.as_mut_bytes()[place] = value;
        }
        let tar = entries.iter().fold(Tar::default(), |tar, entry| tar.with(entry.header.clone(), &entry.data));
        look(&tar.end());
    }
}

#[test]
fn a_long_stream_after_the_last_readable_header_is_drained() {
    let mut bytes = genuine("1.18.3/empty.snapshot");
    bytes[600] ^= 1;
    bytes.resize(3 << 20, 7);
    look(&bytes);
}

#[test]
fn tiny_limits_are_kept_to() {
    let limits = Limits {
        max_kept_member_bytes: 0,
        max_kept_total_bytes: 0,
        max_extension_bytes: 0,
        max_member_bytes: 0,
        max_sparse_bytes: 0,
        max_expanded_bytes: 0,
        max_members: 0,
        max_shards: 0,
        max_segments: 0,
        max_findings: 0,
    };
    for name in GENUINE {
        let inspection = inspect(&mut genuine(name).as_slice(), &limits).unwrap();
        assert_eq!(inspection.findings.len(), 1, "only how many there were");
    }
}
