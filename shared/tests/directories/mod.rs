//! Backup directories as left by runs, kills, disk errors and users, with their expected contents. The tests of the
//! catalog and of the exporter use the same table, so that both programs interpret the directories in the same way.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]

#[path = "../../../tests/src/directory.rs"]
mod directory;

use std::fs;
use std::os::unix::fs::symlink;

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::manifest::Encoding;
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use qdrant_backup_shared::{BackupId, CollectionName, Hold, VerificationRecord};
use rustix::fs::{CWD, FileType, Mode, mknodat};

pub use directory::{Directory, by_shard, manifest, name};

/// A directory with its expected contents.
pub struct Case {
    pub name: &'static str,
    pub build: fn() -> Directory,
    pub found: Found,
}

/// The expected contents of a directory.
#[derive(Default)]
pub struct Found {
    /// Each collection's backups, oldest first.
    pub collections: &'static [(&'static str, &'static [Is])],
    /// The length in bytes of each archive without a manifest, in the order of their paths.
    pub orphans: &'static [u64],
    pub temporary: u64,
    /// A part of the problem of each unreadable file and directory, in the order of their paths.
    pub unreadable: &'static [&'static str],
    /// Unreadable hold files. The exporter ignores them.
    pub unreadable_holds: usize,
}

/// The expected state of a backup.
#[derive(Clone, Copy)]
pub struct Is {
    pub condition: Condition,
    pub verification_failed: bool,
    pub verified: bool,
}

/// Good, and never verified.
const NEW: Is = Is { condition: Condition::Good, verification_failed: false, verified: false };
const GOOD: Is = Is { verified: true, ..NEW };
const INCOMPLETE: Is = Is { condition: Condition::Incomplete, ..GOOD };
const INCOMPLETE_UNCHECKED: Is = Is { condition: Condition::Incomplete, ..NEW };
const FAILED: Is = Is { condition: Condition::Failed, verification_failed: true, ..GOOD };
/// Incomplete, and a failed check is in effect.
const BOTH: Is = Is { verification_failed: true, ..INCOMPLETE };
/// Intentionally only in an offsite place.
const ELSEWHERE: Is = Is { condition: Condition::OffsiteOnly, ..GOOD };
const UNKNOWN: Is = Is { condition: Condition::Unknown, ..NEW };

const QUOTES: &str = "with \"quotes\"\\ and\nlines";
const ALL_GOOD: &[(&str, &[Is])] = &[("docs", &[GOOD; 3]), ("images", &[GOOD; 3]), (QUOTES, &[GOOD; 3])];

const NOTHING: Found =
    Found { collections: &[], orphans: &[], temporary: 0, unreadable: &[], unreadable_holds: 0 };
const HEALTHY: Found = Found { collections: ALL_GOOD, ..NOTHING };

