//! Why a collection was not restored.

use std::time::Duration;

use qdrant_backup_shared::catalog::WholeError;
use qdrant_backup_shared::{BackupId, CollectionName, FailureKind};

use super::compatibility::VersionSkew;
use crate::archive::read::ArchiveError;
use crate::choice::ChoiceError;
use crate::qdrant;
use crate::store::lock::LockError;

/// The restore of one collection was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No backup to restore.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// The backup needs a newer program.
    #[error(
        "the backup needs \"{what}\", which this version does not support; use the qdrant-backup that made it"
    )]
    Requires {
        /// The unknown requirement.
        what: String,
    },
    /// Not a single snapshot of the whole collection.
    #[error(
        "the backup {what}, which this version cannot restore; `qdrant-backup export` writes the snapshots for an upload by hand"
    )]
    Unsupported {
        /// What it is instead.
        what: String,
    },
    /// Custom sharding, without an existing target.
    #[error(
        "the backup has custom sharding, and Qdrant does not create shard keys from a snapshot: \"{target}\" would be empty; create it with the same configuration and the shard keys {keys}, then restore with --force (docs/recovery.md, section 8)"
    )]
    NeedsShardKeys {
        /// Collection to restore into.
        target: CollectionName,
        /// The keys and their shards.
        keys: String,
    },
    /// Custom sharding, but a server without cluster mode.
    #[error(
        "the backup has custom sharding ({keys}), and \"{target}\" can only be created with these shard keys in cluster mode; start the server in cluster mode (one node is enough), or restore into a cluster (docs/clusters.md)"
    )]
    NeedsClusterMode {
        /// Collection to restore into.
        target: CollectionName,
        /// The keys and their shards.
        keys: String,
    },
    /// A backup by shards, but the target exists.
    #[error(
        "collection \"{target}\" exists ({points} points), but a backup made shard by shard can only be restored into a new collection, even with --force: restore it as another collection with --as NEW, check it, then move the alias; or delete \"{target}\" first (docs/clusters.md)"
    )]
    TargetExistsByShard {
        /// Collection to restore into.
        target: CollectionName,
        /// Number of points in it, in words.
        points: String,
    },
    /// A restore is unfinished, and someone has written to its collection.
    #[error(
        "a restore into \"{target}\" is unfinished, and someone has written to it since: its shard {shard_id} has points but was not uploaded yet; delete \"{target}\" if nobody needs it, or restore as another collection with --as NEW"
    )]
    NotAsItWasLeft {
        /// Collection to restore into.
        target: CollectionName,
        /// A shard that should be empty.
        shard_id: u32,
    },
    /// The new collection differs from the original.
    #[error(
        "\"{target}\" was created, but differs from the collection that was backed up: {problem}; check Qdrant's log"
    )]
    NotAsRecorded {
        /// Collection that was created.
        target: CollectionName,
        /// First difference.
        problem: String,
    },
    /// One shard could not be restored.
    #[error("shard {shard_id}, to {node}: {cause}; {progress}")]
    Shard {
        /// Id of the shard.
        shard_id: u32,
        /// The URL of the node that was asked last.
        node: String,
        /// Why the upload failed.
        #[source]
        cause: Box<RestoreError>,
        /// The state of the shards.
        progress: String,
    },
    /// The target's shards differ from the backup's.
    #[error(
        "the shards of \"{target}\" differ from those of the backup: {problem}; create it again with the backup's shard keys (docs/recovery.md, section 8)"
    )]
    ShardKeysDiffer {
        /// Collection to restore into.
        target: CollectionName,
        /// How they differ.
        problem: String,
    },
    /// The server has another version.
    #[error("{0}; --allow-version-skew skips this check")]
    Version(#[from] VersionSkew),
    /// The target exists.
    #[error(
        "collection \"{target}\" exists ({points} points); restore as another collection with --as NEW, or overwrite it with --force"
    )]
    TargetExists {
        /// Collection to restore into.
        target: CollectionName,
        /// Number of points in it, in words.
        points: String,
    },
    /// Qdrant would refuse the snapshot.
    #[error(
        "Qdrant does not accept the snapshot for \"{target}\", whose configuration differs ({difference}); restore as another collection with --as NEW"
    )]
    Incompatible {
        /// Collection to restore into.
        target: CollectionName,
        /// First difference between the configurations.
        difference: String,
    },
    /// The target's name is an alias.
    #[error(
        "\"{target}\" is an alias of \"{collection}\", which would be overwritten; restore with --as NEW and switch the alias afterwards"
    )]
    TargetIsAlias {
        /// Alias that was given as a collection.
        target: CollectionName,
        /// The collection that it refers to.
        collection: String,
    },
    /// The backed-up collection has a name that Qdrant does not allow.
    #[error("Qdrant cannot have a collection \"{target}\": {why}; choose another name with --as")]
    TargetIsNoName {
        /// The impossible name.
        target: CollectionName,
        /// Why it is impossible.
        why: &'static str,
    },
    /// The name is reserved for drills.
    #[error(
        "\"{target}\" is a name reserved for drills, which delete such collections; choose another name with --as"
    )]
    TargetIsScratch {
        /// Name that is reserved for scratch collections.
        target: CollectionName,
    },
    /// The newest backup was made just before the collection was to be overwritten.
    #[error(
        "the newest backup, {id}, is the safety backup of a restore that has not ended: name the one to restore with --backup; `qdrant-backup list --collection {}` shows them", crate::host::shell::quoted(collection.as_str())
    )]
    LatestIsSafetyBackup {
        /// Id of the safety backup.
        id: BackupId,
        /// Collection that it is of.
        collection: CollectionName,
    },
    /// Too large for a drill on the server that is backed up.
    #[error("the snapshot has {}, but drill.max_size is {}; drill on another server, with drill.url or --to", indicatif::HumanBytes(*size_bytes), indicatif::HumanBytes(*most))]
    TooLarge {
        /// The snapshot's length in bytes.
        size_bytes: u64,
        /// The limit in bytes.
        most: u64,
    },
    /// A backup of another server's collection would mix with this repository's.
    #[error(
        "collection \"{target}\" of another server cannot be backed up into this repository first; back it up there and pass --no-safety-backup"
    )]
    SafetyElsewhere {
        /// Collection that would be overwritten.
        target: CollectionName,
    },
    /// An alias belongs to another collection.
    #[error("alias \"{alias}\" stands for \"{collection}\"; --force moves it")]
    AliasElsewhere {
        /// Name of the alias.
        alias: String,
        /// The collection that it refers to.
        collection: String,
    },
    /// Backups of several collections claim one alias: it was moved between them.
    #[error(
        "alias \"{alias}\" also belongs to \"{other}\" in its backup; use --with-aliases for only one of them"
    )]
    AliasClaimedTwice {
        /// Name of the alias.
        alias: String,
        /// Another collection that claims it.
        other: CollectionName,
    },
    /// A collection has the alias's name.
    #[error("\"{alias}\" cannot become an alias: a collection has that name")]
    AliasIsCollection {
        /// Name of the alias.
        alias: String,
    },
    /// The target could not be backed up.
    #[error("the target could not be backed up first ({reason})")]
    SafetyBackup {
        /// Why the safety backup failed.
        reason: String,
    },
    /// Qdrant, or the connection to it.
    #[error(transparent)]
    Qdrant(#[from] qdrant::Error),
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The manifest is missing or was changed.
    #[error(transparent)]
    Manifest(#[from] WholeError),
    /// The archive does not match the manifest.
    #[error("archive {file}: {problem}; the backup is damaged: choose another one")]
    Damaged {
        /// The archive's file name.
        file: String,
        /// Difference from the manifest.
        problem: String,
    },
    /// The lock of readers.
    #[error(transparent)]
    Readers(#[from] LockError),
    /// The collection is not ready.
    #[error("the restored collection is not ready after {}: {last}; check Qdrant's log, and raise restore.settle_timeout if it is only slow", humantime::format_duration(*.limit))]
    NotSettled {
        /// The waiting time.
        limit: Duration,
        /// The last state.
        last: String,
    },
    /// Most of the points are missing.
    #[error("only {got} points were restored, but there were {expected} when the backup was made")]
    PointsLost {
        /// The smaller of the manifest's counts.
        expected: u64,
        /// The number of restored points.
        got: u64,
    },
    /// An earlier restore of the same backup had another number of points.
    #[error("{got} points were restored, but there were {found} when this backup was first restored or drilled ({} UTC)", at.format("%Y-%m-%d %H:%M:%S"))]
    PointsDiffer {
        /// The number found then.
        found: u64,
        /// When.
        at: chrono::DateTime<chrono::Utc>,
        /// The number found now.
        got: u64,
    },
    /// One of our threads failed.
    #[error("{0}; this is a bug in qdrant-backup")]
    Internal(String),
}

impl RestoreError {
    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Choice(error) => error.kind(),
            Self::Manifest(error) => error.kind(),
            Self::Requires { .. }
            | Self::Unsupported { .. }
            | Self::NeedsShardKeys { .. }
            | Self::NeedsClusterMode { .. }
            | Self::ShardKeysDiffer { .. }
            | Self::Version(_) => FailureKind::VersionUnsupported,
            Self::TargetExists { .. }
            | Self::TargetExistsByShard { .. }
            | Self::NotAsItWasLeft { .. }
            | Self::Incompatible { .. }
            | Self::TargetIsAlias { .. }
            | Self::TargetIsNoName { .. }
            | Self::TargetIsScratch { .. }
            | Self::SafetyElsewhere { .. }
            | Self::AliasElsewhere { .. }
            | Self::AliasClaimedTwice { .. }
            | Self::AliasIsCollection { .. }
            | Self::LatestIsSafetyBackup { .. }
            | Self::SafetyBackup { .. } => FailureKind::TargetExists,
            Self::TooLarge { .. } => FailureKind::NoSpace,
            Self::Qdrant(error) => error.kind(),
            Self::Archive(error) => error.kind(),
            Self::Damaged { .. } => FailureKind::ArchiveCorrupt,
            Self::Readers(LockError::Io { .. }) => FailureKind::Io,
            Self::Readers(_) => FailureKind::Locked,
            Self::NotSettled { .. } => FailureKind::Timeout,
            Self::PointsLost { .. } | Self::PointsDiffer { .. } | Self::NotAsRecorded { .. } => {
                FailureKind::RestoreMismatch
            }
            Self::Shard { cause, .. } => cause.kind(),
            Self::Internal(_) => FailureKind::Internal,
        }
    }

    /// Whether a signal ended it.
    pub fn is_interrupted(&self) -> bool {
        self.kind() == FailureKind::Interrupted
    }
}
