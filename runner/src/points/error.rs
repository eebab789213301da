//! Why points were not compared, brought back or moved.

use std::io;

use qdrant_backup_shared::{CollectionName, FailureKind};

use super::id::{NoPointId, PointId};
use crate::choice::ChoiceError;
use crate::qdrant;
use crate::restore::RestoreError;

/// Work on points was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum PointsError {
    /// The backup could not be restored into its scratch collection.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// Qdrant, or the way to it.
    #[error(transparent)]
    Qdrant(#[from] qdrant::Error),
    /// What cannot name a point.
    #[error(transparent)]
    Id(#[from] NoPointId),
    /// A server that gives points in another order cannot be compared page by page.
    #[error("point {id} came after one with a larger id; does a proxy change the answers?")]
    NotInOrder {
        /// The point.
        id: PointId,
    },
    /// There is nothing to compare with, or to bring points back into.
    #[error(
        "there is no collection \"{collection}\" at {url}; to restore all of it: `qdrant-backup restore --collection NAME`"
    )]
    NoCollection {
        /// The collection.
        collection: CollectionName,
        /// The server.
        url: String,
    },
    /// The target takes no such points.
    #[error(
        "the points do not fit into \"{target}\": {difference}; choose a collection that they fit into with --into"
    )]
    DoesNotFit {
        /// The target.
        target: CollectionName,
        /// What differs.
        difference: String,
    },
    /// Writing there would write elsewhere.
    #[error(
        "\"{target}\" is an alias of \"{collection}\"; to write there, give the collection itself with --into"
    )]
    IsAlias {
        /// The target.
        target: CollectionName,
        /// What it stands for.
        collection: String,
    },
    /// The target lacks a shard key.
    #[error(
        "\"{target}\" has no shard key {key}, which {points} of the points need; create it first (PUT /collections/…/shards)"
    )]
    NoShardKey {
        /// The target.
        target: CollectionName,
        /// The key.
        key: String,
        /// How many points.
        points: u64,
    },
    /// Points that are not what was written.
    #[error(
        "{count} points differ from what was written, such as {first}; does someone else write to them? `qdrant-backup compare` shows the differences"
    )]
    NotAsWritten {
        /// How many.
        count: u64,
        /// One of them.
        first: PointId,
    },
    /// A collection of that name is there.
    #[error(
        "collection \"{0}\" exists; choose another name, or continue an interrupted import with --resume"
    )]
    Exists(CollectionName),
    /// A file.
    #[error("{what}: {source}")]
    File {
        /// What of which file.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// A file that is not what it should be.
    #[error("{file}, line {line}: {problem}")]
    Line {
        /// The file.
        file: String,
        /// The line's number, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// What was imported is not all there.
    #[error("\"{target}\" has {got} points, but the file has {expected}")]
    NotAll {
        /// The collection.
        target: CollectionName,
        /// How many were read.
        expected: u64,
        /// How many are there.
        got: u64,
    },
}

impl From<ChoiceError> for PointsError {
    fn from(error: ChoiceError) -> Self {
        Self::Restore(error.into())
    }
}

impl PointsError {
    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Restore(error) => error.kind(),
            Self::Qdrant(error) => error.kind(),
            Self::Id(_) | Self::NotInOrder { .. } => FailureKind::HttpStatus,
            Self::NoCollection { .. } => FailureKind::NoCollection,
            Self::DoesNotFit { .. } | Self::IsAlias { .. } | Self::NoShardKey { .. } | Self::Exists(_) => {
                FailureKind::TargetExists
            }
            Self::NotAsWritten { .. } | Self::NotAll { .. } => FailureKind::RestoreMismatch,
            Self::File { .. } | Self::Line { .. } => FailureKind::Io,
        }
    }

    /// Whether a signal ended it.
    pub fn is_interrupted(&self) -> bool {
        self.kind() == FailureKind::Interrupted
    }
}
