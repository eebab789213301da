//! The contents of a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use qdrant_backup_shared::ShardKey;
use qdrant_backup_shared::manifest::is_custom;
use serde_json::Value;

use super::Finding;

/// The result of one pass over a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// The kind of snapshot.
    pub kind: SnapshotKind,
    /// The version of the collection's format (not of the server), from `version.info`.
    pub version_info: Option<String>,
    /// The complete `config.json`.
    pub config: Option<Value>,
    /// The complete `payload_index.json`.
    pub payload_index: Option<Value>,
    /// The complete `shard_key_mapping.json`.
    pub shard_key_mapping: Option<Value>,
    /// The described shards, local or not. A shard snapshot does not contain its shard number; its contents are under 0.
    pub shards: BTreeMap<u32, ShardContents>,
    /// Members of the archive and of the segment archives in it, directories included.
    pub members: u64,
    /// Size of the snapshot, including everything after the end marker.
    pub uncompressed_bytes: u64,
    /// Whether the archive was read to its end marker. If not, absent information may follow later, and no finding reports
    /// missing files.
    pub end_marker_reached: bool,
    /// All problems. Empty for a good snapshot.
    pub findings: Vec<Finding>,
}

/// The forms of snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Of a collection, as far as it is on one node.
    Collection,
    /// Of a single shard.
    Shard,
    /// Unknown.
    Unknown,
}

/// One shard in a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardContents {
    /// Whether `shard_config.json` exists.
    pub has_config: bool,
    /// `replica_state.json`, if it exists and is valid.
    pub replica_state: Option<ReplicaState>,
    /// The segments, in the order of the archive.
    pub segments: Vec<SegmentContents>,
    /// Number of files of the write-ahead log.
    pub wal_files: u32,
}

/// The replicas of a shard, according to the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaState {
    /// Whether the data of the shard is on the node that made the snapshot.
    pub is_local: bool,
    /// The node that made the snapshot.
    pub this_peer_id: Option<u64>,
    /// Peer id to state (`Active`, `Dead`, ...) of each replica.
    pub peers: BTreeMap<String, String>,
}

/// One segment of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentContents {
    /// The segment's UUID.
    pub id: String,
    /// Its last operation.
    pub operations: SegmentOperations,
    /// Its size in the snapshot, in bytes.
    pub bytes: u64,
}

/// `version` in `segment.json`: the number of the last applied operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentOperations {
    /// `null`: nothing was ever written to the segment.
    None,
    /// The last operation's number.
    Some(u64),
    /// `segment.json` is missing or invalid.
    Unknown,
}

impl Inspection {
    /// Local shards without segments.
    pub fn local_shards_without_segments(&self) -> Vec<u32> {
        self.shard_ids(|shard| shard.is_local() && shard.segments.is_empty())
    }

    /// Shards with segments.
    pub fn shards_with_segments(&self) -> Vec<u32> {
        self.shard_ids(|shard| !shard.segments.is_empty())
    }

    /// Whether the snapshot certainly contains no points: it was read to its end, and nothing was ever written to any segment.
    /// Operations that are only in the write-ahead log do not count as points; the server does not count them either.
    pub fn holds_no_points(&self) -> bool {
        let mut segments = self.shards.values().flat_map(|shard| &shard.segments);
        self.end_marker_reached
            && self.structural_findings().next().is_none()
            && segments.all(|segment| segment.operations == SegmentOperations::None)
    }

    /// The shard keys of a collection with custom sharding, in the order of their shards. None for other collections, or if the
    /// configuration was not found. Shards without a known key are under the key `null`.
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

    /// The findings about damage to the archive itself.
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

/// The format of `shard_key_mapping.json`: `[{"key": .., "shard_ids": [..]}]`, formerly `{"key": [..]}`.
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

/// Whether a snapshot's `config.json` describes a different collection from the configuration in a manifest (`config` of the
/// server's collection info). Only `params` is compared: the rest has different formats in the two sources, and does not affect
/// the data. Without `params`, they count as different.
pub fn config_params_differ(inspected: &Value, manifest_config: &Value) -> bool {
    match (inspected.get("params"), manifest_config.get("params")) {
        (Some(inspected), Some(manifest)) => inspected != manifest,
        _missing => true,
    }
}
