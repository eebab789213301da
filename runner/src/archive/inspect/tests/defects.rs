//! One defect at a time, with matching sizes and checksums.

use super::builder::{CONFIG, LOCAL, Tar, and_then, header, members, record, segment, tar_of, with_member};
use super::{FindingKind, Limits, inspect, kinds, look};
use crate::archive::inspect::{SegmentOperations, SnapshotKind};

const SEGMENT: &str = "0/segments/";

fn without(name: &str) -> Vec<u8> {
    let kept: Vec<_> = members().into_iter().filter(|(member, _)| !member.starts_with(name)).collect();
    tar_of(&kept).end()
}

fn found(snapshot: &[u8]) -> Vec<FindingKind> {
    kinds(&look(snapshot))
}

#[test]
fn the_builder_makes_sound_snapshots() {
    assert_eq!(look(&tar_of(&members()).end()).findings, []);
    assert_eq!(
        look(&with_member(SEGMENT, &segment().end())).findings,
        [],
        "an end marker in a segment is fine"
    );
    let mut padded = tar_of(&members()).end();
    padded.resize(padded.len() + 9001, 0);
    assert_eq!(look(&padded).findings, [], "so are zeros after it");
}

#[test]
fn each_missing_member_has_its_own_kind() {
    for (name, kind) in [
        ("version.info", FindingKind::VersionInfoMissing),
        ("config.json", FindingKind::ConfigMissing),
        ("payload_index.json", FindingKind::PayloadIndexMissing),
        ("shard_key_mapping.json", FindingKind::ShardKeyMappingMissing),
        ("0/shard_config.json", FindingKind::ShardConfigMissing),
        ("0/replica_state.json", FindingKind::ReplicaStateMissing),
        ("0/wal", FindingKind::WalMissing),
        (SEGMENT, FindingKind::SegmentsMissing),
    ] {
        assert_eq!(found(&without(name)), [kind], "{name}");
    }
    assert_eq!(found(&without("0/")), [FindingKind::NoShard]);
    assert_eq!(found(&Tar::default().end()), [FindingKind::NoShard]);
    assert_eq!(look(&Tar::default().end()).kind, SnapshotKind::Unknown);
    let inspection = look(&without(SEGMENT));
    assert_eq!(inspection.local_shards_without_segments(), [0]);
    assert!(inspection.holds_no_points());
}

#[test]
fn each_unreadable_member_has_its_own_kind() {
    for (name, content, kind) in [
        ("version.info", "not a version", FindingKind::VersionInfoInvalid),
        ("version.info", "", FindingKind::VersionInfoInvalid),
        ("config.json", "{\"params\":", FindingKind::ConfigInvalid),
        ("config.json", "{\"hnsw_config\":{}}", FindingKind::ConfigInvalid),
        ("config.json", "{\"params\":3}", FindingKind::ConfigInvalid),
        ("payload_index.json", "[]", FindingKind::PayloadIndexInvalid),
        ("shard_key_mapping.json", "[", FindingKind::ShardKeyMappingInvalid),
        ("0/shard_config.json", "null", FindingKind::ShardConfigInvalid),
        ("0/replica_state.json", "{}", FindingKind::ReplicaStateInvalid),
        ("0/replica_state.json", "{\"is_local\":\"yes\"}", FindingKind::ReplicaStateInvalid),
    ] {
        assert_eq!(found(&with_member(name, content.as_bytes())), [kind], "{name} {content}");
    }
}

