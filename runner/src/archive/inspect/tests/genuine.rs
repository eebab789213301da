//! The contents of genuine snapshots.

use serde_json::{Value, json};

use super::builder::{assemble, dissect};
use super::{FindingKind, GENUINE, Limits, Pieces, genuine, inspect, kinds, look};
use crate::archive::inspect::{SegmentOperations, SnapshotKind, config_params_differ};

type Shard = (u32, bool, Vec<SegmentOperations>);

fn expected(name: &str) -> (SnapshotKind, Vec<Shard>) {
    use SegmentOperations::{None, Some};
    use SnapshotKind::{Collection, Shard};
    let old = name.starts_with("1.14.1");
    let last = Some(if old { 2 } else { 3 });
    match name.split_once('/').unwrap().1 {
        "empty.snapshot" => (Collection, vec![(0, true, vec![None])]),
        "mixtral_embeddings.snapshot" => (Collection, vec![(0, true, vec![last]), (1, true, vec![last])]),
        "cluster-node-1.spread.snapshot" => {
            (Collection, vec![(0, true, vec![Some(1), Some(1)]), (1, false, vec![])])
        }
        "cluster-node-2.spread.snapshot" => (Collection, vec![(0, false, vec![]), (1, false, vec![])]),
        "cluster-node-3.spread.snapshot" => {
            (Collection, vec![(0, false, vec![]), (1, true, vec![Some(1), Some(1)])])
        }
        shard if shard.contains(".shard-0.") => (Shard, vec![(0, true, vec![last])]),
        _one_shard => (Collection, vec![(0, true, vec![last])]),
    }
}

#[test]
fn genuine_snapshots_hold_what_they_should_and_have_no_findings() {
    for name in GENUINE {
        let inspection = look(&genuine(name));
        let (kind, shards) = expected(name);
        if name == "1.18.3/cluster-node-2.spread.snapshot" {
            // The node has no shard of the collection: the archive is valid and empty.
            assert_eq!(kinds(&inspection), [FindingKind::NoLocalShard]);
            assert_eq!(
                inspection.findings[0].to_string(),
                "no data: every shard is on another node (shards 0, 1)"
            );
        } else {
            assert_eq!(inspection.findings, [], "{name}");
        }
        assert_eq!(inspection.kind, kind, "{name}");
        assert!(inspection.end_marker_reached);
        let found: Vec<Shard> = inspection
            .shards
            .iter()
            .map(|(id, shard)| {
                assert!(shard.has_config);
                let state = shard.replica_state.as_ref().unwrap();
                assert!(state.this_peer_id.is_some() && state.peers.values().all(|state| state == "Active"));
                assert!(
                    shard.segments.iter().all(|segment| segment.bytes > 10_000 && segment.id.len() == 36)
                );
                let wal_files = match (kind, state.is_local) {
                    (_, false) => 0,
                    (SnapshotKind::Collection, true) => 2,
                    _flat => 1,
                };
                assert_eq!(shard.wal_files, wal_files, "{name}");
                (*id, state.is_local, shard.segments.iter().map(|segment| segment.operations).collect())
            })
            .collect();
        assert_eq!(found, shards, "{name}");
        let collection = kind == SnapshotKind::Collection;
        assert_eq!(inspection.version_info.as_deref(), collection.then_some("0.4.2"));
        assert_eq!(inspection.shard_key_mapping, collection.then_some(json!([])));
        assert_eq!(inspection.payload_index.is_some(), collection);
        assert_eq!(inspection.config.is_some(), collection);
        assert_eq!(inspection.local_shards_without_segments(), [0_u32; 0]);
        let with_segments: Vec<u32> =
            shards.iter().filter(|shard| !shard.2.is_empty()).map(|shard| shard.0).collect();
        assert_eq!(inspection.shards_with_segments(), with_segments);
        let no_points = name.ends_with("empty.snapshot") || name.contains("cluster-node-2");
        assert_eq!(inspection.holds_no_points(), no_points, "{name}");
    }
}

#[test]
fn config_is_kept_whole_and_compared_by_its_params() {
    let config = look(&genuine("1.18.3/empty.snapshot")).config.unwrap();
    assert_eq!(config["wal_config"]["wal_capacity_mb"], 1);
    // As in the answer to GET /collections/{c} for a similar collection.
    let served = json!({"params": {"vectors": {"size": 8, "distance": "Cosine"}, "shard_number": 1,
        "replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": true},
        "hnsw_config": {"m": 32}});
    assert!(!config_params_differ(&config, &served));
    let other = look(&genuine("1.18.3/mixtral_embeddings.snapshot")).config.unwrap();
    assert!(config_params_differ(&other, &served));
    assert!(config_params_differ(&config, &json!({})));
    assert!(config_params_differ(&Value::Null, &Value::Null));
}

