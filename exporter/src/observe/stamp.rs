//! What tells whether a file or directory is still the one that was looked at.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, Stat};

/// A file whose last change is younger than this when it is looked at may change again without its time
/// moving: file systems keep times as coarsely as 2 s. Such a file is not taken from the cache.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(2);

/// What the file system says of one file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size_bytes: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// The stamp, unless the file was changed so recently that it proves nothing.
    pub fn settled(self, now: DateTime<Utc>) -> Option<Self> {
        let newest = self.modified.0.max(self.changed.0);
        (newest < (now - SETTLED_AFTER).timestamp()).then_some(self)
    }

    /// The stamp of what is called `name` in `directory`, symbolic links followed.
    pub fn of_file(directory: impl AsFd, name: &OsStr) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::statat(directory, name, AtFlags::empty())?))
    }

    /// The stamp of what is at `path`, symbolic links followed.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::stat(path)?))
    }
}
