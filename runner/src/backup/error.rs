//! Why the backup of a collection failed.

use std::io;
use std::time::Duration;

use indicatif::HumanBytes;
use qdrant_backup_shared::collection_name::ImpossibleName;
use qdrant_backup_shared::digest::Sha256Digest;
use qdrant_backup_shared::{Failure, FailureKind};

use crate::archive::write::{StreamError, io_kind};
use crate::qdrant;

/// The backup of one collection failed. Nothing of it is called a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Qdrant, or the way to it.
    #[error(transparent)]
    Qdrant(#[from] qdrant::Error),
    /// The stream from Qdrant to the archive.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The collection is not there.
    #[error("the server has no such collection; `--collection` takes the exact name")]
    NoSuchCollection,
    /// The server lists what it cannot have.
    #[error("{name}{}", if *more > 0 { format!("; and {more} more such names") } else { String::new() })]
    ImpossibleName {
        /// The name, and why it is none.
        name: ImpossibleName,
        /// How many more there are that are not reported one by one.
        more: usize,
    },
    /// The asked node cannot snapshot the whole collection.
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
        /// How long was waited for it.
        waited: Option<Duration>,
    },
    /// The collection has other shards, or another configuration, than when its backup began.
    #[error(
        "its shards, shard keys or parameters changed during the backup; run the backup again when the change is complete"
    )]
    ShardsChanged,
    /// One of its shards.
    #[error("shard {shard_id} from node {node}: {cause}")]
    Shard {
        /// Which.
        shard_id: u32,
        /// The URL of the node that was asked last.
        node: String,
        /// Why.
        #[source]
        cause: Box<BackupError>,
    },
    /// What arrived has another length.
    #[error(
        "snapshot size mismatch: Qdrant reported {expected} bytes, got {got}; does another tool create snapshots in the same second?"
    )]
    SizeMismatch {
        /// Bytes that the create response promised.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// What arrived has another digest.
    #[error("snapshot checksum mismatch: Qdrant reported {}…, got {}…; does another tool create snapshots in the same second, or does a proxy change data?", expected.short(), got.short())]
    ChecksumMismatch {
        /// The digest that the create response promised.
        expected: Sha256Digest,
        /// The digest of what came.
        got: Sha256Digest,
    },
    /// The server does not know the snapshot that it has made.
    #[error(
        "{cause}; the new snapshot is already gone from the server: does another tool or job delete snapshots there?"
    )]
    SnapshotGone {
        /// What the server said.
        cause: qdrant::Error,
    },
    /// Points in the collection, none in the snapshot.
    #[error("the collection has {points} points, but the snapshot contains none; check Qdrant's log")]
    EmptySnapshot {
        /// Points counted, before and after at least this many.
        points: u64,
    },
    /// The snapshot is not whole inside.
    #[error("the snapshot is incomplete: {problem}; check Qdrant's log and try again")]
    Contents {
        /// What is wrong, with the member's name.
        problem: String,
    },
    /// The archive would not fit.
    #[error("the snapshot needs up to {}, but only {} are free; free some space, or shorten the retention and run `qdrant-backup prune`", HumanBytes(*needed), HumanBytes(*available))]
    NoRoom {
        /// Bytes that the archive may take.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// No creation response came, and the list never showed the snapshot.
    #[error(
        "Qdrant did not answer the request for a snapshot, and none appeared within {} (qdrant.create_timeout): {cause}",
        humantime::format_duration(Duration::from_secs(limit.as_secs()))
    )]
    NeverAppeared {
        /// How long it was looked for.
        limit: Duration,
        /// Why there was no answer.
        cause: qdrant::Error,
    },
    /// No creation response came, and none is being made.
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
    /// For `map_err`: a file operation that was `what`.
    pub fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Qdrant(error) => error.kind(),
            Self::Stream(error) => error.kind(),
            Self::NoSuchCollection => FailureKind::NoCollection,
            // What every answer that is none of Qdrant's counts as.
            Self::ImpossibleName { .. } => FailureKind::HttpStatus,
            Self::ShardsUncovered { .. } | Self::ShardsUnsettled { .. } | Self::ShardsChanged => {
                FailureKind::ShardsUncovered
            }
            Self::Shard { cause, .. } => cause.kind(),
            Self::SizeMismatch { .. } => FailureKind::SizeMismatch,
            Self::ChecksumMismatch { .. } => FailureKind::ChecksumMismatch,
            Self::EmptySnapshot { .. } => FailureKind::EmptySnapshot,
            Self::Contents { .. } => FailureKind::ArchiveCorrupt,
            Self::NoRoom { .. } => FailureKind::NoSpace,
            Self::NeverAppeared { .. } => FailureKind::Timeout,
            Self::SnapshotGone { cause } | Self::NotBeingMade { cause, .. } => cause.kind(),
            Self::Files { .. } => FailureKind::Io,
            Self::Io { source, .. } => io_kind(source),
        }
    }

    /// What the server or the way to it failed with; nothing when it was not these.
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
            | Self::Files { .. }
            | Self::Io { .. } => None,
        }
    }

    /// Whether the server does not know what was asked for.
    pub fn is_not_found(&self) -> bool {
        self.request().is_some_and(qdrant::Error::is_not_found)
    }

    /// Whether a collection that is no longer there may be the reason.
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

    /// Whether another node's copy of the same shard may do better: it is not known to be this machine's fault, or the collection's.
    pub fn may_be_the_nodes(&self) -> bool {
        matches!(self, Self::SizeMismatch { .. } | Self::ChecksumMismatch { .. } | Self::Contents { .. })
            || self.request().is_some_and(|error| !matches!(error, qdrant::Error::Interrupted))
    }

    /// Whether the collection is to be begun anew: what there was is not there any more.
    pub fn calls_for_a_new_beginning(&self) -> bool {
        matches!(self, Self::ShardsChanged) || self.is_not_found()
    }

    /// Whether a fresh snapshot may do better: what came is not what was made.
    pub fn calls_for_a_fresh_snapshot(&self) -> bool {
        matches!(self, Self::SizeMismatch { .. } | Self::ChecksumMismatch { .. })
    }

    /// As the status file keeps it.
    pub fn to_failure(&self) -> Failure {
        Failure { kind: self.kind(), message: qdrant_backup_shared::text::one_line(&self.to_string()) }
    }
}
