//! Every metric: name, type, labels, meaning. The table in `docs/metrics.md` is generated from it.

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    /// Its type: `gauge`, or `counter` if it only grows.
    pub kind: &'static str,
    /// Its labels, in the order of their values.
    pub labels: &'static [&'static str],
    /// Its meaning, in one line.
    pub help: &'static str,
}

/// The table of `docs/metrics.md`.
pub fn reference() -> String {
    let row = |Metric { name, kind, labels, help }: &Metric| {
        format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
    };
    let rows: String = ALL.iter().map(row).collect();
    format!("| name | type | labels | meaning |\n|---|---|---|---|\n{rows}")
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(pub(super) const $constant: Metric =
            Metric { name: $name, kind: stringify!($kind), labels: &[$($label),*], help: $help };)+

        /// All metrics, in output order.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    UP = gauge "qdrant_backup_up" []
        "1 if the exporter could scan the backup directory and read the status file, or if there is no status file yet.";
    BUILD_INFO = gauge "qdrant_backup_exporter_build_info" ["version", "revision", "rust_version"]
        "Always 1. The labels are the exporter's version, its source revision and the Rust version that built it.";
    WEB_CONFIG_SUCCESS = gauge "qdrant_backup_exporter_web_config_success" []
        "1 if the exporter uses the current content of the web configuration files, 0 if it cannot read or use them and keeps the previous configuration. Absent without --web.config.file.";
    TEXTFILE = gauge "qdrant_backup_textfile_timestamp_seconds" []
        "Time of this snapshot of the metrics. Only in the output of --once, to show that the file is no longer updated.";
    COLLECTOR_SUCCESS = gauge "qdrant_backup_scrape_collector_success" ["collector"]
        "Whether the exporter could read all of this part (status, directory, storage) in time.";
    COLLECTOR_DURATION = gauge "qdrant_backup_scrape_collector_duration_seconds" ["collector"]
        "Time that it took to read this part.";

    RUNS = counter "qdrant_backup_runs_total" ["operation"]
        "Completed runs of this operation. The runner counts them in the status file.";
    RUN_FAILURES = counter "qdrant_backup_run_failures_total" ["operation"]
        "Completed runs of this operation that did not succeed as a whole.";
    LAST_ATTEMPT = gauge "qdrant_backup_last_attempt_timestamp_seconds" ["operation"]
        "Start of the last completed run of this operation.";
    LAST_SUCCESS = gauge "qdrant_backup_last_success_timestamp_seconds" ["operation"]
        "End of the last successful run of this operation. A failure does not change it.";
    LAST_RUN_SUCCESS = gauge "qdrant_backup_last_run_success" ["operation"]
        "Whether the last completed run of this operation succeeded as a whole.";
    LAST_RUN_DURATION = gauge "qdrant_backup_last_run_duration_seconds" ["operation"]
        "Duration of the last completed run of this operation.";
    CONSECUTIVE_FAILURES = gauge "qdrant_backup_consecutive_failures" ["operation"]
        "Failed runs of this operation since its last success.";
    LAST_RUN_FAILURES = gauge "qdrant_backup_last_run_failures" ["operation", "kind"]
        "Collections that failed in the last completed run, by kind of failure. Kinds that this version does not know count as \"other\".";
    RUN_IN_PROGRESS = gauge "qdrant_backup_run_in_progress" ["operation"]
        "1 while the status file shows a run in progress. This includes a run that was killed.";
    RUN_STARTED = gauge "qdrant_backup_run_started_timestamp_seconds" ["operation"]
        "Start of the run in progress.";
    RUN_HEARTBEAT = gauge "qdrant_backup_run_heartbeat_timestamp_seconds" ["operation"]
        "When the run in progress last made progress. The runner writes this at most every 30 s.";
    LAST_SKIPPED = gauge "qdrant_backup_last_skipped_timestamp_seconds" []
        "When a run was last skipped because another process held the lock.";
    LAST_REFUSED = gauge "qdrant_backup_last_refused_timestamp_seconds" []
        "When a command that a schedule may start was last refused before it began, because of its settings, key, certificate or directory.";
    SCHEDULE_INTERVAL = gauge "qdrant_backup_schedule_interval_seconds" ["operation"]
        "Longest time between two runs of the configured schedule.";
    RETENTION = gauge "qdrant_backup_retention_seconds" []
        "Configured retention by age.";
    SOURCE_CHANGED = gauge "qdrant_backup_source_changed" []
        "1 if the server is not the one that these backups came from. Nothing is pruned then.";

    ON_SERVER = gauge "qdrant_backup_collection_on_server" ["collection"]
        "1 if the collection is selected for backup and the last backup run that reached the server found it, 0 if the last backup run of all collections did not find it.";
    COLLECTIONS_GONE = gauge "qdrant_backup_collections_gone" []
        "Collections that have backups, are not retired, and were not on the server at the last completed backup run of all collections.";
    COLLECTION_LAST_RUN_SUCCESS = gauge "qdrant_backup_collection_last_run_success" ["collection"]
        "Whether the last attempt to back up this collection succeeded.";
    COLLECTION_LAST_DURATION = gauge "qdrant_backup_collection_last_duration_seconds" ["collection"]
        "Duration of the last attempt to back up this collection.";
    COLLECTION_LAST_SUCCESS = gauge "qdrant_backup_collection_last_success_timestamp_seconds" ["collection"]
        "Start of the last successful backup of this collection, as reported by the runner.";
    COLLECTION_POINTS = gauge "qdrant_backup_collection_points" ["collection"]
        "Points in the last successful backup of this collection, as reported by the runner.";
    SERVER_LEFTOVERS = gauge "qdrant_backup_server_leftover_snapshots" ["collection"]
        "Snapshots still on the server that this tool created, or may have created.";

    BACKUPS = gauge "qdrant_backup_backups" ["collection"]
        "Good backups on disk: complete, and not failed since they last passed verification.";
    BACKUPS_SIZE = gauge "qdrant_backup_backups_size_bytes" ["collection"]
        "Stored size of all good backups on disk.";
    OLDEST = gauge "qdrant_backup_oldest_timestamp_seconds" ["collection"]
        "Start of the oldest good backup on disk.";
    NEWEST = gauge "qdrant_backup_newest_timestamp_seconds" ["collection"]
        "Start of the newest good backup on disk, which is the age of its data.";
    NEWEST_SIZE = gauge "qdrant_backup_newest_size_bytes" ["collection"]
        "Stored size of the newest good backup on disk.";
    NEWEST_SNAPSHOT_SIZE = gauge "qdrant_backup_newest_snapshot_size_bytes" ["collection"]
        "Size of the newest good backup's snapshots before compression.";
    NEWEST_VERIFIED = gauge "qdrant_backup_newest_verified_timestamp_seconds" ["collection", "level"]
        "Start of the newest good backup that passed verification at this level (checksum, archive, restore).";
    UNVERIFIED = gauge "qdrant_backup_unverified_backups" ["collection"]
        "Backups on disk without a verification result.";
    VERIFICATION_FAILED = gauge "qdrant_backup_verification_failed_backups" ["collection"]
        "Backups on disk that failed verification and have not passed since.";
    INCOMPLETE = gauge "qdrant_backup_incomplete_backups" ["collection"]
        "Backups on disk with an archive that is missing or does not have the length in the manifest.";
    NEWEST_BAD = gauge "qdrant_backup_newest_bad_timestamp_seconds" ["collection"]
        "Start of the newest backup on disk that is incomplete or failed verification.";

    OFFSITE_LAST_SUCCESS = gauge "qdrant_backup_offsite_last_success_timestamp_seconds" ["place"]
        "End of the last run that copied every backup to this place. A failure does not change it.";
    OFFSITE_LAST_RUN_SUCCESS = gauge "qdrant_backup_offsite_last_run_success" ["place"]
        "Whether the last copy run to this place succeeded as a whole.";
    OFFSITE_LAST_RUN_FAILURES = gauge "qdrant_backup_offsite_last_run_failures" ["place", "kind"]
        "Failures of the last copy run to this place, by kind of failure. Kinds that this version does not know count as \"other\".";
    OFFSITE_NEWEST = gauge "qdrant_backup_offsite_newest_timestamp_seconds" ["place", "collection"]
        "Start of the newest backup with a copy in this place, which is the age of its data.";
    OFFSITE_BACKUPS = gauge "qdrant_backup_offsite_backups" ["place", "collection"]
        "Backups with a copy in this place, according to their records.";
    OFFSITE_NEWEST_CHECKED = gauge "qdrant_backup_offsite_newest_checked_timestamp_seconds" ["place", "collection"]
        "Start of the newest backup whose copy was found sound when all data in this place was read back.";
    OFFSITE_ADDED = counter "qdrant_backup_offsite_added_bytes_total" ["place"]
        "Bytes that copies added to this place after deduplication.";
    OFFSITE_LAST_CHECK = gauge "qdrant_backup_offsite_last_check_timestamp_seconds" ["place"]
        "When a part of the data in this place was last read back.";
    OFFSITE_CHECK_FAILED = gauge "qdrant_backup_offsite_check_failed" ["place"]
        "1 if a check of this place found damage and no check of all its data has passed since.";

    ORPHAN_FILES = gauge "qdrant_backup_orphan_files" []
        "Archives without a manifest. Each may be the last copy.";
    ORPHAN_BYTES = gauge "qdrant_backup_orphan_bytes" []
        "Size of the archives without a manifest.";
    TEMPORARY_FILES = gauge "qdrant_backup_temporary_files" []
        "Unfinished files of the run in progress, or of a run that was killed.";
    UNREADABLE_FILES = gauge "qdrant_backup_unreadable_files" []
        "Existing files and directories of the backup and state directories that cannot be read. The log names them.";
    STORAGE_AVAIL = gauge "qdrant_backup_storage_avail_bytes" []
        "Free space for ordinary users on the file system of the backup directory.";
    STORAGE_SIZE = gauge "qdrant_backup_storage_size_bytes" []
        "Size of the file system of the backup directory.";

    PROCESS_CPU = counter "process_cpu_seconds_total" []
        "User and system CPU time of the exporter.";
    PROCESS_OPEN_FDS = gauge "process_open_fds" []
        "Open file descriptors of the exporter.";
    PROCESS_MAX_FDS = gauge "process_max_fds" []
        "Maximum number of open file descriptors of the exporter.";
    PROCESS_RESIDENT = gauge "process_resident_memory_bytes" []
        "Resident memory of the exporter.";
    PROCESS_VIRTUAL = gauge "process_virtual_memory_bytes" []
        "Virtual memory of the exporter.";
    PROCESS_START = gauge "process_start_time_seconds" []
        "Start time of the exporter.";
    PROCESS_THREADS = gauge "process_threads" []
        "Threads of the exporter.";
}
