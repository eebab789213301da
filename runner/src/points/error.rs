//! Errors of comparing, restoring and moving points.

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
    /// The backup is corrupt.
    #[error("{error}; {advice}")]
    Corrupt {
        /// The finding.
        error: RestoreError,
        /// Whether that is recorded, and which backup to use instead.
        advice: String,
    },
    /// Qdrant, or the connection to it.
    #[error(transparent)]
    Qdrant(#[from] qdrant::Error),
    /// An invalid point id.
    #[error(transparent)]
    Id(#[from] NoPointId),
    /// The server returned points in the wrong order, so a comparison by page is not possible.
    #[error("point {id} came after one with a larger id; does a proxy change the answers?")]
    NotInOrder {
        /// The point that is out of order.
        id: PointId,
    },
    /// The live collection does not exist.
    #[error(
        "there is no collection \"{collection}\" at {url}; to restore all of the backup: `qdrant-backup restore --collection {backup_of}{}`",
        if collection == backup_of { String::new() } else { format!(" --as {collection}") }
    )]
    NoCollection {
        /// Collection that was looked for.
        collection: CollectionName,
        /// The collection of the backup.
        backup_of: CollectionName,
        /// Server that was asked, without credentials.
        url: String,
    },
    /// The points do not fit into the target.
    #[error(
        "the points do not fit into \"{target}\": {difference}; choose a collection that they fit into with --into"
    )]
    DoesNotFit {
        /// Collection that would be written to.
        target: CollectionName,
        /// First difference between the configurations.
        difference: String,
    },
    /// The target is an alias.
    #[error(
        "\"{target}\" is an alias of \"{collection}\"; to write there, give the collection itself with --into"
    )]
    IsAlias {
        /// Alias that was given as a collection.
        target: CollectionName,
        /// The collection that it refers to.
        collection: String,
    },
    /// The target lacks a shard key.
    #[error(
        "\"{target}\" has no shard key {key}, which {points} of the points need; create it first (PUT /collections/…/shards)"
    )]
    NoShardKey {
        /// Collection that would be written to.
        target: CollectionName,
        /// Missing shard key, as JSON.
        key: String,
        /// How many points.
        points: u64,
    },
    /// Points differ from what was written.
    #[error(
        "{count} points differ from what was written, such as {first}; does someone else write to them? `qdrant-backup compare` shows the differences"
    )]
    NotAsWritten {
        /// Number of points that differ.
        count: u64,
        /// One of them.
        first: PointId,
    },
    /// A collection with this name exists.
    #[error(
        "collection \"{0}\" exists; choose another name, or continue an interrupted import with --resume"
    )]
    Exists(CollectionName),
    /// A collection is not what an import of this file has begun.
    #[error(
        "\"{target}\" has other points than the file, such as {id}: this is not an import of this file that stopped; choose another name. Nothing was written"
    )]
    OtherPoints {
        /// Collection that was to be imported into.
        target: CollectionName,
        /// A point that differs.
        id: PointId,
    },
    /// An import failed after it had begun.
    #[error(
        "{source}; {}",
        if *was_there {
            format!("to continue the import into \"{target}\", repeat the command")
        } else {
            format!("\"{target}\" may exist now with only some of the points: repeat the command with --resume, or delete the collection")
        }
    )]
    Unfinished {
        /// Collection that was imported into.
        target: CollectionName,
        /// Whether it existed before.
        was_there: bool,
        /// Why it failed.
        source: Box<PointsError>,
    },
    /// A file cannot be read or written.
    #[error("{what}: {source}")]
    File {
        /// The file and the operation.
        what: String,
        /// Reason that the system gave.
        source: io::Error,
    },
    /// An invalid file.
    #[error("{file}, line {line}: {problem}")]
    Line {
        /// Name of the file.
        file: String,
        /// The line's number, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// Imported points are missing.
    #[error("\"{target}\" has {got} points, but the file has {expected}")]
    NotAll {
        /// Collection that was imported into.
        target: CollectionName,
        /// The number of points read.
        expected: u64,
        /// The number of points in the collection.
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
            Self::Restore(error) | Self::Corrupt { error, .. } => error.kind(),
            Self::Qdrant(error) => error.kind(),
            Self::Unfinished { source, .. } => source.kind(),
            Self::Id(_) | Self::NotInOrder { .. } => FailureKind::HttpStatus,
            Self::NoCollection { .. } => FailureKind::NoCollection,
            Self::DoesNotFit { .. }
            | Self::IsAlias { .. }
            | Self::NoShardKey { .. }
            | Self::Exists(_)
            | Self::OtherPoints { .. } => FailureKind::TargetExists,
            Self::NotAsWritten { .. } | Self::NotAll { .. } => FailureKind::RestoreMismatch,
            Self::File { .. } | Self::Line { .. } => FailureKind::Io,
        }
    }

    /// Whether a signal ended it.
    pub fn is_interrupted(&self) -> bool {
        self.kind() == FailureKind::Interrupted
    }
}
