//! Findings of an inspection: a list of limited length, with fixed names.

use std::fmt;

/// One problem of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Kind of finding.
    pub kind: FindingKind,
    /// The member, with control characters escaped and long names shortened.
    pub member: Option<String>,
    /// One line for a person.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.member {
            Some(member) => write!(formatter, "{member}: {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

macro_rules! finding_kinds {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal / $structural:literal,)*) => {
        /// The kinds of findings. The names of [`FindingKind::as_str`] are stored in files and never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FindingKind { $($(#[doc = $doc])* $variant,)* }

        impl FindingKind {
            /// Every kind, in order of declaration.
            pub const ALL: &'static [FindingKind] = &[$(FindingKind::$variant,)*];

            /// The name in JSON, in snake case.
            pub fn as_str(self) -> &'static str {
                match self { $(FindingKind::$variant => $name,)* }
            }

            /// Whether the archive itself is damaged, and not only incomplete as a snapshot.
            pub fn is_structural(self) -> bool {
                match self { $(FindingKind::$variant => $structural,)* }
            }
        }
    };
}

finding_kinds! {
    /// The checksum of a header does not match.
    HeaderChecksum = "header_checksum" / true,
    /// A number in a header is invalid, or its fields contradict each other.
    HeaderInvalid = "header_invalid" / true,
    /// The bytes end inside a member or a header.
    Truncated = "truncated" / true,
    /// The two zero blocks at the end are missing or incomplete.
    EndMarkerMissing = "end_marker_missing" / true,
    /// Something other than zeros follows the end marker.
    TrailingData = "trailing_data" / true,
    /// A name that starts at the root directory.
    AbsolutePath = "absolute_path" / true,
    /// A name with a `..` component.
    ParentPath = "parent_path" / true,
    /// A member without a name.
    EmptyName = "empty_name" / true,
    /// A hard or symbolic link. Qdrant's snapshots contain none.
    Link = "link" / true,
    /// A link that points outside the archive.
    LinkOutside = "link_outside" / true,
    /// A device or a named pipe.
    SpecialFile = "special_file" / true,
    /// An unknown entry type.
    UnknownEntryType = "unknown_entry_type" / true,
    /// The same name twice in one archive.
    DuplicateMember = "duplicate_member" / true,
    /// An implausible declared size.
    SizeAbsurd = "size_absurd" / true,
    /// A member that is larger than the rest of its archive.
    MemberExceedsArchive = "member_exceeds_archive" / true,
    /// The map of a sparse member is inconsistent.
    SparseMapInvalid = "sparse_map_invalid" / true,
    /// A sparse member in a format that Qdrant does not use.
    SparseUnsupported = "sparse_unsupported" / true,
    /// A long name or extended header that is malformed, oversized, repeated, or belongs to no member.
    ExtensionInvalid = "extension_invalid" / true,
    /// An archive inside a segment's archive.
    NestedTooDeep = "nested_too_deep" / true,
    /// More members, shards or segments than the limits allow.
    TooManyMembers = "too_many_members" / true,
    /// A member that should be small is too large to check.
    MemberTooLarge = "member_too_large" / true,
    /// A segment with a name that Qdrant does not use.
    SegmentNameInvalid = "segment_name_invalid" / true,
    /// Members of a collection snapshot and of a shard snapshot in one archive.
    MixedLayout = "mixed_layout" / true,
    /// `version.info` is missing.
    VersionInfoMissing = "version_info_missing" / false,
    /// `version.info` does not contain a version.
    VersionInfoInvalid = "version_info_invalid" / false,
    /// `config.json` is missing.
    ConfigMissing = "config_missing" / false,
    /// `config.json` is not a JSON object with `params`.
    ConfigInvalid = "config_invalid" / false,
    /// `payload_index.json` is missing: the payload indexes would be lost.
    PayloadIndexMissing = "payload_index_missing" / false,
    /// `payload_index.json` is not a JSON object.
    PayloadIndexInvalid = "payload_index_invalid" / false,
    /// `shard_key_mapping.json` is missing.
    ShardKeyMappingMissing = "shard_key_mapping_missing" / false,
    /// `shard_key_mapping.json` is not JSON.
    ShardKeyMappingInvalid = "shard_key_mapping_invalid" / false,
    /// The archive contains no shards.
    NoShard = "no_shard" / false,
    /// All described shards are on other nodes: the snapshot contains no points.
    NoLocalShard = "no_local_shard" / false,
    /// A shard of the configuration is not described.
    ShardMissing = "shard_missing" / false,
    /// A shard without `shard_config.json`.
    ShardConfigMissing = "shard_config_missing" / false,
    /// A `shard_config.json` that is not a JSON object.
    ShardConfigInvalid = "shard_config_invalid" / false,
    /// A shard without `replica_state.json`.
    ReplicaStateMissing = "replica_state_missing" / false,
    /// A `replica_state.json` without the information whether the shard is local.
    ReplicaStateInvalid = "replica_state_invalid" / false,
    /// A local shard without any segment.
    SegmentsMissing = "segments_missing" / false,
    /// Segments of a shard that is marked as not local, so that a restore would ignore them.
    SegmentsNotLocal = "segments_not_local" / false,
    /// A local shard of a collection's snapshot without a write-ahead log.
    WalMissing = "wal_missing" / false,
    /// A segment without `segment.json`.
    SegmentStateMissing = "segment_state_missing" / false,
    /// An invalid `segment.json`.
    SegmentStateInvalid = "segment_state_invalid" / false,
    /// A segment without its `version.info`, which is written last: the segment is truncated.
    SegmentVersionMissing = "segment_version_missing" / false,
    /// A segment's `version.info` that does not contain a version.
    SegmentVersionInvalid = "segment_version_invalid" / false,
    /// Number of findings that are not listed.
    NotListed = "not_listed" / true,
}

