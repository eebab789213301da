//! The manifest, which describes a backup. A backup exists if and only if its manifest does. It is written last and never
//! changed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::backup_id::BackupId;
use crate::collection_name::CollectionName;
use crate::digest::Sha256Digest;
pub use crate::encoding::Encoding;
use crate::json_file::{JsonFile, SCHEMA_VERSION};
use crate::open_enum::open_enum;
use crate::points_count::PointsCount;
use crate::points_sample::PointsSample;
use crate::shard_key::ShardKey;

open_enum! {
    /// Where a backup came from.
    pub enum Origin {
        /// A snapshot created by Qdrant for this program.
        Snapshot = "snapshot",
        /// An archive of another tool, added with `import`.
        Imported = "imported",
    }
}

open_enum! {
    /// What an archive is a snapshot of.
    pub enum Scope {
        /// A collection, as far as it is on one node.
        Collection = "collection",
        /// One shard.
        Shard = "shard",
        /// Configuration files (`backup.include_files`), as a tar.
        Files = "files",
    }
}

open_enum! {
    /// Result of the comparison with the server's checksum of the snapshot.
    pub enum ServerChecksum {
        /// The checksum matches the downloaded bytes.
        Matched = "matched",
        /// The server gave no checksum, as servers with snapshots in S3 do.
        Absent = "absent",
        /// It was not compared.
        NotChecked = "not_checked",
    }
}

/// Requirement of backups with one archive per shard. Versions that do not support it cannot restore them, and do not know the
/// names of their files.
pub const SHARD_ARCHIVES: &str = "shard_archives";

/// No backup is larger, in bytes: 1 PiB. The sums of thousands still fit into 64 bits.
const SIZE_MAX_BYTES: u64 = 1 << 50;

/// One backup of one collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Manifest {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Features that are needed to use this backup. A program that does not support an entry must neither restore nor prune it.
    #[serde(default)]
    pub requires: Vec<String>,
    /// The backup's id, unique within the collection.
    pub backup_id: BackupId,
    /// The collection's name on the server.
    pub collection: CollectionName,
    /// Where the backup came from.
    pub origin: Origin,
    /// The run that made it.
    pub run_id: String,
    /// When the backup started. The data is at least this recent, so the age of a backup counts from here.
    pub started_at: DateTime<Utc>,
    /// When the archive was complete.
    pub completed_at: DateTime<Utc>,
    /// Backups without which this one cannot be restored.
    #[serde(default)]
    pub depends_on: Vec<BackupId>,
    /// The server's information about the collection.
    #[serde(default)]
    pub source: Source,
    /// Digests of a few points, for test restores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_sample: Option<PointsSample>,
    /// The stored files.
    pub archives: Vec<Archive>,
    /// The version of the program that made the backup.
    pub runner_version: String,
}

/// The server's information about a collection at the time of the backup. Each part may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    /// Version of the Qdrant server, such as `1.18.3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qdrant_version: Option<String>,
    /// Exact number of points before the snapshot. The collection may have been written to at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_count_before: Option<u64>,
    /// Exact number of points after the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_count_after: Option<u64>,
    /// Approximate number of points, if the server did not count exactly. The exact numbers are then absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_count_approximate: Option<u64>,
    /// The collection's configuration from `GET /collections/{c}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
    /// The collection's payload indexes by field, from `GET /collections/{c}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_schema: Option<serde_json::Value>,
    /// Aliases of the collection. They are state of the server and not part of snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Vec<String>>,
    /// Number of shards of the collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_count: Option<u32>,
    /// The shard keys of a collection with custom sharding, in the order of their shards. Empty if there are none yet, absent for
    /// automatic sharding. A restore needs a collection with exactly these shard keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_keys: Option<Vec<ShardKey>>,
}

