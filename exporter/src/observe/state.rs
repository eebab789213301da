//! The state directory: the status, and the last runs that were skipped or refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::file_system::room;
use qdrant_backup_shared::json_file::{self, ReadError};
use qdrant_backup_shared::last_refused::LastRefused;
use qdrant_backup_shared::last_skipped::LastSkipped;
use qdrant_backup_shared::{Layout, Status, status_journal};

use super::observation::Problem;
use super::stamp::Stamp;

/// Reads the state directory again and again.
#[derive(Debug)]
pub(super) struct State {
    layout: Layout,
    status: Remembered<Status>,
    last_skipped: Remembered<LastSkipped>,
    last_refused: Remembered<LastRefused>,
}

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct StateLook {
    pub status: Found<Status>,
    pub last_skipped: Found<LastSkipped>,
    pub last_refused: Found<LastRefused>,
}

/// What one file says. Neither a value nor a problem means that there is no such file.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub value: Option<Arc<T>>,
    pub problem: Option<Problem>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { value: None, problem: None }
    }
}

/// One file, with the journal beside it where it has one, parsed again only when something has changed.
#[derive(Debug)]
struct Remembered<T> {
    path: PathBuf,
    journal: Option<PathBuf>,
    stamps: Option<Stamps>,
    value: Option<Arc<T>>,
}

/// Of the file, and of its journal, once there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamps {
    file: Stamp,
    journal: Option<Stamp>,
}

/// What was read, and what is wrong all the same.
type Read<T> = Result<(T, Option<ReadError>), ReadError>;

impl State {
    pub fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            status: Remembered::new(layout.status_file(), Some(layout.status_journal())),
            last_skipped: Remembered::new(layout.last_skipped_file(), None),
            last_refused: Remembered::new(layout.last_refused_file(), None),
        }
    }

    pub fn look(&mut self, now: DateTime<Utc>) -> StateLook {
        let layout = &self.layout;
        StateLook {
            status: self
                .status
                .look(now, |_| status_journal::read(layout).map(|kept| (kept.status, kept.problem))),
            last_skipped: self.last_skipped.look(now, |path| Ok((json_file::read(path)?, None))),
            last_refused: self.last_refused.look(now, |path| Ok((json_file::read(path)?, None))),
        }
    }
}

impl<T> Remembered<T> {
    fn new(path: PathBuf, journal: Option<PathBuf>) -> Self {
        Self { path, journal, stamps: None, value: None }
    }

    fn look(&mut self, now: DateTime<Utc>, read: impl FnOnce(&Path) -> Read<T>) -> Found<T> {
        // Looked at before it is read: if it is replaced in between, the next look reads it again.
        let stamps = self.stamps();
        if stamps.is_some() && stamps == self.stamps {
            return Found { value: self.value.clone(), problem: None };
        }
        self.stamps = None;
        let (value, error) = match read(&self.path) {
            Ok((value, error)) => (Some(Arc::new(value)), error),
            Err(error) if error.is_not_found() => (None, None),
            Err(error) => (None, Some(error)),
        };
        self.value.clone_from(&value);
        if value.is_some() && error.is_none() {
            self.stamps = stamps.and_then(|stamps| stamps.settled(now));
        }
        let problem = error.map(|error| Problem {
            path: self.path.clone(),
            modified: stamps.and_then(|stamps| stamps.file.modified()),
            message: error.to_string(),
        });
        Found { value, problem }
    }

    fn stamps(&self) -> Option<Stamps> {
        let file = Stamp::at(&self.path).ok()?;
        Some(Stamps { file, journal: self.journal.as_ref().and_then(|path| Stamp::at(path).ok()) })
    }
}

impl Stamps {
    fn settled(self, now: DateTime<Utc>) -> Option<Self> {
        let journal = self.journal.is_none_or(|journal| journal.settled(now).is_some());
        (self.file.settled(now).is_some() && journal).then_some(self)
    }
}

/// The room on the file system of `directory`; nothing where that does not say.
pub(super) fn storage(directory: &Path) -> Result<Option<super::Storage>, String> {
    let found = room(directory)
        .map_err(|error| format!("{}: file system cannot be asked: {error}", directory.display()))?;
    Ok(found.map(|room| super::Storage { avail_bytes: room.available_bytes, size_bytes: room.size_bytes }))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use qdrant_backup_shared::atomic;
    use qdrant_backup_shared::status_journal::{StatusChange, head};

    use super::*;

    #[test]
    fn what_the_journal_adds_is_seen_and_a_damaged_one_is_a_problem_that_hides_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path(), directory.path());
        let status = Status::new("0.1.0".to_owned(), "db-1".to_owned());
        let bytes = json_file::to_bytes(&status).unwrap();
        atomic::write(&layout.status_file(), 0o640, &bytes).unwrap();
        let later = Stamp::at(&layout.status_file()).unwrap().modified().unwrap() + TimeDelta::hours(1);
        let mut state = State::new(&layout);
        let changed = |look: &StateLook| look.status.value.as_ref().map(|status| status.source_changed);
        assert_eq!(changed(&state.look(later)), Some(false));

        let mut after = status.clone();
        after.source_changed = true;
        let line = StatusChange::between(&status, &after).unwrap().to_line().unwrap();
        let journal = [head(&bytes).unwrap(), line].concat();
        atomic::write(&layout.status_journal(), 0o640, &journal).unwrap();
        let seen = state.look(later);
        assert!(changed(&seen) == Some(true) && seen.status.problem.is_none());
        let again = state.look(later);
        assert!(Arc::ptr_eq(&seen.status.value.unwrap(), &again.status.value.unwrap()), "from memory");

        atomic::write(&layout.status_journal(), 0o640, &[journal.as_slice(), b"{]\n"].concat()).unwrap();
        let damaged = state.look(later);
        assert_eq!(changed(&damaged), Some(true), "what came before the damage");
        let problem = damaged.status.problem.unwrap().message;
        assert!(problem.contains("status.json.journal:3: not a valid status journal"), "{problem}");
    }

    #[test]
    fn a_state_directory_that_is_a_link_into_the_void_is_a_problem_and_not_before_the_first_run() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("state");
        let mut state = State::new(&Layout::new(directory.path(), &link));
        let look = state.look(DateTime::UNIX_EPOCH);
        assert!(look.status.value.is_none() && look.status.problem.is_none(), "nothing ever ran");
        std::os::unix::fs::symlink(directory.path(), &link).unwrap();
        let look = state.look(DateTime::UNIX_EPOCH);
        assert!(
            look.status.value.is_none() && look.status.problem.is_none(),
            "nothing ever ran there either"
        );
        std::fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink("/nowhere/at/all", &link).unwrap();
        let problem = state.look(DateTime::UNIX_EPOCH).status.problem.unwrap().message;
        assert!(problem.contains("a link to /nowhere/at/all, which does not exist"), "{problem}");
    }
}
