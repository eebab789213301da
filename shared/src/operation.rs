//! The operations in the status file, and their outcomes.

use crate::open_enum::open_enum;

open_enum! {
    /// An operation of the runner, used as the metric label `operation`.
    pub enum Operation {
        /// Backups.
        Backup = "backup",
        /// Verification of stored backups.
        Verify = "verify",
        /// Retention.
        Prune = "prune",
        /// Test restores into a scratch collection.
        Drill = "drill",
        /// Restores.
        Restore = "restore",
        /// Offsite copies, with their checks and retention.
        Offsite = "offsite",
    }
}

open_enum! {
    /// Outcome of an operation, or of its part for one collection.
    pub enum Outcome {
        /// Everything succeeded.
        Success = "success",
        /// Some collections failed, some succeeded.
        Partial = "partial",
        /// It failed.
        Failed = "failed",
        /// A signal ended it.
        Interrupted = "interrupted",
    }
}

open_enum! {
    /// The current stage of a run, for display in the status.
    pub enum Stage {
        /// Reading information from the server.
        Inspect = "inspect",
        /// Waiting for a server that does not answer or is not ready.
        WaitForServer = "wait_for_server",
        /// The server is creating a snapshot.
        Create = "create",
        /// Waiting for a snapshot, after its request got no answer.
        Wait = "wait",
        /// Downloading a snapshot into the archive.
        Download = "download",
        /// Syncing the archive and writing its manifest.
        Commit = "commit",
        /// Deleting the snapshot on the server.
        Cleanup = "cleanup",
        /// Reading and checking stored backups.
        Verify = "verify",
        /// Deleting expired backups.
        Prune = "prune",
        /// Uploading a snapshot to a server.
        Upload = "upload",
        /// Waiting until the restored collection is ready.
        Settle = "settle",
        /// Comparing the restored collection with the backup.
        Compare = "compare",
        /// Copying a backup to an offsite place, or looking for it there.
        Copy = "copy",
    }
}

open_enum! {
    /// What retention does with a backup.
    pub enum Fate {
        /// It is kept.
        Keep = "keep",
        /// It would be deleted, or its deletion is withheld.
        Delete = "delete",
        /// It was deleted.
        Deleted = "deleted",
    }
}

impl Outcome {
    /// The combined outcome of two parts. An interruption takes precedence over a failure, and a failure over a success. A mix is
    /// partial.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Interrupted, _) | (_, Self::Interrupted) => Self::Interrupted,
            (Self::Success, Self::Success) => Self::Success,
            (Self::Failed, Self::Failed) => Self::Failed,
            (one, other) if one == other => one,
            _ => Self::Partial,
        }
    }
}