/// One stored file of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Archive {
    /// Its name, in the manifest's own directory.
    pub file_name: String,
    /// URL of the node that made the snapshot, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_url: Option<String>,
    /// The peer id of that node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_id: Option<u64>,
    /// The shards that it contains.
    #[serde(default)]
    pub shard_ids: Vec<u32>,
    /// What the snapshot covers.
    pub scope: Scope,
    /// The name of the snapshot on the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_name: Option<String>,
    /// The encodings of the stored file, in order of application. Empty for a plain snapshot.
    #[serde(default)]
    pub encoding: Vec<Encoding>,
    /// Size and digest of the snapshot before encoding. Qdrant's checksum refers to this.
    pub snapshot: SizeAndDigest,
    /// Size and digest of the stored file.
    pub stored: SizeAndDigest,
    /// Result of the comparison with the server's checksum.
    pub server_checksum: ServerChecksum,
}

/// A size and the digest of these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SizeAndDigest {
    /// Length in bytes.
    pub size_bytes: u64,
    /// SHA-256.
    pub sha256: Sha256Digest,
}

impl Manifest {
    /// The first entry of `requires` that this version does not support, if any.
    pub fn unknown_requirement(&self) -> Option<&str> {
        self.requires.iter().map(String::as_str).find(|entry| *entry != SHARD_ARCHIVES)
    }

    /// Whether there is one archive per shard, not one of the collection.
    pub fn is_by_shard(&self) -> bool {
        self.archives.first().is_some_and(|archive| archive.scope == Scope::Shard)
    }

    /// Checks its shards: each must be in exactly one archive.
    fn uncovered(&self) -> Option<String> {
        let mut ids: Vec<u32> = Vec::new();
        for archive in &self.archives {
            let (Scope::Shard, [id]) = (&archive.scope, archive.shard_ids.as_slice()) else {
                return Some(format!("{} is not a single shard, unlike the others", archive.file_name));
            };
            if ids.contains(id) {
                return Some(format!("shard {id} is listed twice"));
            }
            ids.push(*id);
        }
        let count = self.source.shard_count?;
        let there = ids.len();
        (usize::try_from(count) != Ok(there))
            .then(|| format!("it lists {there} shards, but the collection has {count}"))
    }

    /// Total size of the archives on disk, in bytes.
    pub fn stored_size_bytes(&self) -> u64 {
        self.archives.iter().map(|archive| archive.stored.size_bytes).sum()
    }

    /// Total size of the snapshots before encoding, in bytes.
    pub fn snapshot_size_bytes(&self) -> u64 {
        self.archives.iter().map(|archive| archive.snapshot.size_bytes).sum()
    }

    /// The probable number of points: the smaller of the counts before and after. If the collection was being written to, the
    /// real number may differ.
    pub fn points_count(&self) -> Option<u64> {
        match (self.source.points_count_before, self.source.points_count_after) {
            (Some(before), Some(after)) => Some(before.min(after)),
            (one, other) => one.or(other),
        }
    }

    /// Number of points, as precisely as the server reported it.
    pub fn points_told(&self) -> Option<PointsCount> {
        let exact = self.points_count().map(PointsCount::exact);
        exact.or_else(|| self.source.points_count_approximate.map(PointsCount::approximate))
    }
}

impl Source {
    /// Whether the collection has custom sharding. None if neither configuration nor shard keys are known.
    pub fn has_custom_sharding(&self) -> Option<bool> {
        if self.shard_keys.is_some() {
            return Some(true);
        }
        self.config.as_ref().map(is_custom)
    }
}

/// Whether this collection configuration has `"sharding_method": "custom"`.
pub fn is_custom(config: &serde_json::Value) -> bool {
    config.pointer("/params/sharding_method").and_then(serde_json::Value::as_str) == Some("custom")
}

impl JsonFile for Manifest {
    const WHAT: &'static str = "backup manifest";

    fn check(&self) -> Result<(), String> {
        if self.archives.is_empty() {
            return Err("archives: is empty".to_owned());
        }
        for archive in &self.archives {
            let name = &archive.file_name;
            // The name is used in a path: only a plain file name in the manifest's directory is allowed.
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
                return Err(format!(
                    "archives: file_name {:?} is not a plain file name",
                    crate::text::shortened(name, 80)
                ));
            }
        }
        let total = |size: fn(&Archive) -> u64| self.archives.iter().map(size).fold(0, u64::saturating_add);
        if total(|archive| archive.stored.size_bytes).max(total(|archive| archive.snapshot.size_bytes))
            > SIZE_MAX_BYTES
        {
            return Err("archives: size_bytes is more than any backup has".to_owned());
        }
        if self.archives.iter().any(|archive| archive.scope == Scope::Shard)
            && let Some(problem) = self.uncovered()
        {
            return Err(format!("archives: {problem}"));
        }
        debug_assert_eq!(self.schema_version, SCHEMA_VERSION);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::json_file;

