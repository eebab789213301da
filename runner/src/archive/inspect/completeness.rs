//! Finds what is missing in a snapshot that was read to its end.

use std::collections::BTreeSet;

use qdrant_backup_shared::manifest::is_custom;
use serde_json::Value;

use super::classify::ShardKey;
use super::contents::Contents;
use super::drafts::ShardDraft;
use super::findings::Findings;
use super::inspection::mapped_keys;
use super::{FindingKind, Inspection, SnapshotKind};

/// Maximum number of shards in one message.
const NAMED_SHARDS: usize = 10;

/// Results of the walk that are used unchanged.
pub(super) struct Walked {
    pub(super) members: u64,
    pub(super) uncompressed_bytes: u64,
    pub(super) end_marker_reached: bool,
}

/// Completes the result. Reports missing files only if the whole archive was read.
pub(super) fn finish(mut contents: Contents, walked: Walked, mut findings: Findings) -> Inspection {
    let kind = kind(&contents);
    if kind == SnapshotKind::Collection && contents.shards.remove(&None).is_some() {
        let message = "files of a collection snapshot and of a shard snapshot are mixed";
        findings.add(FindingKind::MixedLayout, None, message);
    }
    if walked.end_marker_reached {
        if kind == SnapshotKind::Collection {
            collection_files(&contents, &mut findings);
        }
        for (key, shard) in &contents.shards {
            shard_files(*key, shard, kind, &mut findings);
        }
        shards(&contents, kind, &mut findings);
    }
    let shards = contents.shards.into_iter().map(|(key, shard)| (key.unwrap_or(0), shard.finish()));
    Inspection {
        kind,
        version_info: contents.version_info.value,
        config: contents.config.value,
        payload_index: contents.payload_index.value,
        shard_key_mapping: contents.shard_key_mapping.value,
        shards: shards.collect(),
        members: walked.members,
        uncompressed_bytes: walked.uncompressed_bytes,
        end_marker_reached: walked.end_marker_reached,
        findings: findings.finish(),
    }
}

fn kind(contents: &Contents) -> SnapshotKind {
    let collection_files = contents.version_info.seen
        || contents.config.seen
        || contents.payload_index.seen
        || contents.shard_key_mapping.seen;
    if collection_files || contents.shards.keys().any(Option::is_some) {
        SnapshotKind::Collection
    } else if contents.shards.is_empty() {
        SnapshotKind::Unknown
    } else {
        SnapshotKind::Shard
    }
}

fn collection_files(contents: &Contents, findings: &mut Findings) {
    use FindingKind::{ConfigMissing, PayloadIndexMissing, ShardKeyMappingMissing, VersionInfoMissing};
    for (seen, kind, name) in [
        (contents.version_info.seen, VersionInfoMissing, "version.info"),
        (contents.config.seen, ConfigMissing, "config.json"),
        (contents.payload_index.seen, PayloadIndexMissing, "payload_index.json"),
        (contents.shard_key_mapping.seen, ShardKeyMappingMissing, "shard_key_mapping.json"),
    ] {
        if !seen {
            findings.add(kind, Some(name), "the file is missing");
        }
    }
}

