//! What the file system says of names, cheaply: one listing, one stat a name, nothing opened.

use std::io;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::layout::{FileRole, role};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

/// A file whose last change is younger than this when it is looked at may change again without its time
/// moving: file systems keep times as coarsely as 2 s. Such a file is not taken from the cache.
const SETTLED_AFTER: TimeDelta = TimeDelta::seconds(2);

/// What tells whether a file or directory is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    pub fn of(stat: &Stat) -> Self {
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

    pub fn modified(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.modified.0, u32::try_from(self.modified.1).ok()?)
    }

    /// The stamp of what is at `path`, symbolic links followed.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::stat(path)?))
    }
}

/// Opens a directory for listing, also where a link leads to it.
pub(super) fn open_directory(parent: impl AsFd, name: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// The stat of a directory, symbolic links followed; nothing when it is gone, or is a link that leads nowhere.
pub(super) fn stat_directory(parent: impl AsFd, name: &str) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(parent, name, AtFlags::empty()) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The stat of a name in a directory, symbolic links not followed; nothing when it is gone.
pub(super) fn stat_in(directory: impl AsFd, name: &str) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names of the directories in a directory, in order, and of links unless they lead to something else: one that leads nowhere
/// is a problem that opening it tells of. Names that are not UTF-8 are none of ours.
pub(super) fn directories(directory: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name == "." || name == ".." {
            continue;
        }
        let mut kind = entry.file_type();
        if kind == FileType::Unknown {
            let Some(stat) = stat_in(directory, name)? else { continue };
            kind = FileType::from_raw_mode(stat.st_mode);
        }
        let is_link = kind == FileType::Symlink;
        let leads_elsewhere = || {
            let stat = stat_directory(directory, name);
            stat.is_ok_and(|stat| {
                stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::Directory)
            })
        };
        if kind == FileType::Directory || is_link && !leads_elsewhere() {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The files of one collection's directory, by their names, each kind in order.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub manifests: Vec<(BackupId, Stamp)>,
    pub records: Vec<(BackupId, Stamp)>,
    pub archives: Vec<ArchiveFile>,
    pub temporary_files: u64,
    /// Names of ours that the file system lists and says nothing about.
    pub unknown: Vec<(String, io::Error)>,
}

#[derive(Debug)]
pub(super) struct ArchiveFile {
    pub name: Box<str>,
    pub id: BackupId,
    pub size_bytes: u64,
}

impl Listing {
    /// Lists the directory of the collection whose path component is `component`.
    pub fn read(directory: &OwnedFd, component: &str) -> io::Result<Self> {
        let mut listing = Self::default();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let role = role(component, name);
            match role {
                FileRole::Temporary => listing.temporary_files += 1,
                // A held backup looks like any other: only pruning asks.
                FileRole::Hold { .. } | FileRole::Foreign => {}
                FileRole::Archive { .. } | FileRole::Manifest { .. } | FileRole::Verification { .. } => {
                    match rustix::fs::statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(stat) => listing.add(&role, name, Stamp::of(&stat)),
                        Err(rustix::io::Errno::NOENT) => {}
                        Err(error) => listing.unknown.push((name.to_owned(), error.into())),
                    }
                }
            }
        }
        listing.manifests.sort_unstable_by_key(|(id, _)| *id);
        listing.records.sort_unstable_by_key(|(id, _)| *id);
        listing.archives.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    /// Whether there is a manifest of this backup.
    pub fn has_manifest(&self, id: BackupId) -> bool {
        self.manifests.binary_search_by_key(&id, |(of, _)| *of).is_ok()
    }

    /// The stamp of a backup's verification record, if it has one.
    pub fn record(&self, id: BackupId) -> Option<Stamp> {
        let at = self.records.binary_search_by_key(&id, |(of, _)| *of).ok()?;
        Some(self.records[at].1)
    }

    fn add(&mut self, role: &FileRole, name: &str, stamp: Stamp) {
        match *role {
            FileRole::Archive { id } => {
                self.archives.push(ArchiveFile { name: name.into(), id, size_bytes: stamp.size_bytes });
            }
            FileRole::Manifest { id } => self.manifests.push((id, stamp)),
            FileRole::Verification { id } => self.records.push((id, stamp)),
            FileRole::Hold { .. } | FileRole::Temporary | FileRole::Foreign => {}
        }
    }
}