pub const CASES: &[Case] = &[
    Case { name: "nothing yet", build: Directory::repository, found: NOTHING },
    Case { name: "healthy", build: healthy, found: HEALTHY },
    Case {
        name: "a backup of one collection failed",
        build: partial_failure,
        found: Found {
            collections: &[("docs", &[GOOD; 3]), ("images", &[GOOD; 2]), (QUOTES, &[GOOD; 3])],
            ..NOTHING
        },
    },
    Case {
        name: "a run was killed",
        build: killed_run,
        found: Found { orphans: &[12_345], temporary: 1, ..HEALTHY },
    },
    Case {
        name: "files are torn, cut and of another version",
        build: corrupt_files,
        found: Found {
            collections: &[
                ("docs", &[UNKNOWN]),
                ("images", &[FAILED, GOOD, INCOMPLETE]),
                (QUOTES, &[GOOD; 3]),
            ],
            unreadable: &[
                "docs-2025-07-13-02-00-00.manifest.json: cannot read schema_version 2",
                "docs-2025-07-14-02-00-00.verification.json:1: not a valid verification record",
                "docs-2025-07-15-02-00-00.manifest.json:1: not a valid backup manifest: EOF",
            ],
            ..NOTHING
        },
    },
    Case { name: "a retired collection's directory is empty", build: retired_collection, found: HEALTHY },
    Case {
        name: "archives are missing",
        build: incomplete,
        found: Found {
            collections: &[("docs", &[BOTH, INCOMPLETE, GOOD]), ("images", &[GOOD; 3]), (QUOTES, &[GOOD; 3])],
            ..NOTHING
        },
    },
    Case {
        name: "files lie where others belong",
        build: misplaced,
        found: Found {
            collections: &[("docs", &[UNKNOWN, GOOD, GOOD]), ("images", &[GOOD; 3]), (QUOTES, &[GOOD; 3])],
            unreadable: &[
                "docs-2025-07-10-00-00-00.manifest.json:1: this manifest belongs elsewhere: it describes backup",
                "docs-2025-07-13-02-00-00.verification.json:1: this file belongs elsewhere: it is about backup",
            ],
            ..NOTHING
        },
    },
    Case {
        name: "links lead to other disks, and nowhere",
        build: linked,
        found: Found {
            collections: &[("docs", &[UNKNOWN, GOOD, GOOD]), ("images", &[GOOD; 3]), (QUOTES, &[GOOD; 3])],
            unreadable: &[
                "docs-2025-07-13-02-00-00.verification.json: cannot be read: is a link to /nowhere/at/all",
                "gone: cannot be read: is a link to /nowhere/at/all",
                "files: cannot be read: is a link to /nowhere/at/all",
            ],
            ..NOTHING
        },
    },
    Case {
        name: "pipes lie in place of files",
        build: pipes,
        found: Found {
            collections: &[("docs", &[UNKNOWN, GOOD, GOOD]), ("images", &[GOOD; 3]), (QUOTES, &[GOOD; 3])],
            unreadable: &[
                "docs-2025-07-10-00-00-00.manifest.json: cannot be read: not a regular file",
                "docs-2025-07-13-02-00-00.verification.json: cannot be read: not a regular file",
            ],
            ..NOTHING
        },
    },
    Case { name: "foreign files and directories", build: foreign, found: HEALTHY },
    Case {
        name: "configuration files are backed up",
        build: configuration_files,
        found: Found {
            collections: &[
                ("docs", &[GOOD; 3]),
                (FILES, &[NEW]),
                ("images", &[GOOD; 3]),
                (QUOTES, &[GOOD; 3]),
            ],
            ..NOTHING
        },
    },
    Case {
        name: "backups are of single shards",
        build: by_shards,
        found: Found {
            collections: &[
                ("docs", &[GOOD; 3]),
                ("images", &[GOOD; 3]),
                ("sharded", &[NEW, INCOMPLETE_UNCHECKED]),
                (QUOTES, &[GOOD; 3]),
            ],
            orphans: &[70, 70],
            unreadable: &[
                "sharded-2025-07-15-02-00-00.manifest.json:1: not a valid backup manifest: archives: it lists 2 shards",
            ],
            ..NOTHING
        },
    },
    Case {
        name: "copies are elsewhere",
        build: copied,
        found: Found {
            collections: &[
                ("docs", &[ELSEWHERE, GOOD, GOOD]),
                ("images", &[GOOD, INCOMPLETE, GOOD]),
                (QUOTES, &[GOOD; 3]),
            ],
            unreadable: &["docs-2025-07-14-02-00-00.offsite-far.json:1: not a valid record of a copy: EOF"],
            ..NOTHING
        },
    },
    Case { name: "backups are on hold", build: held, found: Found { unreadable_holds: 1, ..HEALTHY } },
];

/// Stands for the name in backups of configuration files.
pub const FILES: &str = "/files";

/// A time on the day of the tests.
pub fn at(time: &str) -> DateTime<Utc> {
    format!("2025-07-{time}Z").parse().unwrap()
}

/// The time of the last night's backups.
pub fn night() -> DateTime<Utc> {
    at("15T02:00:00")
}

fn nights_ago(days: i64) -> BackupId {
    BackupId::at(night() - TimeDelta::days(days))
}

/// Three collections, three nights each, all verified, and one restored.
pub fn healthy() -> Directory {
    let place = Directory::repository();
    for (collection, points) in [("docs", 1000), ("images", 40), (QUOTES, 7)] {
        for (days, fewer) in [(2, 4), (1, 2), (0, 0)] {
            let id = place.backup(collection, nights_ago(days).time(), points - fewer);
            place.verify(collection, id, &[(Level::Archive, CheckOutcome::Passed)]);
        }
    }
    let drilled = [(Level::Archive, CheckOutcome::Passed), (Level::Restore, CheckOutcome::Passed)];
    place.verify("docs", nights_ago(1), &drilled);
    place
}

/// The oldest backup of `docs` is only in offsite places, and a backup of `images` has lost its archive although
/// there is a copy.
pub fn copied() -> Directory {
    let place = healthy();
    place.copy("docs", nights_ago(2), "nas", true, true);
    place.copy("docs", nights_ago(2), "far", false, true);
    place.copy("docs", nights_ago(1), "nas", true, false);
    place.copy("docs", nights_ago(0), "nas", false, false);
    place.put_bytes(&place.layout().offsite(&name("docs"), nights_ago(1), "far"), b"{");
    place.copy("images", nights_ago(1), "nas", true, false);
    fs::remove_file(place.archive("images", nights_ago(1))).unwrap();
    place
}

pub fn partial_failure() -> Directory {
    let place = healthy();
    fs::remove_file(place.archive("images", nights_ago(0))).unwrap();
    fs::remove_file(place.layout().manifest(&name("images"), nights_ago(0))).unwrap();
    place
}

pub fn killed_run() -> Directory {
    let place = healthy();
    let docs = place.layout().collection(&name("docs"));
    place.put_archive(&docs.join(".docs-2025-07-15-14-00-00.snapshot.gz.x7YzQ1.tmp"), 99);
    place.put_archive(&docs.join("docs-2025-07-15-14-00-00.snapshot.gz"), 12_345);
    place
}

