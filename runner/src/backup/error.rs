//! Why the backup of a collection failed.

use std::io;
use std::time::Duration;

use indicatif::HumanBytes;
use qdrant_backup_shared::collection_name::ImpossibleName;
use qdrant_backup_shared::digest::Sha256Digest;
use qdrant_backup_shared::{Failure, FailureKind};

use crate::archive::write::{StreamError, io_kind};
use crate::qdrant;
use crate::store::RESERVE_BYTES;

/// The backup of one collection failed. None of its files count as a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Qdrant, or the connection to it.
    #[error(transparent)]
    Qdrant(#[from] qdrant::Error),
    /// The stream from Qdrant to the archive.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The collection does not exist.
    #[error("the server has no such collection; `--collection` takes the exact name")]
    NoSuchCollection,
    /// The server lists an invalid name.
    #[error("{name}{}", if *more > 0 { format!("; and {more} more such names") } else { String::new() })]
    ImpossibleName {
        /// The name, and why it is invalid.
        name: ImpossibleName,
        /// Number of further names that are not reported separately.
        more: usize,
    },
    /// The node cannot snapshot the whole collection.
    #[error("this node cannot snapshot the whole collection: {}; back up each node, or move the shards here", shards.join(", "))]
    ShardsUncovered {
        /// Which shards, each with the reason.
        shards: Vec<String>,
    },
    /// A shard cannot be backed up now.
    #[error(
        "not every shard can be backed up: {}{}; is a node down, or is the cluster moving shards? `GET /collections/NAME/cluster` shows it",
        shards.join(", "),
        waited.map_or_else(String::new, |limit| format!(", and that did not change within {} (qdrant.cluster_timeout)", humantime::format_duration(limit)))
    )]
    ShardsUnsettled {
        /// Which shards, each with the reason.
        shards: Vec<String>,
        /// How long it waited.
        waited: Option<Duration>,
    },
    /// The shards or the configuration of the collection changed during the backup.
    #[error(
        "its shards, shard keys or parameters changed during the backup; run the backup again when the change is complete"
    )]
    ShardsChanged,
    /// One of its shards.
    #[error("shard {shard_id} from node {node}: {cause}")]
    Shard {
        /// Id of the shard.
        shard_id: u32,
        /// The URL of the node that was asked last.
        node: String,
        /// Why its snapshot failed.
        #[source]
        cause: Box<BackupError>,
    },
    /// The download has the wrong size.
    #[error(
        "snapshot size mismatch: Qdrant reported {expected} bytes, got {got}; does another tool create snapshots in the same second?"
    )]
    SizeMismatch {
        /// Size according to the server, in bytes.
        expected: u64,
        /// Size of the download, in bytes.
        got: u64,
    },
    /// The download has the wrong digest.
    #[error("snapshot checksum mismatch: Qdrant reported {}…, got {}…; does another tool create snapshots in the same second, or does a proxy change data?", expected.short(), got.short())]
    ChecksumMismatch {
        /// Digest according to the server.
        expected: Sha256Digest,
        /// Digest of the download.
        got: Sha256Digest,
    },
    /// The server no longer has the snapshot that it created.
    #[error(
        "{cause}; the new snapshot is already gone from the server: does another tool or job delete snapshots there?"
    )]
    SnapshotGone {
        /// The server's message.
        cause: qdrant::Error,
    },
    /// The collection has points, the snapshot has none.
    #[error("the collection has {points} points, but the snapshot contains none; check Qdrant's log")]
    EmptySnapshot {
        /// The minimum of the counts before and after.
        points: u64,
    },
    /// The snapshot is incomplete.
    #[error("the snapshot is incomplete: {problem}; check Qdrant's log and try again")]
    Contents {
        /// What is wrong, with the member's name.
        problem: String,
    },
    /// The archive would not fit.
    #[error("the snapshot needs up to {}, but only {} are free; free some space, or shorten the retention and run `qdrant-backup prune`", HumanBytes(*needed), HumanBytes(*available))]
    NoRoom {
        /// Maximum size of the archive, in bytes.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// There is no room for any snapshot.
    #[error("a backup needs at least {} to start, but only {} are free; free some space, or shorten the retention and run `qdrant-backup prune`", HumanBytes(RESERVE_BYTES), HumanBytes(*available))]
    NoRoomToStart {
        /// Bytes that are free.
        available: u64,
    },
    /// The request got no answer, and the snapshot never appeared in the list.
    #[error(
        "Qdrant did not answer the request for a snapshot, and none appeared within {} (qdrant.create_timeout): {cause}",
        humantime::format_duration(Duration::from_secs(limit.as_secs()))
    )]
    NeverAppeared {
        /// How long it was searched.
        limit: Duration,
        /// Why there was no answer.
        cause: qdrant::Error,
    },
    /// The request got no answer, and no snapshot is being created.
    #[error(
        "Qdrant did not answer the request for a snapshot, and {}: {cause}",
        if *restarted { "it was restarted in the meantime (check its log)" } else { "it is not creating one" }
    )]
    NotBeingMade {
        /// Whether the server was restarted, and not only idle.
        restarted: bool,
        /// Why there was no answer.
        cause: qdrant::Error,
    },
    /// A configuration file that was to be backed up.
    #[error("backup.include_files: {problem}")]
    Files {
        /// Which file or pattern, and why.
        problem: String,
    },
    /// A file of the backup directory.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl BackupError {
    /// For `map_err`, with the operation `what`.
    pub fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Qdrant(error) => error.kind(),
            Self::Stream(error) => error.kind(),
            Self::NoSuchCollection => FailureKind::NoCollection,
            // The kind for answers that do not come from Qdrant.
            Self::ImpossibleName { .. } => FailureKind::HttpStatus,
            Self::ShardsUncovered { .. } | Self::ShardsUnsettled { .. } | Self::ShardsChanged => {
                FailureKind::ShardsUncovered
            }
            Self::Shard { cause, .. } => cause.kind(),
            Self::SizeMismatch { .. } => FailureKind::SizeMismatch,
            Self::ChecksumMismatch { .. } => FailureKind::ChecksumMismatch,
            Self::EmptySnapshot { .. } => FailureKind::EmptySnapshot,
            Self::Contents { .. } => FailureKind::ArchiveCorrupt,
            Self::NoRoom { .. } | Self::NoRoomToStart { .. } => FailureKind::NoSpace,
            Self::NeverAppeared { .. } => FailureKind::Timeout,
            Self::SnapshotGone { cause } | Self::NotBeingMade { cause, .. } => cause.kind(),
            Self::Files { .. } => FailureKind::Io,
            Self::Io { source, .. } => io_kind(source),
        }
    }

    /// The error of the server or the connection, if it is one.
    pub fn request(&self) -> Option<&qdrant::Error> {
        match self {
            Self::Qdrant(error)
            | Self::Stream(StreamError::Download(error) | StreamError::BeginAgain(error))
            | Self::SnapshotGone { cause: error }
            | Self::NeverAppeared { cause: error, .. }
            | Self::NotBeingMade { cause: error, .. } => Some(error),
            Self::Shard { cause, .. } => cause.request(),
            Self::Stream(StreamError::Write(_) | StreamError::Internal(_))
            | Self::ShardsUnsettled { .. }
            | Self::ShardsChanged
            | Self::NoSuchCollection
            | Self::ImpossibleName { .. }
            | Self::ShardsUncovered { .. }
            | Self::SizeMismatch { .. }
            | Self::ChecksumMismatch { .. }
            | Self::EmptySnapshot { .. }
            | Self::Contents { .. }
            | Self::NoRoom { .. }
            | Self::NoRoomToStart { .. }
            | Self::Files { .. }
            | Self::Io { .. } => None,
        }
    }

    /// Whether the server does not have the requested object.
    pub fn is_not_found(&self) -> bool {
        self.request().is_some_and(qdrant::Error::is_not_found)
    }

    /// Whether a deleted collection may be the cause.
    pub fn may_be_a_dropped_collection(&self) -> bool {
        if let Self::Shard { cause, .. } = self {
            return cause.may_be_a_dropped_collection();
        }
        let shown = matches!(
            self,
            Self::ShardsUncovered { .. }
                | Self::ShardsUnsettled { .. }
                | Self::ShardsChanged
                | Self::EmptySnapshot { .. }
                | Self::Contents { .. }
        );
        shown || self.request().is_some_and(|error| !matches!(error, qdrant::Error::Interrupted))
    }

    /// Whether another node's copy of the shard may work: unless this machine or the collection is certainly the cause.
    pub fn may_be_the_nodes(&self) -> bool {
        matches!(self, Self::SizeMismatch { .. } | Self::ChecksumMismatch { .. } | Self::Contents { .. })
            || self.request().is_some_and(|error| !matches!(error, qdrant::Error::Interrupted))
    }

    /// Whether to start the backup of the collection again.
    pub fn calls_for_a_new_beginning(&self) -> bool {
        matches!(self, Self::ShardsChanged) || self.is_not_found()
    }

    /// Whether a new snapshot may work: the download differs from the snapshot.
    pub fn calls_for_a_fresh_snapshot(&self) -> bool {
        matches!(self, Self::SizeMismatch { .. } | Self::ChecksumMismatch { .. })
    }

    /// For the status file.
    pub fn to_failure(&self) -> Failure {
        Failure { kind: self.kind(), message: qdrant_backup_shared::text::one_line(&self.to_string()) }
    }
}