impl FindingKind {
    /// Whether a finding is unusual, but not a reason to discard a backup with exactly the bytes of the server: a newer Qdrant
    /// may write unknown files. Verification is stricter.
    pub fn is_oddity(self) -> bool {
        matches!(
            self,
            Self::Link
                | Self::UnknownEntryType
                | Self::DuplicateMember
                | Self::SparseUnsupported
                | Self::TooManyMembers
                | Self::MemberTooLarge
                | Self::NestedTooDeep
                | Self::SegmentNameInvalid
                | Self::MixedLayout
                | Self::PayloadIndexMissing
                | Self::ShardKeyMappingMissing
                | Self::ShardMissing
                | Self::SegmentsNotLocal
                | Self::WalMissing
                | Self::SegmentStateMissing
                | Self::SegmentStateInvalid
                | Self::SegmentVersionMissing
                | Self::SegmentVersionInvalid
        )
    }
}

/// Collects findings up to a limit and counts the rest.
#[derive(Debug)]
pub(super) struct Findings {
    listed: Vec<Finding>,
    limit: usize,
    not_listed: u64,
}

impl Findings {
    pub(super) fn new(limit: usize) -> Self {
        Self { listed: Vec::new(), limit, not_listed: 0 }
    }

    /// Adds a finding about a member whose name is already escaped.
    pub(super) fn add(&mut self, kind: FindingKind, member: Option<&str>, message: impl Into<String>) {
        if self.listed.len() < self.limit {
            self.listed.push(Finding { kind, member: member.map(str::to_owned), message: message.into() });
        } else {
            self.not_listed += 1;
        }
    }

    pub(super) fn finish(mut self) -> Vec<Finding> {
        if self.not_listed > 0 {
            let message = format!("{} more findings are not listed", self.not_listed);
            self.listed.push(Finding { kind: FindingKind::NotListed, member: None, message });
        }
        self.listed
    }
}