#[test]
fn segments_say_whether_anything_was_written() {
    let state = |json: &str| {
        let segment = Tar::default()
            .file("snapshot/files/segment.json", json.as_bytes())
            .file("snapshot/files/version.info", b"0.6.0");
        look(&with_member(SEGMENT, &segment.bytes))
    };
    for (json, operations, kinds_found) in [
        (r#"{"version":null}"#, SegmentOperations::None, vec![]),
        (r#"{"version":0}"#, SegmentOperations::Some(0), vec![]),
        (r#"{"version":17,"config":[]}"#, SegmentOperations::Some(17), vec![]),
        (r"{}", SegmentOperations::Unknown, vec![FindingKind::SegmentStateInvalid]),
        (r#"{"version":"x"}"#, SegmentOperations::Unknown, vec![FindingKind::SegmentStateInvalid]),
        ("", SegmentOperations::Unknown, vec![FindingKind::SegmentStateInvalid]),
    ] {
        let inspection = state(json);
        assert_eq!(inspection.shards[&0].segments[0].operations, operations, "{json}");
        assert_eq!(kinds(&inspection), kinds_found, "{json}");
        assert_eq!(inspection.holds_no_points(), operations == SegmentOperations::None, "{json}");
    }
}

#[test]
fn an_incomplete_segment_is_found() {
    let no_state = Tar::default().file("snapshot/files/version.info", b"0.6.0").bytes;
    assert_eq!(found(&with_member(SEGMENT, &no_state)), [FindingKind::SegmentStateMissing]);
    let no_version = Tar::default().file("snapshot/files/segment.json", br#"{"version":1}"#).bytes;
    assert_eq!(found(&with_member(SEGMENT, &no_version)), [FindingKind::SegmentVersionMissing]);
    let bad = Tar::default().file("snapshot/files/segment.json", br#"{"version":1}"#);
    let bad = bad.file("snapshot/files/version.info", b"?").bytes;
    assert_eq!(found(&with_member(SEGMENT, &bad)), [FindingKind::SegmentVersionInvalid]);
    let empty = [FindingKind::SegmentStateMissing, FindingKind::SegmentVersionMissing];
    assert_eq!(found(&with_member(SEGMENT, b"")), empty);
    assert_eq!(found(&with_member(SEGMENT, &[0; 512])), [FindingKind::EndMarkerMissing]);
    let mut trailing = segment().end();
    trailing.extend_from_slice(b"more");
    assert_eq!(found(&with_member(SEGMENT, &trailing)), [FindingKind::TrailingData]);
    assert_eq!(found(&with_member(SEGMENT, &[b'x'; 600])), [FindingKind::HeaderChecksum]);
    let deeper = segment().file("snapshot/files/more.tar", b"");
    assert_eq!(found(&with_member(SEGMENT, &deeper.bytes)), [FindingKind::NestedTooDeep]);
    let beyond = segment().with(header(b'0', b"snapshot/files/large", 5000), b"");
    assert_eq!(found(&with_member(SEGMENT, &beyond.bytes)), [FindingKind::MemberExceedsArchive]);
}

#[test]
fn shards_are_held_against_what_is_said_of_them() {
    let remote = String::from_utf8(LOCAL.to_vec()).unwrap().replace("true", "false");
    let inspection = found(&with_member("0/replica_state.json", remote.as_bytes()));
    assert_eq!(inspection, [FindingKind::SegmentsNotLocal, FindingKind::NoLocalShard]);
    let more = String::from_utf8(CONFIG.to_vec())
        .unwrap()
        .replace(r#""shard_number":1"#, r#""shard_number":4000000000"#);
    let inspection = look(&with_member("config.json", more.as_bytes()));
    assert_eq!(kinds(&inspection), [FindingKind::ShardMissing]);
    assert!(inspection.findings[0].message.ends_with("(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …)"));
    let custom = br#"{"params":{"shard_number":9,"sharding_method":"custom"}}"#;
    for mapping in [r#"[{"key":"a","shard_ids":[0,5]}]"#, r#"{"a":[0],"b":[5]}"#] {
        let mut members = members();
        members[5].1 = custom.to_vec();
        members[6].1 = mapping.as_bytes().to_vec();
        let inspection = look(&tar_of(&members).end());
        assert_eq!(kinds(&inspection), [FindingKind::ShardMissing]);
        assert!(inspection.findings[0].message.ends_with("(5)"));
    }
    let mixed = and_then(|tar| tar.file("shard_config.json", b"{}"));
    assert_eq!(found(&mixed), [FindingKind::MixedLayout]);
    let named = and_then(|tar| tar.file("0/segments/what is this.tar", b""));
    assert_eq!(found(&named), [FindingKind::SegmentNameInvalid]);
}

#[test]
fn names_that_lead_out_are_found() {
    for (name, kind) in [
        ("/etc/passwd", FindingKind::AbsolutePath),
        ("//config.json", FindingKind::AbsolutePath),
        ("../x", FindingKind::ParentPath),
        ("0/../../x", FindingKind::ParentPath),
        ("0/..", FindingKind::ParentPath),
        ("", FindingKind::EmptyName),
    ] {
        assert_eq!(found(&and_then(|tar| tar.file(name, b"x"))), [kind], "{name}");
        let long = and_then(|tar| {
            tar.entry(b'L', "././@LongLink", format!("{name}\0").as_bytes()).file("short", b"x")
        });
        assert_eq!(found(&long), [kind], "{name} as a long name");
        let pax = and_then(|tar| tar.entry(b'x', "pax", record("path", name).as_bytes()).file("short", b"x"));
        assert_eq!(found(&pax), [kind], "{name} in a PAX header");
        let nested = with_member(SEGMENT, &segment().file(name, b"x").bytes);
        assert_eq!(found(&nested), [kind], "{name} in a segment");
    }
    assert_eq!(found(&and_then(|tar| tar.file("0/..x/...", b""))), []);
}

#[test]
fn links_and_special_files_are_found() {
    for (kind, name, target, expected) in [
        (b'2', "0/link", "replica_state.json", FindingKind::Link),
        (b'2', "0/link", "../config.json", FindingKind::Link),
        (b'2', "0/link", "../../x", FindingKind::LinkOutside),
        (b'2', "link", "/etc/passwd", FindingKind::LinkOutside),
        (b'1', "0/link", "config.json", FindingKind::Link),
        (b'1', "0/link", "../x", FindingKind::LinkOutside),
        (b'3', "0/device", "", FindingKind::SpecialFile),
        (b'4', "0/device", "", FindingKind::SpecialFile),
        (b'6', "0/pipe", "", FindingKind::SpecialFile),
        (b'7', "0/contiguous", "", FindingKind::UnknownEntryType),
        (b'Z', "0/what", "", FindingKind::UnknownEntryType),
    ] {
        assert_eq!(found(&and_then(|tar| tar.link(kind, name, target))), [expected], "{name} {target}");
    }
    let long = and_then(|tar| tar.entry(b'K', "././@LongLink", b"../../x\0").link(b'2', "0/link", "short"));
    assert_eq!(found(&long), [FindingKind::LinkOutside]);
    let pax = and_then(|tar| {
        tar.entry(b'x', "pax", record("linkpath", "/x").as_bytes()).link(b'2', "link", "short")
    });
    assert_eq!(found(&pax), [FindingKind::LinkOutside]);
    // A link in place of a file does not count as a file.
    let mut replaced = members();
    replaced.retain(|(name, _)| name != "config.json");
    let replaced = tar_of(&replaced).link(b'2', "config.json", "version.info").end();
    assert_eq!(found(&replaced), [FindingKind::Link, FindingKind::ConfigMissing]);
}

#[test]
fn duplicates_are_found_whichever_way_they_are_written() {
    for name in ["config.json", "./config.json", ".//config.json"] {
        assert_eq!(found(&and_then(|tar| tar.file(name, CONFIG))), [FindingKind::DuplicateMember], "{name}");
    }
    assert_eq!(found(&and_then(|tar| tar.entry(b'5', "0/", b"").entry(b'5', "0/", b""))), []);
}

#[test]
fn absurd_sizes_are_found() {
    let claims = |size: u64| and_then(|tar| tar.with(header(b'0', b"0/large", size), b""));
    assert_eq!(found(&claims(1 << 30)), [FindingKind::Truncated]);
    assert_eq!(found(&claims(1 << 50)), [FindingKind::SizeAbsurd, FindingKind::Truncated]);
    assert_eq!(found(&claims(u64::MAX)), [FindingKind::SizeAbsurd, FindingKind::Truncated]);
    let mut wide = header(b'0', b"0/large", 1 << 40);
    wide.as_old_mut().size[2] = 1;
    assert_eq!(found(&and_then(|tar| tar.with(wide, b""))), [FindingKind::SizeAbsurd]);
    let mut unreadable = header(b'0', b"0/large", 0);
    unreadable.as_old_mut().size = *b"99999999999\0";
    assert_eq!(found(&and_then(|tar| tar.with(unreadable, b""))), [FindingKind::HeaderInvalid]);
    let hole = |real: u64| and_then(|tar| tar.sparse("0/wal/hole", &[(real, 0)], real, b""));
    assert_eq!(found(&hole(1 << 30)), []);
    assert_eq!(found(&hole(1 << 41)), [FindingKind::SizeAbsurd]);
    let bombs = and_then(|tar| {
        (0..70).fold(tar, |tar, n| tar.sparse(&format!("0/{n}"), &[(1 << 40, 0)], 1 << 40, b""))
    });
    assert!(
        found(&bombs).contains(&FindingKind::SizeAbsurd),
        "each is within the limit, all together are not"
    );
    let large = vec![b' '; (4 << 20) + 1];
    assert_eq!(found(&with_member("config.json", &large)), [FindingKind::MemberTooLarge]);
    let pax = and_then(|tar| tar.entry(b'x', "pax", record("size", "99999999").as_bytes()).file("0/x", b"x"));
    assert_eq!(found(&pax), [FindingKind::Truncated]);
}

#[test]
fn sparse_maps_must_fit() {
    let sparse = |parts: &[(u64, u64)], real, data: &[u8]| {
        found(&and_then(|tar| tar.sparse("0/s", parts, real, data)))
    };
    let many: Vec<(u64, u64)> = (0..60).map(|n| (n * 1024, 512)).chain([(61_440, 0)]).collect();
    assert_eq!(sparse(&many, 61_440, &[1; 60 * 512]), []);
    assert_eq!(sparse(&[], 0, b""), []);
    let wrong = [FindingKind::SparseMapInvalid];
    assert_eq!(sparse(&many, 61_440, &[1; 59 * 512]), wrong, "stored less than the parts");
    assert_eq!(sparse(&[(0, 512), (256, 512)], 768, &[1; 1024]), wrong, "overlap");
    assert_eq!(sparse(&[(1024, 512), (0, 512)], 1536, &[1; 1024]), wrong, "order");
    assert_eq!(sparse(&[(0, 512)], 100, &[1; 512]), wrong, "beyond the end");
    assert_eq!(sparse(&[(0, 512)], 1024, &[1; 512]), wrong, "short of the end");
    assert_eq!(sparse(&[(0, 100), (200, 100)], 300, &[1; 200]), wrong, "not on a block");
    assert_eq!(sparse(&[(u64::MAX, 2)], 1, b""), [FindingKind::SizeAbsurd]);
    let mut cut = tar_of(&members()).sparse("0/s", &many, 61_440, b"").bytes;
    cut.truncate(cut.len() - 700);
    assert_eq!(found(&cut), [FindingKind::Truncated]);
    let posix = and_then(|tar| {
        let records = [record("GNU.sparse.major", "1"), record("GNU.sparse.name", "0/s")].concat();
        tar.entry(b'x', "pax", records.as_bytes()).file("GNUSparseFile.0/s", b"x")
    });
    assert_eq!(found(&posix), [FindingKind::SparseUnsupported]);
}

#[test]
fn small_files_stored_with_holes_are_put_together() {
    let mut kept = members();
    kept.retain(|(name, _)| name != "config.json");
    let mut config = CONFIG.to_vec();
    config.resize(2048, b' ');
    let tar = || tar_of(&kept);
    let whole = tar().sparse("config.json", &[(0, 512), (512, 1536)], 2048, &config).end();
    assert_eq!(look(&whole).findings, []);
    assert_eq!(look(&whole).config.unwrap()["params"]["shard_number"], 1);
    let hole = tar().sparse("config.json", &[(0, 512), (2048, 0)], 2048, &config[..512]).end();
    assert_eq!(found(&hole), [FindingKind::ConfigInvalid], "a hole is zeros, which is not JSON");
    let large = tar().sparse("config.json", &[(1 << 40, 0)], 1 << 40, b"").end();
    assert_eq!(found(&large), [FindingKind::MemberTooLarge]);
    let scattered: Vec<(u64, u64)> = (0..100).map(|n| (n * 512, 512)).collect();
    let scattered = tar().sparse("config.json", &scattered, 51_200, &[b' '; 51_200]).end();
    assert_eq!(found(&scattered), [FindingKind::SparseUnsupported]);
    let segment = segment().bytes;
    let size = segment.len() as u64;
    let archive = and_then(|tar| tar.sparse("0/segments/a.tar", &[(0, size)], size, &segment));
    assert_eq!(found(&archive), [FindingKind::SparseUnsupported]);
}

#[test]
fn extended_headers_must_be_well_formed_and_followed_by_a_member() {
    let wrong = [FindingKind::ExtensionInvalid];
    for content in
        ["x", "8 path=x\n", "5 path=x\n", "999 path=x\n", "11 path=xyz.", "10 pathxyz\n", "12 size=-01\n"]
    {
        assert_eq!(
            found(&and_then(|tar| tar.entry(b'x', "pax", content.as_bytes()).file("0/x", b""))),
            wrong,
            "{content:?}"
        );
    }
    assert_eq!(found(&and_then(|tar| tar.entry(b'L', "l", b"0/y\0"))), wrong, "no member follows");
    let twice = and_then(|tar| tar.entry(b'L', "l", b"0/y\0").entry(b'L', "l", b"0/z\0").file("0/x", b""));
    assert_eq!(found(&twice), wrong);
    let large = and_then(|tar| tar.entry(b'L', "l", &[b'y'; 70_000]).file("0/x", b""));
    assert_eq!(found(&large), wrong);
    let claimed = and_then(|tar| tar.with(header(b'L', b"l", u64::MAX), b""));
    assert_eq!(found(&claimed), [FindingKind::ExtensionInvalid, FindingKind::Truncated]);
    let comment = |key| and_then(|tar| tar.entry(b'g', "g", record(key, "1").as_bytes()).file("0/x", b""));
    assert_eq!(found(&comment("comment")), []);
    assert_eq!(found(&comment("size")), wrong);
}

#[test]
fn the_end_marker_must_be_whole_and_last() {
    let snapshot = tar_of(&members()).end();
    assert_eq!(found(&snapshot[..snapshot.len() - 1024]), [FindingKind::EndMarkerMissing]);
    assert_eq!(found(&snapshot[..snapshot.len() - 512]), [FindingKind::EndMarkerMissing]);
    let mut early = Tar::default();
    early.bytes.resize(512, 0);
    early.bytes.extend_from_slice(&snapshot);
    assert_eq!(found(&early.bytes), [FindingKind::EndMarkerMissing]);
    let twice = [snapshot.as_slice(), &snapshot].concat();
    assert_eq!(found(&twice), [FindingKind::TrailingData]);
    assert_eq!(found(b""), [FindingKind::EndMarkerMissing]);
}

#[test]
fn limits_hold_and_findings_are_counted_beyond_them() {
    let snapshot = and_then(|tar| (0..150).fold(tar, |tar, n| tar.file(&format!("/{n}"), b"")));
    let inspection = look(&snapshot);
    assert_eq!(inspection.findings.len(), 101);
    assert_eq!(inspection.findings[100].to_string(), "50 more findings are not listed");
    let limited =
        |limits: Limits| kinds(&inspect(&mut tar_of(&members()).end().as_slice(), &limits).unwrap());
    let limits = Limits::default;
    assert_eq!(limited(Limits { max_members: 3, ..limits() }), [FindingKind::TooManyMembers]);
    assert_eq!(limited(Limits { max_members: 4, ..limits() }), [FindingKind::TooManyMembers]);
    assert!(limited(Limits { max_segments: 0, ..limits() }).contains(&FindingKind::TooManyMembers));
    assert!(limited(Limits { max_shards: 0, ..limits() }).contains(&FindingKind::TooManyMembers));
    assert!(limited(Limits { max_kept_total_bytes: 70, ..limits() }).contains(&FindingKind::MemberTooLarge));
}

#[test]
fn names_are_fit_to_print() {
    let long = format!("0/\u{202e}\x1b[31m\n{}", "é".repeat(5000));
    let snapshot = and_then(|tar| tar.entry(b'L', "l", long.as_bytes()).link(b'2', "x", "\r\n"));
    let inspection = look(&snapshot);
    let text = inspection.findings[0].to_string();
    assert!(text.starts_with(r"0/\u{202e}\u{1b}[31m\n"), "{text}");
    assert!(text.contains('…') && text.ends_with(r"to \r\n") && text.chars().count() < 250, "{text}");
}
