//! What a snapshot was found to hold.

use std::collections::{BTreeMap, BTreeSet};

use qdrant_backup_shared::ShardKey;
use qdrant_backup_shared::manifest::is_custom;
use serde_json::Value;

use super::Finding;

/// The result of one pass over a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Which of Qdrant's snapshots this is.
    pub kind: SnapshotKind,
    /// The version of the collection's format (not of the server), as `version.info` has it.
    pub version_info: Option<String>,
    /// `config.json`, whole.
    pub config: Option<Value>,
    /// `payload_index.json`, whole.
    pub payload_index: Option<Value>,
    /// `shard_key_mapping.json`, whole.
    pub shard_key_mapping: Option<Value>,
    /// The shards that are described, local or not. A shard's snapshot does not say which shard it is of;
    /// its contents stand under 0.
    pub shards: BTreeMap<u32, ShardContents>,
    /// Members of the archive and of the segment archives in it, directories included.
    pub members: u64,
    /// The length of the snapshot, everything after the end marker included.
    pub uncompressed_bytes: u64,
    /// Whether the archive was walked to its end marker. If not, what is absent above may merely not have
    /// been reached, and no finding says that something is missing.
    pub end_marker_reached: bool,
    /// All that is wrong; empty for a sound snapshot.
    pub findings: Vec<Finding>,
}

/// The forms of snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Of a collection, as one node holds it.
    Collection,
    /// Of a single shard.
    Shard,
    /// Neither could be recognised.
    Unknown,
}

/// One shard in a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardContents {
    /// Whether `shard_config.json` is there.
    pub has_config: bool,
    /// `replica_state.json`, if it is there and can be understood.
    pub replica_state: Option<ReplicaState>,
    /// The segments, in the order of the archive.
    pub segments: Vec<SegmentContents>,
    /// How many files of the write-ahead log there are.
    pub wal_files: u32,
}

/// A shard's replicas, as the node saw them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaState {
    /// Whether the shard's data lie on the node the snapshot was made on.
    pub is_local: bool,
    /// The node the snapshot was made on.
    pub this_peer_id: Option<u64>,
    /// Peer id to state (`Active`, `Dead`, ...) of each replica.
    pub peers: BTreeMap<String, String>,
}

/// One segment of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentContents {
    /// The segment's UUID.
    pub id: String,
    /// The last operation that went into it.
    pub operations: SegmentOperations,
    /// Bytes it takes in the snapshot.
    pub bytes: u64,
}

/// What `segment.json` says under `version`: the number of the last operation applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentOperations {
    /// `null`: nothing was ever written to the segment.
    None,
    /// The last operation's number.
    Some(u64),
    /// `segment.json` is missing or cannot be understood.
    Unknown,
}

impl Inspection {
    /// The shards whose data should be here and of which there is no segment.
    pub fn local_shards_without_segments(&self) -> Vec<u32> {
        self.shard_ids(|shard| shard.is_local() && shard.segments.is_empty())
    }

    /// The shards of which there are segments.
    pub fn shards_with_segments(&self) -> Vec<u32> {
        self.shard_ids(|shard| !shard.segments.is_empty())
    }

    /// Whether the snapshot certainly holds no points: it was read to its end, and every segment says that
    /// nothing was ever written to it. Operations that wait in the write-ahead log alone do not count as
    /// points; the server does not count them either.
    pub fn holds_no_points(&self) -> bool {
        let mut segments = self.shards.values().flat_map(|shard| &shard.segments);
        self.end_marker_reached
            && self.structural_findings().next().is_none()
            && segments.all(|segment| segment.operations == SegmentOperations::None)
    }

    /// The shard keys of a collection with custom sharding, in the order of their shards; nothing for another, or where its
    /// configuration was not found. Shards that no key is known of stand under the key `null`.
    pub fn shard_keys(&self) -> Option<Vec<ShardKey>> {
        if !self.config.as_ref().is_some_and(is_custom) {
            return None;
        }
        let mut keys = self.shard_key_mapping.as_ref().map(mapped_keys).unwrap_or_default();
        let keyed: BTreeSet<u32> = keys.iter().flat_map(|key| key.shard_ids.clone()).collect();
        let keyless = self.shard_ids(|_| true).into_iter().filter(|id| !keyed.contains(id));
        let keyless: Vec<u32> = keyless.collect();
        if !keyless.is_empty() {
            keys.push(ShardKey::new(Value::Null, keyless));
        }
        keys.sort_by(|one, other| one.shard_ids.cmp(&other.shard_ids));
        Some(keys)
    }

    /// The findings about the archive itself, as against those about what a sound archive lacks.
    pub fn structural_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.kind.is_structural())
    }

    fn shard_ids(&self, wanted: impl Fn(&ShardContents) -> bool) -> Vec<u32> {
        self.shards.iter().filter(|(_, shard)| wanted(shard)).map(|(id, _)| *id).collect()
    }
}

impl ShardContents {
    /// Whether the shard is known to be local.
    pub fn is_local(&self) -> bool {
        self.replica_state.as_ref().is_some_and(|state| state.is_local)
    }
}

/// What `shard_key_mapping.json` says: `[{"key": .., "shard_ids": [..]}]`, formerly `{"key": [..]}`.
pub(super) fn mapped_keys(mapping: &Value) -> Vec<ShardKey> {
    let pairs: Vec<(Value, &Value)> = match mapping {
        Value::Array(entries) => entries
            .iter()
            .filter_map(|entry| {
                Some((entry.get("key").cloned().unwrap_or_default(), entry.get("shard_ids")?))
            })
            .collect(),
        Value::Object(keys) => keys.iter().map(|(key, ids)| (Value::from(key.as_str()), ids)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let ids = |ids: &Value| -> BTreeSet<u32> {
        let numbers = ids.as_array().into_iter().flatten().filter_map(Value::as_u64);
        numbers.filter_map(|number| u32::try_from(number).ok()).collect()
    };
    pairs.into_iter().map(|(key, list)| ShardKey::new(key, ids(list).into_iter().collect())).collect()
}

/// Whether a snapshot's `config.json` describes another collection than the configuration in a manifest
/// (`config` of the server's collection info). Only `params` is compared: the two forms of the rest differ
/// between endpoints, and the rest does not decide what the data mean. Where either has no `params`, they
/// cannot be called equal.
pub fn config_params_differ(inspected: &Value, manifest_config: &Value) -> bool {
    match (inspected.get("params"), manifest_config.get("params")) {
        (Some(inspected), Some(manifest)) => inspected != manifest,
        _missing => true,
    }
}
