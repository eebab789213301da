//! `backup` and `schedule`: where backups go, what they contain, when they are expected.

#![expect(missing_docs, reason = "each says itself what it means")]

use std::num::{NonZeroU8, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use super::super::DEFAULT_BACKUP_PATH;
use super::super::kinds::{self, Located};
use super::super::knob::{Declared, Follows, Knob};
use super::super::types::Compression;

pub(super) static BACKUP: &[&dyn Declared] = &[
    &BACKUP_PATH,
    &STATE_DIR,
    &COMPRESSION,
    &INCLUDE,
    &EXCLUDE,
    &INCLUDE_FILES,
    &KEEP_SERVER_SNAPSHOTS,
    &JOBS,
    &LIMIT_RATE,
    &LOCK_WAIT,
];

pub static BACKUP_PATH: Knob<PathBuf> = Knob::new("backup.path", kinds::DIRECTORY)
    .variable("QDRANT_BACKUP_PATH")
    .option("--backup-path", Follows::Path("DIR"), "Backup directory")
    .default(DEFAULT_BACKUP_PATH)
    .example("/srv/qdrant-backups")
    .meaning("Backup directory.");

pub static STATE_DIR: Knob<Option<PathBuf>> = Knob::new("backup.state_dir", kinds::OTHER_DIRECTORY)
    .variable("QDRANT_BACKUP_STATE_DIR")
    .option("--state-dir", Follows::Path("DIR"), "Directory for status files [env: QDRANT_BACKUP_STATE_DIR] [default: the backup directory]")
    .unset_is("same as `backup.path`")
    .example("/var/lib/qdrant-backup")
    .meaning("Directory for status files. On a different file system, the status can still be written when the backup disk is full. The lock file is always in the backup directory.");

pub static COMPRESSION: Knob<Compression> = Knob::new("backup.compression", kinds::choices())
    .variable("BACKUP_COMPRESSION")
    .option("--compression", Follows::Text("HOW"), "Compression of archives: gzip, zstd or none")
    .only(&["backup"])
    .default("gzip")
    .meaning("Compression of archives: `gzip` (or `true`), `zstd`, `none` (or `false`). Data that does not shrink, such as vectors, is always stored uncompressed; for the rest, `zstd` is smaller and faster than `gzip`.");

pub static INCLUDE: Knob<Vec<Located<String>>> = Knob::new("backup.include", kinds::TEXTS)
    .unset_is("all")
    .example(r#"["docs", "wiki_*"]"#)
    .meaning("Globs of the collections to back up.");

pub static EXCLUDE: Knob<Vec<Located<String>>> = Knob::new("backup.exclude", kinds::TEXTS)
    .example(r#"["*_tmp"]"#)
    .meaning("Globs of the collections to skip, even if they are included.");

pub static INCLUDE_FILES: Knob<Vec<Located<String>>> = Knob::new("backup.include_files", kinds::TEXTS)
    .example(r#"["/etc/qdrant/*.yaml"]"#)
    .meaning("Globs of configuration files to back up as well; absolute paths, such as `/etc/qdrant/*.yaml`. They are stored in a separate archive, which is kept and verified like a collection's. A glob that matches no file makes this part of the run fail.");

pub static KEEP_SERVER_SNAPSHOTS: Knob<bool> = Knob::new("backup.keep_server_snapshots", kinds::SWITCH)
    .option(
        "--keep-server-snapshots",
        Follows::Nothing,
        "Keep the snapshots on the server after the download",
    )
    .only(&["backup"])
    .default("false")
    .meaning("Keep the snapshots on the server after the download.");

pub static JOBS: Knob<Option<NonZeroU8>> = Knob::new("backup.jobs", kinds::JOBS)
    .option("--jobs", Follows::Text("N"), "Number of collections or shards to back up in parallel, 1 to 16")
    .short('j')
    .only(&["backup", "run"])
    .default("1")
    .meaning("Number of collections or shards to back up in parallel (1 to 16). Useful if one at a time does not keep all cores and the disk busy. Each additional one needs about 20 MiB of memory, and the server creates that many snapshots at once.");

pub static LIMIT_RATE: Knob<Option<NonZeroU64>> = Knob::new("backup.limit_rate", kinds::RATE)
    .option("--limit-rate", Follows::Text("SIZE"), "Maximum download rate per second, such as 50MiB")
    .only(&["backup", "run"])
    .example("50MiB")
    .meaning("Maximum download rate of a backup per second, such as `50MiB`.");

pub static LOCK_WAIT: Knob<Duration> = Knob::new("backup.lock_wait", kinds::DURATION)
    .option("--lock-wait", Follows::Text("DURATION"), "Maximum time to wait for another run to finish")
    .only(&["backup", "run", "prune", "import", "verify"])
    .default("0s")
    .example("30m")
    .meaning("Maximum time to wait for another run to finish, before giving up with exit code 75.");

pub(super) static SCHEDULE: &[&dyn Declared] = &[&SCHEDULE_CRON, &TIMEZONE];

pub static SCHEDULE_CRON: Knob<Option<String>> = Knob::new("schedule.cron", kinds::TEXT)
    .variable("BACKUP_SCHEDULE")
    .example(r#""0 2 * * *""#)
    .meaning("Time at which cron or a timer starts backups, as a cron expression; see below.");

pub static TIMEZONE: Knob<Option<String>> = Knob::new("schedule.timezone", kinds::TEXT)
    .default("local")
    .example("Europe/Berlin")
    .meaning("Time zone of `schedule.cron`: `local`, or an IANA name such as `Europe/Berlin`. Backup ids and all files use UTC.");
