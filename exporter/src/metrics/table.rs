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
        "1 when the backup directory was scanned, and the status file read or known not to be there yet.";
    BUILD_INFO = gauge "qdrant_backup_exporter_build_info" ["version", "revision", "rust_version"]
        "1, with the exporter's version, its source revision and the Rust version it was built with as labels.";
    WEB_CONFIG_SUCCESS = gauge "qdrant_backup_exporter_web_config_success" []
        "1 when the web configuration in force is what its files say, 0 while they cannot be read or used and the one before stays. Absent without --web.config.file.";
    TEXTFILE = gauge "qdrant_backup_textfile_timestamp_seconds" []
        "When --once looked; only there in what --once writes, which goes on being scraped when nothing writes it any more.";
    COLLECTOR_SUCCESS = gauge "qdrant_backup_scrape_collector_success" ["collector"]
        "Whether this part (status, directory, storage) was read whole and in time.";
    COLLECTOR_DURATION = gauge "qdrant_backup_scrape_collector_duration_seconds" ["collector"]
        "How long reading this part took.";

    RUNS = counter "qdrant_backup_runs_total" ["operation"]
        "Runs of this operation that have ended, counted by the runner in the status file.";
    RUN_FAILURES = counter "qdrant_backup_run_failures_total" ["operation"]
        "Runs of this operation that have ended in anything but success.";
    LAST_ATTEMPT = gauge "qdrant_backup_last_attempt_timestamp_seconds" ["operation"]
        "When the last completed run of this operation began.";
    LAST_SUCCESS = gauge "qdrant_backup_last_success_timestamp_seconds" ["operation"]
        "When this operation last ended in success. A failure never moves it.";
    LAST_RUN_SUCCESS = gauge "qdrant_backup_last_run_success" ["operation"]
        "Whether the last completed run of this operation succeeded as a whole.";
    LAST_RUN_DURATION = gauge "qdrant_backup_last_run_duration_seconds" ["operation"]
        "How long the last completed run of this operation took.";
    CONSECUTIVE_FAILURES = gauge "qdrant_backup_consecutive_failures" ["operation"]
        "Runs of this operation that have failed since its last success.";
    LAST_RUN_FAILURES = gauge "qdrant_backup_last_run_failures" ["operation", "kind"]
        "Collections that failed in the last completed run, by kind of failure; kinds that this version does not know are \"other\".";
    RUN_IN_PROGRESS = gauge "qdrant_backup_run_in_progress" ["operation"]
        "1 while the status file says that a run is going on, also after one that died without saying so.";
    RUN_STARTED = gauge "qdrant_backup_run_started_timestamp_seconds" ["operation"]
        "When the run in progress began.";
    RUN_HEARTBEAT = gauge "qdrant_backup_run_heartbeat_timestamp_seconds" ["operation"]
        "When the run in progress last made progress; it writes that at most every 30 s.";
    LAST_SKIPPED = gauge "qdrant_backup_last_skipped_timestamp_seconds" []
        "When a run last gave up because another held the lock.";
    LAST_REFUSED = gauge "qdrant_backup_last_refused_timestamp_seconds" []
        "When a command that writes was last refused before it began: settings, key, certificate or directory.";
    SCHEDULE_INTERVAL = gauge "qdrant_backup_schedule_interval_seconds" ["operation"]
        "The longest gap between two runs that the configured schedule allows.";
    RETENTION = gauge "qdrant_backup_retention_seconds" []
        "The configured retention by age.";
    SOURCE_CHANGED = gauge "qdrant_backup_source_changed" []
        "1 when the server is not the one that these backups came from; nothing is pruned then.";

    ON_SERVER = gauge "qdrant_backup_collection_on_server" ["collection"]
        "1 when the collection is to be backed up and the last backup run that reached the server saw it there, 0 when the last one of all collections found it gone.";
    COLLECTIONS_GONE = gauge "qdrant_backup_collections_gone" []
        "Collections that have backups, were gone from the server at the last completed unfiltered backup run, and are not retired.";
    COLLECTION_LAST_RUN_SUCCESS = gauge "qdrant_backup_collection_last_run_success" ["collection"]
        "Whether the last attempt to back up this collection succeeded.";
    COLLECTION_LAST_DURATION = gauge "qdrant_backup_collection_last_duration_seconds" ["collection"]
        "How long the last attempt to back up this collection took.";
    COLLECTION_LAST_SUCCESS = gauge "qdrant_backup_collection_last_success_timestamp_seconds" ["collection"]
        "When the last successful backup of this collection began, by the runner's word.";
    COLLECTION_POINTS = gauge "qdrant_backup_collection_points" ["collection"]
        "Points in the last successful backup of this collection, by the runner's word.";
    SERVER_LEFTOVERS = gauge "qdrant_backup_server_leftover_snapshots" ["collection"]
        "Snapshots that are still on the server and that this tool made, or may have made.";

    BACKUPS = gauge "qdrant_backup_backups" ["collection"]
        "Good backups on disk: complete, and no failed verification stands.";
    BACKUPS_SIZE = gauge "qdrant_backup_backups_size_bytes" ["collection"]
        "Length of all good backups' archives on disk.";
    OLDEST = gauge "qdrant_backup_oldest_timestamp_seconds" ["collection"]
        "When the oldest good backup on disk began.";
    NEWEST = gauge "qdrant_backup_newest_timestamp_seconds" ["collection"]
        "When the newest good backup on disk began: the age of its data.";
    NEWEST_SIZE = gauge "qdrant_backup_newest_size_bytes" ["collection"]
        "Length of the newest good backup's archives on disk.";
    NEWEST_SNAPSHOT_SIZE = gauge "qdrant_backup_newest_snapshot_size_bytes" ["collection"]
        "Length of the newest good backup's snapshots before compression.";
    NEWEST_VERIFIED = gauge "qdrant_backup_newest_verified_timestamp_seconds" ["collection", "level"]
        "When the newest good backup that has passed verification at this level (checksum, archive, restore) began.";
    UNVERIFIED = gauge "qdrant_backup_unverified_backups" ["collection"]
        "Backups on disk of which no check has ever found whether they are sound.";
    VERIFICATION_FAILED = gauge "qdrant_backup_verification_failed_backups" ["collection"]
        "Backups on disk that failed verification and have not passed since.";
    INCOMPLETE = gauge "qdrant_backup_incomplete_backups" ["collection"]
        "Backups on disk of which an archive is missing or has another length than its manifest says.";
    NEWEST_BAD = gauge "qdrant_backup_newest_bad_timestamp_seconds" ["collection"]
        "When the newest backup on disk that is incomplete or failed verification began.";

    OFFSITE_LAST_SUCCESS = gauge "qdrant_backup_offsite_last_success_timestamp_seconds" ["place"]
        "When copying to this place last ended with every backup copied. A failure never moves it.";
    OFFSITE_LAST_RUN_SUCCESS = gauge "qdrant_backup_offsite_last_run_success" ["place"]
        "Whether the last copying to this place succeeded as a whole.";
    OFFSITE_LAST_RUN_FAILURES = gauge "qdrant_backup_offsite_last_run_failures" ["place", "kind"]
        "What failed in the last copying to this place, by kind of failure; kinds that this version does not know are \"other\".";
    OFFSITE_NEWEST = gauge "qdrant_backup_offsite_newest_timestamp_seconds" ["place", "collection"]
        "When the newest backup began of which this place has a copy: the age of its data.";
    OFFSITE_BACKUPS = gauge "qdrant_backup_offsite_backups" ["place", "collection"]
        "Backups of which this place has a copy, by the records beside them.";
    OFFSITE_NEWEST_CHECKED = gauge "qdrant_backup_offsite_newest_checked_timestamp_seconds" ["place", "collection"]
        "When the newest backup began whose copy in this place was read back, with everything else there, and found sound.";
    OFFSITE_ADDED = counter "qdrant_backup_offsite_added_bytes_total" ["place"]
        "What copies have added to this place after deduplication.";
    OFFSITE_LAST_CHECK = gauge "qdrant_backup_offsite_last_check_timestamp_seconds" ["place"]
        "When a share of what this place holds was last read back.";
    OFFSITE_CHECK_FAILED = gauge "qdrant_backup_offsite_check_failed" ["place"]
        "1 while damage stands that a check of this place has found, until everything there was read and found sound.";

    ORPHAN_FILES = gauge "qdrant_backup_orphan_files" []
        "Archives without a manifest. Each may be a last copy.";
    ORPHAN_BYTES = gauge "qdrant_backup_orphan_bytes" []
        "Length of the archives without a manifest.";
    TEMPORARY_FILES = gauge "qdrant_backup_temporary_files" []
        "Unfinished files: of the run that is going on, or of one that was killed.";
    UNREADABLE_FILES = gauge "qdrant_backup_unreadable_files" []
        "Files and directories of the backup and state directories that are there and cannot be read; the log names them.";
    STORAGE_AVAIL = gauge "qdrant_backup_storage_avail_bytes" []
        "Room that an ordinary user can still fill on the file system of the backup directory.";
    STORAGE_SIZE = gauge "qdrant_backup_storage_size_bytes" []
        "Size of the file system of the backup directory.";

    PROCESS_CPU = counter "process_cpu_seconds_total" []
        "Processor time that the exporter has used, user and system.";
    PROCESS_OPEN_FDS = gauge "process_open_fds" []
        "File descriptors that the exporter has open.";
    PROCESS_MAX_FDS = gauge "process_max_fds" []
        "File descriptors that the exporter may have open.";
    PROCESS_RESIDENT = gauge "process_resident_memory_bytes" []
        "Memory that the exporter has in use.";
    PROCESS_VIRTUAL = gauge "process_virtual_memory_bytes" []
        "Address space that the exporter has in use.";
    PROCESS_START = gauge "process_start_time_seconds" []
        "When the exporter was started.";
    PROCESS_THREADS = gauge "process_threads" []
        "Threads of the exporter.";
}
