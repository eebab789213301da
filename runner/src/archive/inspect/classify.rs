//! The role of a member in a snapshot, by its name.

/// A shard inside the archive: its number, or none in a shard snapshot, which does not contain it.
pub(super) type ShardKey = Option<u32>;

/// A segment inside the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentKey {
    pub(super) shard: ShardKey,
    pub(super) id: String,
}

/// The member's part in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    VersionInfo,
    Config,
    PayloadIndex,
    ShardKeyMapping,
    ShardConfig(ShardKey),
    ReplicaState(ShardKey),
    Wal(ShardKey),
    /// A tar inside the tar.
    SegmentArchive(SegmentKey),
    /// `segment.json`.
    SegmentState(SegmentKey),
    /// A segment's `version.info`.
    SegmentVersion(SegmentKey),
    /// Any other file of a segment.
    SegmentData(SegmentKey),
    /// A segment with a name that Qdrant does not use.
    SegmentNameInvalid,
    /// Another file of a shard.
    ShardOther(ShardKey),
    Other,
}

impl Role {
    /// Whether the content is read, not skipped.
    pub(super) fn is_kept(&self) -> bool {
        match self {
            Self::VersionInfo
            | Self::Config
            | Self::PayloadIndex
            | Self::ShardKeyMapping
            | Self::ShardConfig(_)
            | Self::ReplicaState(_)
            | Self::SegmentState(_)
            | Self::SegmentVersion(_) => true,
            Self::Wal(_)
            | Self::SegmentArchive(_)
            | Self::SegmentData(_)
            | Self::SegmentNameInvalid
            | Self::ShardOther(_)
            | Self::Other => false,
        }
    }
}

/// Classifies a member of the snapshot itself.
pub(super) fn in_snapshot(name: &str) -> Role {
    match name {
        "version.info" => return Role::VersionInfo,
        "config.json" => return Role::Config,
        "payload_index.json" => return Role::PayloadIndex,
        "shard_key_mapping.json" => return Role::ShardKeyMapping,
        _other => {}
    }
    if let Some((first, rest)) = name.split_once('/')
        && let Some(number) = shard_number(first)
    {
        return in_shard(Some(number), rest).unwrap_or(Role::ShardOther(Some(number)));
    }
    match shard_number(name) {
        Some(number) => Role::ShardOther(Some(number)),
        None => in_shard(None, name).unwrap_or(Role::Other),
    }
}

/// Classifies a member of a segment's archive, where all files are in `snapshot/`.
pub(super) fn in_segment(segment: &SegmentKey, name: &str) -> Role {
    match name.strip_prefix("snapshot/") {
        Some(rest) => segment_file(segment.clone(), rest),
        None => Role::SegmentData(segment.clone()),
    }
}

fn in_shard(shard: ShardKey, name: &str) -> Option<Role> {
    match name {
        "shard_config.json" => return Some(Role::ShardConfig(shard)),
        "replica_state.json" => return Some(Role::ReplicaState(shard)),
        "segments" | "wal" => return Some(Role::ShardOther(shard)),
        _other => {}
    }
    if name.starts_with("wal/") {
        return Some(Role::Wal(shard));
    }
    let segment = name.strip_prefix("segments/")?;
    let (id, rest) = segment.split_once('/').unwrap_or((segment, ""));
    let archive = if rest.is_empty() { id.strip_suffix(".tar") } else { None };
    let id = archive.unwrap_or(id);
    // Qdrant uses UUIDs as names of segments. Other names are accepted too, but not very long ones.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.is_empty() || id.len() > 64 || !id.as_bytes().iter().all(plain) {
        return Some(Role::SegmentNameInvalid);
    }
    let key = SegmentKey { shard, id: id.to_owned() };
    Some(if archive.is_some() { Role::SegmentArchive(key) } else { segment_file(key, rest) })
}

fn segment_file(segment: SegmentKey, name: &str) -> Role {
    match name {
        "files/segment.json" => Role::SegmentState(segment),
        "files/version.info" => Role::SegmentVersion(segment),
        _other => Role::SegmentData(segment),
    }
}

fn shard_number(component: &str) -> Option<u32> {
    let number: u32 = component.parse().ok()?;
    // `+1` and `01` are numbers, but Qdrant does not use such names.
    (number.to_string() == component).then_some(number)
}
