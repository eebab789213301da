//! Limits for the contents of a snapshot, and for the memory of an inspection.

/// The limits of one inspection. The defaults are far above any real collection, so that exceeding one means damage or an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size of a member that is read into memory (such as `config.json`), in bytes.
    pub max_kept_member_bytes: u64,
    /// Maximum bytes of JSON kept in memory, for all shards together.
    pub max_kept_total_bytes: u64,
    /// Maximum length of a member name or extended header, in bytes.
    pub max_extension_bytes: u64,
    /// Maximum size of a member in the archive, in bytes.
    pub max_member_bytes: u64,
    /// Maximum size of a sparse member with its holes filled, in bytes.
    pub max_sparse_bytes: u64,
    /// Maximum total size of all members with their holes filled, in bytes.
    pub max_expanded_bytes: u64,
    /// Maximum number of members, including those of segment archives.
    pub max_members: u64,
    /// Maximum number of shards.
    pub max_shards: usize,
    /// Maximum number of segments in all shards.
    pub max_segments: usize,
    /// Maximum number of listed findings. Further ones are only counted.
    pub max_findings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        const TIB: u64 = 1 << 40;
        Self {
            max_kept_member_bytes: 4 * MIB,
            max_kept_total_bytes: 8 * MIB,
            max_extension_bytes: 64 << 10,
            max_member_bytes: 16 * TIB,
            max_sparse_bytes: TIB,
            max_expanded_bytes: 64 * TIB,
            max_members: 1_000_000,
            max_shards: 16_384,
            max_segments: 65_536,
            max_findings: 100,
        }
    }
}
