//! The operations whose history the status file keeps, and how they end.

use crate::open_enum::open_enum;

open_enum! {
    /// What the runner does; label `operation` of the metrics.
    pub enum Operation {
        /// Making backups.
        Backup = "backup",
        /// Checking stored backups.
        Verify = "verify",
        /// Applying retention.
        Prune = "prune",
        /// Test restores into a scratch collection.
        Drill = "drill",
        /// Restores.
        Restore = "restore",
        /// Copying to other places, and what is done there.
        Offsite = "offsite",
    }
}

open_enum! {
    /// How an operation, or its part on one collection, ended.
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
    /// What a run is busy with, for people who look at the status.
    pub enum Stage {
        /// Asking the server what there is.
        Inspect = "inspect",
        /// The server is not there yet, or not ready.
        WaitForServer = "wait_for_server",
        /// The server is writing a snapshot.
        Create = "create",
        /// Waiting for what cannot be hurried: a snapshot whose creation was not answered.
        Wait = "wait",
        /// The snapshot is on its way to the archive.
        Download = "download",
        /// The archive is made durable and its manifest written.
        Commit = "commit",
        /// The server's copy is removed.
        Cleanup = "cleanup",
        /// Stored backups are read and checked.
        Verify = "verify",
        /// Expired backups are deleted.
        Prune = "prune",
        /// A snapshot is on its way to a server.
        Upload = "upload",
        /// Waiting until what was restored serves.
        Settle = "settle",
        /// What was restored is compared with the backup.
        Compare = "compare",
        /// A backup is on its way to another place, or is looked for there.
        Copy = "copy",
    }
}

open_enum! {
    /// What becomes of a backup when retention is applied.
    pub enum Fate {
        /// It stays.
        Keep = "keep",
        /// It would be deleted, or was to be and is held back.
        Delete = "delete",
        /// It was deleted.
        Deleted = "deleted",
    }
}

impl Outcome {
    /// The outcome of two parts together: interruption over failure over success; some of each is partial.
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
