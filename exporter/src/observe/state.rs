//! The state directory: the status, and the last run that was skipped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::json_file::{self, JsonFile};
use qdrant_backup_shared::last_skipped::LastSkipped;
use qdrant_backup_shared::{Layout, Status, links};

use super::files::Stamp;
use super::observation::Problem;

/// Reads the state directory again and again.
#[derive(Debug)]
pub(super) struct State {
    directory: PathBuf,
    status: Remembered<Status>,
    last_skipped: Remembered<LastSkipped>,
}

/// What one look found. Nothing without a problem means that there is no such file.
#[derive(Debug)]
pub(super) struct StateLook {
    pub status: Option<Arc<Status>>,
    pub status_problem: Option<Problem>,
    pub last_skipped: Option<Arc<LastSkipped>>,
    pub last_skipped_problem: Option<Problem>,
}

/// One file, parsed again only when it has changed.
#[derive(Debug)]
struct Remembered<T> {
    path: PathBuf,
    stamp: Option<Stamp>,
    value: Option<Arc<T>>,
}

impl State {
    pub fn new(layout: &Layout) -> Self {
        Self {
            directory: layout.state().to_owned(),
            status: Remembered::new(layout.status_file()),
            last_skipped: Remembered::new(layout.last_skipped_file()),
        }
    }

    pub fn look(&mut self, now: DateTime<Utc>) -> StateLook {
        let (status, mut status_problem) = split(self.status.look(now));
        if status.is_none() && status_problem.is_none() {
            // Behind a link that leads nowhere, that there is no status says nothing.
            status_problem = links::leads_nowhere(&self.directory).map(|error| Problem {
                path: self.directory.clone(),
                modified: None,
                message: format!("{}: {error}", self.directory.display()),
            });
        }
        let (last_skipped, last_skipped_problem) = split(self.last_skipped.look(now));
        StateLook { status, status_problem, last_skipped, last_skipped_problem }
    }
}

fn split<T>(found: Result<Option<T>, Problem>) -> (Option<T>, Option<Problem>) {
    match found {
        Ok(value) => (value, None),
        Err(problem) => (None, Some(problem)),
    }
}

impl<T: JsonFile> Remembered<T> {
    fn new(path: PathBuf) -> Self {
        Self { path, stamp: None, value: None }
    }

    fn look(&mut self, now: DateTime<Utc>) -> Result<Option<Arc<T>>, Problem> {
        // Looked at before it is read: if it is replaced in between, the next look reads it again.
        let stamp = Stamp::at(&self.path).ok();
        if stamp.is_some() && stamp == self.stamp {
            return Ok(self.value.clone());
        }
        self.stamp = None;
        self.value = None;
        match json_file::read::<T>(&self.path) {
            Ok(value) => {
                self.stamp = stamp.and_then(|stamp| stamp.settled(now));
                self.value = Some(Arc::new(value));
                Ok(self.value.clone())
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(Problem {
                path: self.path.clone(),
                modified: stamp.and_then(|stamp| stamp.modified()),
                message: error.to_string(),
            }),
        }
    }
}

/// The room on the file system of `directory`.
pub(super) fn storage(directory: &Path) -> Result<super::Storage, String> {
    let found = rustix::fs::statvfs(directory)
        .map_err(|error| format!("{}: file system cannot be asked: {error}", directory.display()))?;
    Ok(super::Storage {
        avail_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        size_bytes: found.f_blocks.saturating_mul(found.f_frsize),
    })
}
