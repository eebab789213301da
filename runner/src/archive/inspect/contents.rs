//! Collects the information of all members.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::classify::{Role, SegmentKey, ShardKey};
use super::drafts::{self, Part, SegmentDraft, ShardDraft};
use super::findings::Findings;
use super::{FindingKind, Limits};

/// The snapshot's contents under construction.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) version_info: Part<String>,
    pub(super) config: Part<Value>,
    pub(super) payload_index: Part<Value>,
    pub(super) shard_key_mapping: Part<Value>,
    pub(super) shards: BTreeMap<ShardKey, ShardDraft>,
    segments: usize,
    kept_bytes: u64,
    limit_reported: bool,
}

impl Contents {
    /// Records a member before its content is known.
    pub(super) fn note(
        &mut self,
        role: &Role,
        is_file: bool,
        stored_bytes: u64,
        limits: &Limits,
        findings: &mut Findings,
    ) {
        match role {
            Role::Wal(shard) => {
                if let Some(shard) = self.shard(*shard, limits, findings)
                    && is_file
                {
                    shard.wal_files = shard.wal_files.saturating_add(1);
                }
            }
            Role::ShardConfig(shard) | Role::ReplicaState(shard) | Role::ShardOther(shard) => {
                self.shard(*shard, limits, findings);
            }
            Role::SegmentArchive(segment)
            | Role::SegmentState(segment)
            | Role::SegmentVersion(segment)
            | Role::SegmentData(segment) => {
                if let Some(segment) = self.segment(segment, limits, findings) {
                    segment.bytes = segment.bytes.saturating_add(stored_bytes);
                }
            }
            Role::VersionInfo
            | Role::Config
            | Role::PayloadIndex
            | Role::ShardKeyMapping
            | Role::SegmentNameInvalid
            | Role::Other => {}
        }
    }

    /// Records the content of a small member. None if it exists but could not be read.
    pub(super) fn keep(
        &mut self,
        role: &Role,
        content: Option<&[u8]>,
        member: &str,
        limits: &Limits,
        findings: &mut Findings,
    ) {
        let content = self.within_budget(role, content, member, limits, findings);
        let fault = match role {
            Role::VersionInfo => {
                let understood = self.version_info.set(content.and_then(drafts::version));
                (!understood).then_some((FindingKind::VersionInfoInvalid, "the file contains no version"))
            }
            Role::Config => {
                let config = json(content).filter(|json| json.get("params").is_some_and(Value::is_object));
                let message = "the file is not a JSON object with `params`";
                (!self.config.set(config)).then_some((FindingKind::ConfigInvalid, message))
            }
            Role::PayloadIndex => {
                let index = json(content).filter(Value::is_object);
                let message = "the file is not a JSON object";
                (!self.payload_index.set(index)).then_some((FindingKind::PayloadIndexInvalid, message))
            }
            Role::ShardKeyMapping => {
                let mapping = json(content);
                let message = "the file is not JSON";
                (!self.shard_key_mapping.set(mapping))
                    .then_some((FindingKind::ShardKeyMappingInvalid, message))
            }
            Role::ShardConfig(shard) => {
                let object: Option<BTreeMap<String, IgnoredAny>> =
                    content.and_then(|bytes| serde_json::from_slice(bytes).ok());
                let object = object.map(|_| ());
                let understood = self.shards.get_mut(shard).is_none_or(|shard| shard.config.set(object));
                (!understood).then_some((FindingKind::ShardConfigInvalid, "the file is not a JSON object"))
            }
            Role::ReplicaState(shard) => {
                let state = content.and_then(drafts::replica_state);
                let understood =
                    self.shards.get_mut(shard).is_none_or(|shard| shard.replica_state.set(state));
                let message = "the file does not say whether the shard is local";
                (!understood).then_some((FindingKind::ReplicaStateInvalid, message))
            }
            Role::SegmentState(key) => {
                let operations = content.and_then(drafts::segment_operations);
                let understood = self.known_segment(key).is_none_or(|segment| segment.state.set(operations));
                let message = "the file does not say which operation was last";
                (!understood).then_some((FindingKind::SegmentStateInvalid, message))
            }
            Role::SegmentVersion(key) => {
                let version = content.and_then(drafts::version).map(|_| ());
                let understood = self.known_segment(key).is_none_or(|segment| segment.version.set(version));
                (!understood).then_some((FindingKind::SegmentVersionInvalid, "the file contains no version"))
            }
            Role::Wal(_)
            | Role::SegmentArchive(_)
            | Role::SegmentData(_)
            | Role::SegmentNameInvalid
            | Role::ShardOther(_)
            | Role::Other => None,
        };
        // Content that could not be read was already reported.
        if let (Some((kind, message)), Some(_)) = (fault, content) {
            findings.add(kind, Some(member), message);
        }
    }

    /// Marks a segment whose archive could not be read to its end.
    pub(super) fn mark_broken(&mut self, segment: &SegmentKey) {
        if let Some(segment) = self.known_segment(segment) {
            segment.broken = true;
        }
    }

    /// The content, if the total kept in memory stays within the limit.
    fn within_budget<'c>(
        &mut self,
        role: &Role,
        content: Option<&'c [u8]>,
        member: &str,
        limits: &Limits,
        findings: &mut Findings,
    ) -> Option<&'c [u8]> {
        let content = content?;
        let lasting = matches!(
            role,
            Role::Config
                | Role::PayloadIndex
                | Role::ShardKeyMapping
                | Role::ReplicaState(_)
                | Role::VersionInfo
        );
        if lasting {
            self.kept_bytes = self.kept_bytes.saturating_add(content.len() as u64);
        }
        if lasting && self.kept_bytes > limits.max_kept_total_bytes {
            let message = "the file was not checked: the archive contains too much JSON";
            findings.add(FindingKind::MemberTooLarge, Some(member), message);
            return None;
        }
        Some(content)
    }

    fn shard(&mut self, key: ShardKey, limits: &Limits, findings: &mut Findings) -> Option<&mut ShardDraft> {
        if !self.shards.contains_key(&key) && self.shards.len() >= limits.max_shards {
            self.report_limit(findings);
            return None;
        }
        Some(self.shards.entry(key).or_default())
    }

    fn segment(
        &mut self,
        key: &SegmentKey,
        limits: &Limits,
        findings: &mut Findings,
    ) -> Option<&mut SegmentDraft> {
        self.shard(key.shard, limits, findings)?;
        if self.known_segment(key).is_none() {
            if self.segments >= limits.max_segments {
                self.report_limit(findings);
                return None;
            }
            self.segments += 1;
            let shard = self.shards.get_mut(&key.shard)?;
            shard.places.insert(key.id.clone(), shard.segments.len());
            shard.segments.push(SegmentDraft { id: key.id.clone(), ..SegmentDraft::default() });
        }
        self.known_segment(key)
    }

    fn known_segment(&mut self, key: &SegmentKey) -> Option<&mut SegmentDraft> {
        let shard = self.shards.get_mut(&key.shard)?;
        let place = *shard.places.get(&key.id)?;
        shard.segments.get_mut(place)
    }

    fn report_limit(&mut self, findings: &mut Findings) {
        if !self.limit_reported {
            self.limit_reported = true;
            findings.add(FindingKind::TooManyMembers, None, "too many shards or segments to tell apart");
        }
    }
}

fn json(content: Option<&[u8]>) -> Option<Value> {
    content.and_then(|bytes| serde_json::from_slice(bytes).ok())
}