    const VERSION_1: &str = include_str!("../testdata/manifest-v1.json");

    #[test]
    fn the_first_version_is_read_for_ever_and_written_back_alike() {
        let manifest: Manifest = json_file::parse(Path::new("m.json"), VERSION_1.as_bytes()).unwrap();
        assert_eq!(manifest.collection.as_str(), "mixtral_embeddings");
        assert_eq!(manifest.points_count(), Some(250));
        assert_eq!(manifest.archives[0].server_checksum, ServerChecksum::Matched);
        let written = String::from_utf8(json_file::to_bytes(&manifest).unwrap()).unwrap();
        assert_eq!(written, VERSION_1);
    }

    #[test]
    fn unknown_fields_and_values_survive_being_read() {
        let newer = VERSION_1
            .replace("\"origin\": \"snapshot\"", "\"origin\": \"teleported\", \"colour\": {\"deep\": [1]}")
            .replace("\"gzip\"", "\"lzma\"");
        let manifest: Manifest = json_file::parse(Path::new("m.json"), newer.as_bytes()).unwrap();
        assert_eq!(manifest.origin, Origin::Other("teleported".to_owned()));
        assert_eq!(manifest.archives[0].encoding, [Encoding::Other("lzma".to_owned())]);
        let again: Manifest =
            json_file::parse(Path::new("m.json"), &json_file::to_bytes(&manifest).unwrap()).unwrap();
        assert_eq!(again, manifest);
    }

    #[test]
    fn every_shard_is_in_exactly_one_archive() {
        let mut manifest: Manifest = json_file::parse(Path::new("m.json"), VERSION_1.as_bytes()).unwrap();
        manifest.requires = vec![SHARD_ARCHIVES.to_owned()];
        assert_eq!(manifest.unknown_requirement(), None);
        manifest.source.shard_count = Some(2);
        manifest.archives[0].scope = Scope::Shard;
        manifest.archives[0].shard_ids = vec![1];
        manifest.archives.push(Archive { shard_ids: vec![4], ..manifest.archives[0].clone() });
        let check = |manifest: &Manifest| manifest.check().err();
        assert_eq!(check(&manifest), None);
        let changed = |change: fn(&mut Manifest)| {
            let mut manifest = manifest.clone();
            change(&mut manifest);
            check(&manifest).unwrap()
        };
        assert!(changed(|manifest| manifest.archives.truncate(1)).contains("the collection has 2"));
        assert!(
            changed(|manifest| manifest.archives[1].shard_ids = vec![1]).contains("shard 1 is listed twice")
        );
        assert!(changed(|manifest| manifest.archives[1].shard_ids.push(5)).contains("is not a single shard"));
        assert!(
            changed(|manifest| manifest.archives[0].scope = Scope::Collection)
                .contains("is not a single shard")
        );
    }

    #[test]
    fn sizes_whose_sum_would_not_fit_are_refused() {
        let mut manifest: Manifest = json_file::parse(Path::new("m.json"), VERSION_1.as_bytes()).unwrap();
        manifest.archives.push(manifest.archives[0].clone());
        assert_eq!(manifest.check(), Ok(()));
        manifest.archives[1].stored.size_bytes = u64::MAX;
        assert!(manifest.check().unwrap_err().contains("more than any backup has"));
    }

    #[test]
    fn archive_names_that_leave_the_directory_are_refused() {
        for name in ["../other/x.snapshot", "/etc/passwd", "", ".hidden", "a/b"] {
            let text = VERSION_1.replace("mixtral_embeddings-2025-07-15-14-30-00.snapshot.gz", name);
            let error = json_file::parse::<Manifest>(Path::new("m.json"), text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("not a plain file name"), "{name}: {error}");
        }
    }
}
