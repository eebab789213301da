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
        /// The server is writing a snapshot.
        Create = "create",
        /// The snapshot is on its way to the archive.
        Download = "download",
        /// The archive is made durable and its manifest written.
        Commit = "commit",
        /// The server's copy is removed.
        Cleanup = "cleanup",
    }
}