fn shard_files(key: ShardKey, shard: &ShardDraft, kind: SnapshotKind, findings: &mut Findings) {
    let within = |name: &str| key.map_or_else(|| name.to_owned(), |number| format!("{number}/{name}"));
    if !shard.config.seen {
        findings.add(
            FindingKind::ShardConfigMissing,
            Some(&within("shard_config.json")),
            "the file is missing",
        );
    }
    if !shard.replica_state.seen {
        findings.add(
            FindingKind::ReplicaStateMissing,
            Some(&within("replica_state.json")),
            "the file is missing",
        );
    }
    match shard.replica_state.value.as_ref().map(|state| state.is_local) {
        Some(true) if shard.segments.is_empty() => {
            let message = "the shard is local but has no segments";
            findings.add(FindingKind::SegmentsMissing, Some(&within("segments")), message);
        }
        Some(false) if !shard.segments.is_empty() => {
            let message = "the shard has segments but is marked as not local";
            findings.add(FindingKind::SegmentsNotLocal, Some(&within("segments")), message);
        }
        _other => {}
    }
    // A shard snapshot may have no write-ahead log.
    let local = shard.replica_state.value.as_ref().is_some_and(|state| state.is_local);
    if local && shard.wal_files == 0 && kind == SnapshotKind::Collection {
        let message = "the shard is local but has no write-ahead log";
        findings.add(FindingKind::WalMissing, Some(&within("wal")), message);
    }
    for segment in shard.segments.iter().filter(|segment| !segment.broken) {
        let name = within(&format!("segments/{}", segment.id));
        if !segment.state.seen {
            findings.add(FindingKind::SegmentStateMissing, Some(&name), "the segment has no segment.json");
        }
        if !segment.version.seen {
            // Qdrant writes it last, and a segment's archive has no end marker.
            let message = "the segment has no version.info, so its last part is missing";
            findings.add(FindingKind::SegmentVersionMissing, Some(&name), message);
        }
    }
}

fn shards(contents: &Contents, kind: SnapshotKind, findings: &mut Findings) {
    if contents.shards.is_empty() {
        let mapping = contents.shard_key_mapping.value.as_ref();
        if has_custom_sharding(contents) && mapping.is_some_and(|mapping| mapped_keys(mapping).is_empty()) {
            // There are no shard keys yet, so there are no shards and no points.
            return;
        }
        findings.add(FindingKind::NoShard, None, "the snapshot contains no shards");
        return;
    }
    let remote = |shard: &ShardDraft| shard.replica_state.value.as_ref().is_some_and(|state| !state.is_local);
    if contents.shards.values().all(remote) {
        let numbers = list(contents.shards.keys().flatten());
        let message = format!("no data: every shard is on another node (shards {numbers})");
        findings.add(FindingKind::NoLocalShard, None, message);
    }
    if kind != SnapshotKind::Collection {
        return;
    }
    let missing: Vec<u32> = missing_shards(contents);
    if !missing.is_empty() {
        let message = format!(
            "the configuration lists shards that the snapshot does not describe ({})",
            list(&missing)
        );
        findings.add(FindingKind::ShardMissing, None, message);
    }
}

fn has_custom_sharding(contents: &Contents) -> bool {
    contents.config.value.as_ref().is_some_and(is_custom)
}

/// The shards that are in the configuration but not in the archive. At most one more than are shown.
fn missing_shards(contents: &Contents) -> Vec<u32> {
    let described = |number: &u32| contents.shards.contains_key(&Some(*number));
    let params = contents.config.value.as_ref().and_then(|config| config.get("params"));
    if has_custom_sharding(contents) {
        let keys = contents.shard_key_mapping.value.as_ref().map(mapped_keys).unwrap_or_default();
        let keyed: BTreeSet<u32> = keys.into_iter().flat_map(|key| key.shard_ids).collect();
        return keyed.into_iter().filter(|number| !described(number)).take(NAMED_SHARDS + 1).collect();
    }
    // Even for a huge number, this stops soon after the last described shard.
    let count = params.and_then(|params| params.get("shard_number")).and_then(Value::as_u64).unwrap_or(0);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    (0..count).filter(|number| !described(number)).take(NAMED_SHARDS + 1).collect()
}

fn list<'n>(numbers: impl IntoIterator<Item = &'n u32>) -> String {
    let mut names: Vec<String> = numbers.into_iter().take(NAMED_SHARDS + 1).map(u32::to_string).collect();
    if names.len() > NAMED_SHARDS {
        names.truncate(NAMED_SHARDS);
        names.push("…".to_owned());
    }
    names.join(", ")
}
