//! Kinds of failures: a fixed set, usable as a metric label.

use serde::{Deserialize, Serialize};

use crate::open_enum::open_enum;
use crate::text::shortened;

open_enum! {
    /// The kind of a failure. It is stored in the status file and used as a metric label.
    pub enum FailureKind {
        /// No connection to the server, or it was lost.
        Unreachable = "unreachable",
        /// The server refused the API key, or the key may not do this.
        Unauthorized = "unauthorized",
        /// The server answered with an error.
        HttpStatus = "http_status",
        /// The server took longer than the limit for the whole request.
        Timeout = "timeout",
        /// A download received no data for longer than the stall timeout.
        Stalled = "stalled",
        /// A digest does not match.
        ChecksumMismatch = "checksum_mismatch",
        /// A size does not match.
        SizeMismatch = "size_mismatch",
        /// The collection has points, but the snapshot contains none.
        EmptySnapshot = "empty_snapshot",
        /// The node does not have an active replica of every shard.
        ShardsUncovered = "shards_uncovered",
        /// A requested collection is not on the server, or the patterns select none.
        NoCollection = "no_collection",
        /// Fewer points than expected.
        PointsLost = "points_lost",
        /// The server is not the source of these backups.
        SourceChanged = "source_changed",
        /// The disk is too full.
        NoSpace = "no_space",
        /// Reading or writing a file failed.
        Io = "io",
        /// The contents of an archive are not a complete snapshot.
        ArchiveCorrupt = "archive_corrupt",
        /// A manifest cannot be used.
        ManifestInvalid = "manifest_invalid",
        /// This program does not support the version of a file or server.
        VersionUnsupported = "version_unsupported",
        /// The requested backup does not exist.
        NoBackup = "no_backup",
        /// The target exists, and overwriting it was not allowed.
        TargetExists = "target_exists",
        /// The restored data differs from the backup.
        RestoreMismatch = "restore_mismatch",
        /// More backups have expired than a prune deletes without confirmation.
        PruneRefused = "prune_refused",
        /// An offsite place cannot be used: its repository or the restic program is missing.
        OffsiteUnusable = "offsite_unusable",
        /// The data in an offsite place is damaged.
        OffsiteDamaged = "offsite_damaged",
        /// Another run held the lock.
        Locked = "locked",
        /// A signal ended the run.
        Interrupted = "interrupted",
        /// A bug in this program.
        Internal = "internal",
    }
}

/// Maximum length of a failure message in a history, in characters.
pub(crate) const LONGEST_MESSAGE: usize = 500;

/// One failure, for the status file and the report of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// What kind of failure it was, for metrics and decisions.
    pub kind: FailureKind,
    /// One line for people: what failed, for what, why, and what to do. Never contains a secret.
    pub message: String,
}

impl Failure {
    /// The failure for a history, with a shortened message.
    pub(crate) fn kept(self) -> Self {
        Self { message: shortened(&self.message, LONGEST_MESSAGE), ..self }
    }
}