pub fn corrupt_files() -> Directory {
    let place = healthy();
    let layout = place.layout();
    let (docs, images) = (name("docs"), name("images"));
    place.put_bytes(&layout.manifest(&docs, nights_ago(0)), b"{\"schema_version\": 1, \"backup");
    place.put_bytes(&layout.manifest(&docs, nights_ago(2)), b"{\"schema_version\": 2}");
    place.put_bytes(&layout.verification(&docs, nights_ago(1)), b"\0\0\0\0");
    place.put_archive(&place.archive("images", nights_ago(0)), 1);
    let failed = [(Level::Archive, CheckOutcome::Failed), (Level::Archive, CheckOutcome::Inconclusive)];
    place.verify("images", nights_ago(2), &failed);
    place.put_bytes(&layout.collection(&images).join("notes.txt"), b"foreign");
    place
}

pub fn retired_collection() -> Directory {
    let place = healthy();
    fs::create_dir(place.layout().collection(&name("docs-old"))).unwrap();
    place
}

fn incomplete() -> Directory {
    let place = healthy();
    place.verify("docs", nights_ago(2), &[(Level::Archive, CheckOutcome::Failed)]);
    for days in [1, 2] {
        fs::remove_file(place.archive("docs", nights_ago(days))).unwrap();
    }
    place
}

fn misplaced() -> Directory {
    let place = healthy();
    let id = BackupId::at(at("10T00:00:00"));
    place.put(&place.layout().manifest(&name("docs"), id), &manifest(&name("images"), id, 5));
    // Not an orphan, because its manifest is unreadable.
    place.put_archive(&place.archive("docs", id), 5);
    let record = place.layout().verification(&name("docs"), nights_ago(2));
    place.put(&record, &VerificationRecord::new(nights_ago(1)));
    place
}

fn linked() -> Directory {
    let place = healthy();
    let layout = place.layout();
    let images = layout.collection(&name("images"));
    fs::rename(&images, place.path().join("disk")).unwrap();
    symlink("../disk", &images).unwrap();
    symlink("/nowhere/at/all", layout.collections().join("gone")).unwrap();
    symlink("/nowhere/at/all", layout.files()).unwrap();
    let record = layout.verification(&name("docs"), nights_ago(2));
    fs::remove_file(&record).unwrap();
    symlink("/nowhere/at/all", &record).unwrap();
    // A manifest and a record may themselves be links.
    for path in
        [layout.manifest(&name("docs"), nights_ago(0)), layout.verification(&name("docs"), nights_ago(0))]
    {
        let target = place.path().join(path.file_name().unwrap());
        fs::rename(&path, &target).unwrap();
        symlink(target, path).unwrap();
    }
    place
}

fn pipes() -> Directory {
    let place = healthy();
    let layout = place.layout();
    let record = layout.verification(&name("docs"), nights_ago(2));
    fs::remove_file(&record).unwrap();
    for path in [layout.manifest(&name("docs"), BackupId::at(at("10T00:00:00"))), record] {
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    }
    place
}

fn foreign() -> Directory {
    let place = healthy();
    let (docs, collections) = (place.layout().collection(&name("docs")), place.layout().collections());
    for file in
        ["notes.txt", "images-2025-07-15-02-00-00.snapshot.gz", ".settings.tmp", "docs-2025-07-15.tar"]
    {
        fs::write(docs.join(file), "foreign").unwrap();
    }
    fs::create_dir(docs.join("a directory")).unwrap();
    fs::create_dir(collections.join("lost+found")).unwrap();
    fs::write(collections.join("file"), "foreign").unwrap();
    symlink("file", collections.join("link")).unwrap();
    symlink("/nowhere/at/all", place.path().join("dangling")).unwrap();
    fs::write(place.layout().files(), "a file is no place for backups").unwrap();
    place
}

fn configuration_files() -> Directory {
    let place = healthy();
    let id = BackupId::at(at("15T02:00:00"));
    let manifest = manifest(&CollectionName::files(), id, 3);
    place.put_archives(&manifest);
    place.put_manifest(&manifest);
    place
}

/// A complete backup by shards, one without the archive of a shard, one whose manifest lacks a shard, and one without
/// its manifest.
fn by_shards() -> Directory {
    let place = healthy();
    let layout = place.layout();
    let sharded = name("sharded");
    let backup = |days: i64| {
        let manifest = by_shard(manifest(&sharded, nights_ago(days), 7), &[1, 2, 4]);
        place.put_archives(&manifest);
        manifest
    };
    place.put_manifest(&backup(2));
    place.put_manifest(&backup(1));
    fs::remove_file(layout.shard_archive(&sharded, nights_ago(1), 2, &[Encoding::Gzip])).unwrap();
    let mut lacking = backup(0);
    lacking.archives.pop();
    place.put_manifest(&lacking);
    for shard_id in [1, 2] {
        place.put_archive(&layout.shard_archive(&sharded, nights_ago(3), shard_id, &[Encoding::Gzip]), 70);
    }
    place
}

fn held() -> Directory {
    let place = healthy();
    let layout = place.layout();
    let hold = Hold::new(nights_ago(1), night(), Some("before the migration".to_owned()));
    place.put(&layout.hold(&name("docs"), nights_ago(1)), &hold);
    place.put_bytes(&layout.hold(&name("docs"), nights_ago(2)), b"");
    place
}