#[test]
fn pieces_of_any_size_give_the_same_result() {
    for name in GENUINE {
        let snapshot = genuine(name);
        let whole = look(&snapshot);
        for piece in [1, 7, 511, 512, 513] {
            let mut pieces = Pieces { bytes: &snapshot, piece, fail_at_end: false, interrupted: false };
            assert_eq!(inspect(&mut pieces, &Limits::default()).unwrap(), whole, "{name} by {piece}");
        }
    }
}

#[test]
fn every_truncation_is_found() {
    for name in GENUINE {
        let snapshot = genuine(name);
        for end in (0..snapshot.len()).step_by(512).flat_map(|end| [end, end + 1, end + 255, end + 511]) {
            let inspection = look(&snapshot[..end]);
            assert!(inspection.structural_findings().next().is_some(), "{name} cut at {end}");
            assert!(!inspection.end_marker_reached && !inspection.holds_no_points());
        }
    }
}

#[test]
fn a_flipped_byte_in_a_header_is_found_or_harmless() {
    // All headers of one snapshot, including a segment's, and those of another snapshot that announce long names.
    for (name, kinds) in
        [("1.18.3/empty.snapshot", None), ("1.14.1/minilm_general.shard-0.snapshot", Some(b'L'))]
    {
        let mut snapshot = genuine(name);
        let original = look(&snapshot);
        let mut headers = Vec::new();
        for entry in dissect(&snapshot) {
            headers.push((entry.offset, entry.header.entry_type().as_byte()));
            if entry.name().ends_with(".tar") {
                let nested = dissect(&entry.data);
                headers.extend(nested.iter().map(|nested| (entry.offset + 512 + nested.offset, b'0')));
            }
        }
        headers.retain(|(_, kind)| kinds.is_none_or(|wanted| wanted == *kind));
        assert!(headers.len() > 3);
        for (header, byte) in headers.iter().flat_map(|(header, _)| (0..512).map(move |byte| (header, byte)))
        {
            for flip in [0x01, 0x10, 0xff] {
                snapshot[header + byte] ^= flip;
                let inspection = look(&snapshot);
                if inspection.findings.is_empty() {
                    // Only the checksum field can be written in several ways: its first digit, a zero, may be a
                    // blank, and anything after its end is ignored.
                    assert!(matches!(byte, 148 | 155), "{name}: byte {byte} of the header at {header}");
                    assert_eq!(inspection, original);
                }
                snapshot[header + byte] ^= flip;
            }
        }
    }
}

#[test]
fn a_member_missing_from_a_genuine_snapshot_is_found() {
    for name in GENUINE.iter().filter(|name| !name.contains("shard-0") && !name.contains("node-2")) {
        let entries = dissect(&genuine(name));
        for missing in 0..entries.len() {
            let member = entries[missing].name();
            let alike = |part: &str| {
                let prefix = member.split_once(part).map(|(shard, _)| format!("{shard}{part}"));
                prefix.map_or(0, |prefix| {
                    entries.iter().filter(|entry| entry.name().starts_with(&prefix)).count()
                })
            };
            let mut rest = entries.clone();
            rest.remove(missing);
            let inspection = look(&assemble(&rest).end());
            // The archive does not contain the number of log files and segments of a shard.
            let untold = alike("/wal/") > 1 || alike("/segments/") > 1;
            assert_eq!(inspection.findings.is_empty(), untold, "{name} without {member}");
        }
    }
}

#[test]
fn every_cut_of_a_segment_is_found_though_sizes_and_checksums_fit() {
    for name in ["1.18.3/mixtral_embeddings.snapshot", "1.14.1/minilm_general.snapshot"] {
        let entries = dissect(&genuine(name));
        let place = entries.iter().position(|entry| entry.name().ends_with(".tar")).unwrap();
        for length in (0..entries[place].data.len()).step_by(512).flat_map(|length| [length, length + 300]) {
            let mut cut = entries.clone();
            cut[place].data.truncate(length);
            let inspection = look(&assemble(&cut).end());
            assert!(!inspection.findings.is_empty(), "{name}: segment cut at {length}");
            // The rest of the snapshot was still inspected.
            assert!(inspection.end_marker_reached && inspection.config.is_some());
        }
    }
}
