//! The state directory: the status, and the last runs that were skipped or refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::Unreadable;
use qdrant_backup_shared::file_system::room;
use qdrant_backup_shared::json_file::{self, ReadError};
use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::last_skipped::LastSkipped;
use qdrant_backup_shared::{Layout, Status, status_journal};

use super::observation::Storage;
use super::stamp::Stamp;

/// Reads the state directory repeatedly.
#[derive(Debug)]
pub(super) struct State {
    layout: Layout,
    status: Remembered<Status>,
    last_skipped: Remembered<LastSkipped>,
    last_refused: Remembered<LastRefused>,
}

/// The result of one read. A file that does not exist has neither a value nor a problem.
#[derive(Debug, Default)]
pub(super) struct StateLook {
    pub status: Option<Arc<Status>>,
    pub status_problem: Option<String>,
    pub last_skipped: Option<Arc<LastSkipped>>,
    pub last_refused: Option<Arc<LastRefused>>,
    pub problems: Vec<Unreadable>,
}

/// One file, with its journal if it has one. Parsed again only after a change.
#[derive(Debug)]
struct Remembered<T> {
    files: Vec<PathBuf>,
    /// The stamps of the files. Empty if they must be read again next time.
    stamps: Vec<Option<Stamp>>,
    value: Option<Arc<T>>,
}

/// The value, and the problem of the unreadable rest.
type Read<T> = Result<(T, Option<ReadError>), ReadError>;

impl State {
    pub fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            status: Remembered::new(vec![layout.status_file(), layout.status_journal()]),
            last_skipped: Remembered::new(vec![layout.last_skipped_file()]),
            last_refused: Remembered::new(vec![layout.last_refused_file()]),
        }
    }

    pub fn look(&mut self, now: DateTime<Utc>) -> StateLook {
        let (layout, mut problems) = (&self.layout, Vec::new());
        let read_status = |_: &Path| status_journal::read_own(layout).map(|kept| (kept.status, kept.problem));
        let status = self.status.look(now, &mut problems, read_status);
        let status_problem = problems.first().map(|unreadable| unreadable.problem.clone());
        let last_skipped =
            self.last_skipped.look(now, &mut problems, |path| Ok((json_file::read(path)?, None)));
        let last_refused =
            self.last_refused.look(now, &mut problems, |path| Ok((json_file::read(path)?, None)));
        StateLook { status, status_problem, last_skipped, last_refused, problems }
    }
}

impl<T> Remembered<T> {
    fn new(files: Vec<PathBuf>) -> Self {
        Self { files, stamps: Vec::new(), value: None }
    }

    fn look(
        &mut self,
        now: DateTime<Utc>,
        problems: &mut Vec<Unreadable>,
        read: impl FnOnce(&Path) -> Read<T>,
    ) -> Option<Arc<T>> {
        // Taken before the files are read: if one is replaced in between, the next observation reads them again.
        let stamps: Vec<_> = self.files.iter().map(|path| Stamp::at(path).ok()).collect();
        if stamps.first().is_some_and(Option::is_some) && stamps == self.stamps {
            return self.value.clone();
        }
        self.stamps.clear();
        let (value, error) = match read(&self.files[0]) {
            Ok((value, error)) => (Some(Arc::new(value)), error),
            Err(error) if error.is_not_found() => (None, None),
            Err(error) => (None, Some(error)),
        };
        self.value.clone_from(&value);
        if let Some(error) = error {
            problems.push(Unreadable { path: self.files[0].clone(), problem: error.to_string() });
        } else if stamps.iter().flatten().all(|stamp| stamp.settled(now).is_some()) {
            self.stamps = stamps;
        }
        value
    }
}

/// The space on the file system of `directory`, if it is reported, or the reason why it cannot be read.
pub(super) fn storage(directory: &Path) -> (Option<Arc<Storage>>, Option<String>) {
    match room(directory) {
        Ok(room) => {
            let storage =
                room.map(|room| Storage { avail_bytes: room.available_bytes, size_bytes: room.size_bytes });
            (storage.map(Arc::new), None)
        }
        Err(error) => {
            (None, Some(format!("{}: cannot ask the file system for its size: {error}", directory.display())))
        }
    }
}
