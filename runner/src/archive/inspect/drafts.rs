//! Shards and segments under construction. Their members come in any order.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{ReplicaState, SegmentContents, SegmentOperations, ShardContents};

/// A member that should exist once, and its content if it is valid.
#[derive(Debug)]
pub(super) struct Part<T> {
    pub(super) seen: bool,
    pub(super) value: Option<T>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self { seen: false, value: None }
    }
}

impl<T> Part<T> {
    /// Records the member, and returns whether it is valid.
    pub(super) fn set(&mut self, value: Option<T>) -> bool {
        self.seen = true;
        self.value = value;
        self.value.is_some()
    }
}

/// A shard under construction.
#[derive(Debug, Default)]
pub(super) struct ShardDraft {
    pub(super) config: Part<()>,
    pub(super) replica_state: Part<ReplicaState>,
    pub(super) segments: Vec<SegmentDraft>,
    /// Segment id to index in `segments`.
    pub(super) places: BTreeMap<String, usize>,
    pub(super) wal_files: u32,
}

/// A segment under construction.
#[derive(Debug, Default)]
pub(super) struct SegmentDraft {
    pub(super) id: String,
    pub(super) state: Part<SegmentOperations>,
    pub(super) version: Part<()>,
    pub(super) bytes: u64,
    /// Its archive could not be read to the end; this was already reported.
    pub(super) broken: bool,
}

impl ShardDraft {
    pub(super) fn finish(self) -> ShardContents {
        let segments = self.segments.into_iter().map(|segment| SegmentContents {
            id: segment.id,
            operations: segment.state.value.unwrap_or(SegmentOperations::Unknown),
            bytes: segment.bytes,
        });
        ShardContents {
            has_config: self.config.seen,
            replica_state: self.replica_state.value,
            segments: segments.collect(),
            wal_files: self.wal_files,
        }
    }
}

/// Parses `replica_state.json`. Only `is_local` is required; peers are informative.
pub(super) fn replica_state(bytes: &[u8]) -> Option<ReplicaState> {
    #[derive(Deserialize)]
    struct File {
        is_local: bool,
        #[serde(default)]
        this_peer_id: Option<u64>,
        #[serde(default)]
        peers: BTreeMap<String, Value>,
    }
    let file: File = serde_json::from_slice(bytes).ok()?;
    let text = |state: Value| state.as_str().map_or_else(|| state.to_string(), str::to_owned);
    let peers = file.peers.into_iter().map(|(peer, state)| (peer, text(state))).collect();
    Some(ReplicaState { is_local: file.is_local, this_peer_id: file.this_peer_id, peers })
}

/// Parses `segment.json`: `version` is required, as a number or `null`.
pub(super) fn segment_operations(bytes: &[u8]) -> Option<SegmentOperations> {
    #[derive(Deserialize)]
    struct File {
        #[serde(deserialize_with = "present")]
        version: Option<u64>,
    }
    // Without this, serde reads a missing `Option` as `null`.
    fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Option::deserialize(deserializer)
    }
    let file: File = serde_json::from_slice(bytes).ok()?;
    Some(file.version.map_or(SegmentOperations::None, SegmentOperations::Some))
}

/// Parses a `version.info`: three numbers, optionally with a suffix (`0.4.2`, `1.0.0-dev`).
pub(super) fn version(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let (core, suffix) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let numbers: Vec<&str> = core.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
    (text.len() <= 64 && numbers.len() == 3 && numbers.iter().all(digits) && plain).then(|| text.to_owned())
}
