//! What a snapshot may claim before it is called absurd, and how much of it is kept in memory.

/// The bounds of one inspection. The defaults leave room for collections far larger than any server
/// holds, so that exceeding one means damage or malice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest member, in bytes, that is read into memory (`config.json` and its like).
    pub max_kept_member_bytes: u64,
    /// How many bytes of JSON are kept in all, members of every shard together.
    pub max_kept_total_bytes: u64,
    /// The longest member name or extended header, in bytes.
    pub max_extension_bytes: u64,
    /// The most bytes a member may take in the archive.
    pub max_member_bytes: u64,
    /// The most bytes a sparse member may have when its holes are filled.
    pub max_sparse_bytes: u64,
    /// The most bytes all members may have together when every hole is filled.
    pub max_expanded_bytes: u64,
    /// The most members, those of segment archives included.
    pub max_members: u64,
    /// The most shards that are told apart.
    pub max_shards: usize,
    /// The most segments that are told apart, over all shards.
    pub max_segments: usize,
    /// The most findings that are listed; further ones are only counted.
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
