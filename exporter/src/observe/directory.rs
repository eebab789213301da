//! The whole backup directory, from memory as far as it has not changed.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::{Layout, Repository, json_file, links};
use rustix::fs::CWD;

use super::collection::Collection;
use super::files::{self, Stamp, open_directory, stat_directory};
use super::observation::{DirectoryView, Problem};

/// Every file is looked at again after this time, because a file that is changed in place, by a failing disk or by hand, does
/// not change its directory.
const LOOK_AGAIN_AFTER: TimeDelta = TimeDelta::seconds(60);

/// Reads a backup directory again and again.
#[derive(Debug)]
pub(super) struct Directory {
    layout: Layout,
    /// By path component.
    collections: BTreeMap<String, Collection>,
    /// The backups of configuration files.
    files: Option<Collection>,
    /// The stamp of the directory of all collections when it was listed.
    stamp: Option<Stamp>,
    /// When every file was last looked at.
    looked_at: Option<DateTime<Utc>>,
}

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct DirectoryLook {
    pub view: Option<DirectoryView>,
    pub problem: Option<String>,
    pub problems: Vec<Problem>,
}

impl Directory {
    pub fn new(layout: Layout) -> Self {
        Self { layout, collections: BTreeMap::new(), files: None, stamp: None, looked_at: None }
    }

    /// Looks at the directory. Directories that have not changed are not listed again, unless it is time to look at
    /// everything.
    pub fn look(&mut self, now: DateTime<Utc>) -> DirectoryLook {
        let root = self.layout.root();
        match std::fs::metadata(root) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return failed(format!("{}: is not a directory", root.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return failed(format!("{}: no such directory; is the disk mounted?", root.display()));
            }
            Err(error) => return failed(format!("{}: cannot be read: {error}", root.display())),
        }
        let mut look = DirectoryLook::default();
        self.check_repository(&mut look);
        if let Err(error) = self.refresh(now, &mut look) {
            look.problem = Some(format!("{}: cannot be read: {error}", self.layout.collections().display()));
            return look;
        }
        let view = self.view(&mut look);
        // Without its marker and without a backup it is somebody else's directory, or an empty mount point:
        // nothing is known about backups, not even that there is none.
        if look.problem.is_none() || !view.collections.is_empty() {
            look.view = Some(view);
        }
        look
    }

    fn check_repository(&self, look: &mut DirectoryLook) {
        let path = self.layout.repository_file();
        match json_file::read::<Repository>(&path) {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {
                look.problem = Some(format!(
                    "{}: not a backup repository (no repository.json); is the disk mounted?",
                    self.layout.root().display()
                ));
            }
            Err(error) => {
                look.problem = Some(error.to_string());
                look.problems.push(problem(&path, error.to_string()));
            }
        }
    }

    /// Brings the backups of configuration files up to date. They are no collection's and lie in a place of their own.
    fn refresh_files(
        &mut self,
        everything: bool,
        now: DateTime<Utc>,
        look: &mut DirectoryLook,
    ) -> io::Result<()> {
        let path = self.layout.files();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let root = open_directory(CWD, self.layout.root())?;
        let known = self.files.take();
        match look_at(&self.layout, &root, &path, name, known, everything, now) {
            Ok(files) => self.files = files,
            Err(error) => {
                let message = format!("{}: cannot be read: {error}", path.display());
                look.problems.push(problem(&path, message));
            }
        }
        Ok(())
    }

    /// Brings everything up to date. That there is no directory of collections yet is no error.
    fn refresh(&mut self, now: DateTime<Utc>, look: &mut DirectoryLook) -> io::Result<()> {
        // A clock that was set back must not put this off.
        let everything = self.looked_at.is_none_or(|at| now < at || now - at >= LOOK_AGAIN_AFTER);
        self.refresh_files(everything, now, look)?;
        let path = self.layout.collections();
        links::trusted(&self.layout, &path)?;
        let parent = match open_directory(CWD, &path) {
            Ok(parent) => parent,
            Err(error) => {
                links::absent(&path, error)?;
                self.collections.clear();
                self.stamp = None;
                return Ok(());
            }
        };
        let stamp = Stamp::of(&rustix::fs::fstat(&parent)?);
        let names = if everything || self.stamp != Some(stamp) {
            let names = files::directories(&parent)?;
            self.stamp = stamp.settled(now);
            self.collections.retain(|name, _| names.binary_search(name).is_ok());
            names
        } else {
            self.collections.keys().cloned().collect()
        };
        for name in names {
            let known = self.collections.remove(&name);
            let directory = path.join(&name);
            match look_at(&self.layout, &parent, &directory, &name, known, everything, now) {
                Ok(Some(collection)) => drop(self.collections.insert(name, collection)),
                Ok(None) => {}
                Err(error) => {
                    let message = format!("{}: cannot be read: {error}", directory.display());
                    look.problems.push(problem(&directory, message));
                    // Remembered by name, so that the next look tries it again.
                    self.collections.insert(name, Collection::default());
                }
            }
        }
        if everything {
            self.looked_at = Some(now);
        }
        Ok(())
    }

    fn view(&self, look: &mut DirectoryLook) -> DirectoryView {
        let mut view = DirectoryView::default();
        for collection in self.collections.values().chain(&self.files) {
            if let Some(name) = &collection.name {
                view.collections.insert(name.clone(), collection.view.clone());
            }
            view.orphan_files += collection.orphan_files;
            view.orphan_bytes += collection.orphan_bytes;
            view.temporary_files += collection.temporary_files;
            look.problems.extend_from_slice(&collection.problems);
        }
        look.problems.sort();
        view
    }
}

/// Looks at one collection's directory; nothing when it is gone.
fn look_at(
    layout: &Layout,
    parent: &rustix::fd::OwnedFd,
    path: &Path,
    name: &str,
    known: Option<Collection>,
    everything: bool,
    now: DateTime<Utc>,
) -> io::Result<Option<Collection>> {
    if let Some(stamp) = known.as_ref().and_then(|known| known.stamp)
        && !everything
    {
        match stat_directory(parent, name)? {
            Some(stat) if Stamp::of(&stat) == stamp => return Ok(known),
            Some(_) | None => {}
        }
    }
    links::trusted(layout, path)?;
    let directory = match open_directory(parent, Path::new(name)) {
        Ok(directory) => directory,
        Err(error) => return links::absent(path, error).map(|()| None),
    };
    Collection::look(&directory, path, name, known.unwrap_or_default(), now).map(Some)
}

fn failed(problem: String) -> DirectoryLook {
    DirectoryLook { problem: Some(problem), ..DirectoryLook::default() }
}

fn problem(path: &Path, message: String) -> Problem {
    let modified = Stamp::at(path).ok().and_then(|stamp| stamp.modified());
    Problem { path: path.to_owned(), modified, message }
}
