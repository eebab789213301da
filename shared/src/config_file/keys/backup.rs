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
    .meaning("The backup directory.");

pub static STATE_DIR: Knob<Option<PathBuf>> = Knob::new("backup.state_dir", kinds::OTHER_DIRECTORY)
    .variable("QDRANT_BACKUP_STATE_DIR")
    .option("--state-dir", Follows::Path("DIR"), "Directory of the status files [env: QDRANT_BACKUP_STATE_DIR] [default: the backup directory]")
    .unset_is("as `backup.path`")
    .example("/var/lib/qdrant-backup")
    .meaning("Where the status files are (the lock is in the backup directory). On another file system, a full backup disk can still be reported.");

pub static COMPRESSION: Knob<Compression> = Knob::new("backup.compression", kinds::choices())
    .variable("BACKUP_COMPRESSION")
    .option("--compression", Follows::Text("HOW"), "How to store archives: gzip, zstd or none")
    .only(&["backup"])
    .default("gzip")
    .meaning("`gzip` (or `true`), `zstd`, `none` (or `false`). What does not shrink, as vectors, is stored as it is by all three; on the rest `zstd` is smaller and faster.");

pub static INCLUDE: Knob<Vec<Located<String>>> = Knob::new("backup.include", kinds::TEXTS)
    .unset_is("all")
    .example(r#"["docs", "wiki_*"]"#)
    .meaning("Globs of the collections to back up.");

pub static EXCLUDE: Knob<Vec<Located<String>>> = Knob::new("backup.exclude", kinds::TEXTS)
    .example(r#"["*_tmp"]"#)
    .meaning("Globs of the collections to leave out, even if included.");

pub static INCLUDE_FILES: Knob<Vec<Located<String>>> = Knob::new("backup.include_files", kinds::TEXTS)
    .example(r#"["/etc/qdrant/*.yaml"]"#)
    .meaning("Globs of files to back up besides the collections, absolute, such as `/etc/qdrant/*.yaml`. They go into an archive of their own, kept and verified like a collection's. A pattern that names no file fails that part of the run.");

pub static KEEP_SERVER_SNAPSHOTS: Knob<bool> = Knob::new("backup.keep_server_snapshots", kinds::SWITCH)
    .option("--keep-server-snapshots", Follows::Nothing, "Leave the snapshots on the server as well")
    .only(&["backup"])
    .default("false")
    .meaning("Whether the server's own snapshot stays there after the download.");

pub static JOBS: Knob<Option<NonZeroU8>> = Knob::new("backup.jobs", kinds::JOBS)
    .option("--jobs", Follows::Text("N"), "Snapshots of collections or shards under way at a time, 1 to 16")
    .short('j')
    .only(&["backup", "run"])
    .default("1")
    .meaning("How many snapshots, of collections or of shards, are under way at a time (1 to 16). Helps where no single one keeps all cores and the disk busy; each further one takes about 20 MiB of memory, and the server makes as many snapshots at once.");

pub static LIMIT_RATE: Knob<Option<NonZeroU64>> = Knob::new("backup.limit_rate", kinds::RATE)
    .option(
        "--limit-rate",
        Follows::Text("SIZE"),
        "Download no more than so many bytes a second, such as 50MiB",
    )
    .only(&["backup", "run"])
    .example("50MiB")
    .meaning("How many bytes a second the downloads of a backup may take, such as `50MiB`.");

pub static LOCK_WAIT: Knob<Duration> = Knob::new("backup.lock_wait", kinds::DURATION)
    .option("--lock-wait", Follows::Text("DURATION"), "How long to wait for another run to end")
    .only(&["backup", "run", "prune", "import", "verify"])
    .default("0s")
    .example("30m")
    .meaning("How long to wait for another run to finish before giving up with exit code 75.");

pub(super) static SCHEDULE: &[&dyn Declared] = &[&SCHEDULE_CRON, &TIMEZONE];

pub static SCHEDULE_CRON: Knob<Option<String>> = Knob::new("schedule.cron", kinds::TEXT)
    .variable("BACKUP_SCHEDULE")
    .example(r#""0 2 * * *""#)
    .meaning("When cron or a timer starts backups, as a cron expression; see below.");

pub static TIMEZONE: Knob<Option<String>> = Knob::new("schedule.timezone", kinds::TEXT)
    .default("local")
    .example("Europe/Berlin")
    .meaning("Whose clock `schedule.cron` goes by: `local`, or an IANA name such as `Europe/Berlin`. Backup ids and all files are UTC.");
