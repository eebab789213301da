//! Why something failed, in a bounded set that metrics can use as a label.

use serde::{Deserialize, Serialize};

use crate::open_enum::open_enum;
use crate::text::shortened;

open_enum! {
    /// The kind of a failure. Goes to the status file and, from there, to a metric's label.
    pub enum FailureKind {
        /// No connection to the server, or it was lost.
        Unreachable = "unreachable",
        /// The server refused the API key, or the key may not do this.
        Unauthorized = "unauthorized",
        /// The server answered with an error.
        HttpStatus = "http_status",
        /// The server took longer than the limit for the whole request.
        Timeout = "timeout",
        /// A download stood still for longer than the stall time-out.
        Stalled = "stalled",
        /// A digest is not the one that was promised.
        ChecksumMismatch = "checksum_mismatch",
        /// A length is not the one that was promised.
        SizeMismatch = "size_mismatch",
        /// The collection has points and the snapshot holds none.
        EmptySnapshot = "empty_snapshot",
        /// The asked node does not hold an active replica of every shard.
        ShardsUncovered = "shards_uncovered",
        /// A collection that was asked for is not on the server, or the patterns select none.
        NoCollection = "no_collection",
        /// Fewer points than there must be.
        PointsLost = "points_lost",
        /// The server is not the one that these backups came from.
        SourceChanged = "source_changed",
        /// The disk is too full.
        NoSpace = "no_space",
        /// Reading or writing a file failed.
        Io = "io",
        /// An archive's contents are not a whole snapshot.
        ArchiveCorrupt = "archive_corrupt",
        /// A manifest cannot be used.
        ManifestInvalid = "manifest_invalid",
        /// A file or a server is of a version that this program does not handle.
        VersionUnsupported = "version_unsupported",
        /// There is no backup such as was asked for.
        NoBackup = "no_backup",
        /// What would be overwritten is there, and nobody said that it may be.
        TargetExists = "target_exists",
        /// What was restored is not what was backed up.
        RestoreMismatch = "restore_mismatch",
        /// More backups have expired than are deleted without being told to.
        PruneRefused = "prune_refused",
        /// A place for copies cannot be used: no such repository, or no program to use it with.
        OffsiteUnusable = "offsite_unusable",
        /// What a place for copies holds is damaged.
        OffsiteDamaged = "offsite_damaged",
        /// Another run held the lock.
        Locked = "locked",
        /// A signal ended the run.
        Interrupted = "interrupted",
        /// A fault of this program.
        Internal = "internal",
    }
}

/// The longest message of a failure that a history keeps, in characters.
pub(crate) const LONGEST_MESSAGE: usize = 500;

/// One failure, for the status file and the report of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// Which of the bounded kinds.
    pub kind: FailureKind,
    /// One line for a person: what failed, of what, why, what to do. Never holds a secret.
    pub message: String,
}

impl Failure {
    /// As a history keeps it: with a message that is not too long.
    pub(crate) fn kept(self) -> Self {
        Self { message: shortened(&self.message, LONGEST_MESSAGE), ..self }
    }
}
