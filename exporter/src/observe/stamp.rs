//! Detects whether a file or directory has changed since the last observation.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, Stat};

/// A file that was changed more recently than this may change again without a change of its time, because file
/// systems store times with a resolution as low as 2 s. Such a file is not taken from the cache.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(2);

/// Metadata that identifies the state of a file or directory.
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

    /// The stamp, unless the last change is too recent to be reliable.
    pub fn settled(self, now: DateTime<Utc>) -> Option<Self> {
        let newest = self.modified.0.max(self.changed.0);
        (newest < (now - SETTLED_AFTER).timestamp()).then_some(self)
    }

    /// The stamp of `name` in `directory`, following symbolic links.
    pub fn of_file(directory: impl AsFd, name: &OsStr) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::statat(directory, name, AtFlags::empty())?))
    }

    /// The stamp of `path`, following symbolic links.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::stat(path)?))
    }
}
