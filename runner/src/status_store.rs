//! Keeping the status file true: read once at the start, replaced whole at every change.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::status::Status;
use qdrant_backup_shared::{FailureKind, Layout, atomic};

use crate::stream::io_kind;

/// Progress moves the heartbeat at most this often.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// The status file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot be written: {source}; monitoring will not see this run until it can", path.display())]
pub struct StatusError {
    path: PathBuf,
    source: io::Error,
}

impl StatusError {
    /// Whether there is only no room for it.
    pub fn lacks_room(&self) -> bool {
        io_kind(&self.source) == FailureKind::NoSpace
    }
}

/// The status file of the run that holds the lock.
#[derive(Debug)]
pub struct StatusStore {
    path: PathBuf,
    status: Status,
    last_written: Option<Instant>,
}

impl StatusStore {
    /// Reads the status. One that is torn, of another version or another user's is moved aside, and the last successes are
    /// rebuilt from `catalog`; the returned lines say so. One that cannot be moved aside either keeps nobody from working:
    /// a restore least of all.
    pub fn open(
        layout: &Layout,
        catalog: &Catalog,
        hostname: &str,
        now: DateTime<Utc>,
    ) -> (Self, Vec<String>) {
        let path = layout.status_file();
        let mut warnings = Vec::new();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let mut status = match json_file::read::<Status>(&path) {
            Ok(status) => status,
            Err(error) => {
                let mut fresh = Status::new(version.clone(), hostname.to_owned());
                if !error.is_not_found() {
                    let aside = match move_aside(&path, now) {
                        Ok(aside) => format!("moved aside to {}", aside.display()),
                        Err(problem) => format!("it cannot be moved aside ({problem}) and is replaced"),
                    };
                    warnings.push(format!("{error}; {aside}, last successes taken from the manifests"));
                }
                rebuild(&mut fresh, catalog);
                fresh
            }
        };
        status.runner_version = version;
        status.hostname = hostname.to_owned();
        (Self { path, status, last_written: None }, warnings)
    }

    /// The status as it is now.
    pub fn get(&self) -> &Status {
        &self.status
    }

    /// Changes the status and writes it.
    ///
    /// # Errors
    /// When it cannot be written. The change stays in memory and goes out with the next write.
    pub fn update(&mut self, change: impl FnOnce(&mut Status)) -> Result<(), StatusError> {
        change(&mut self.status);
        self.write()
    }

    /// Changes the status without writing it: for what may wait until the next [`StatusStore::update`].
    pub fn amend(&mut self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status);
    }

    /// Writes the status as it is, for whoever looks: after a power failure the one before may be there.
    ///
    /// # Errors
    /// As [`StatusStore::update`].
    pub fn show(&mut self) -> Result<(), StatusError> {
        self.write_with(json_file::write_soon)
    }

    /// Notes that the run makes progress; written at most every 30 s.
    ///
    /// # Errors
    /// As [`StatusStore::update`].
    pub fn heartbeat(&mut self, now: impl FnOnce() -> DateTime<Utc>) -> Result<(), StatusError> {
        if self.last_written.is_some_and(|written| written.elapsed() < HEARTBEAT) {
            return Ok(());
        }
        if let Some(run) = &mut self.status.current_run {
            run.heartbeat_at = now();
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), StatusError> {
        self.write_with(json_file::write)
    }

    fn write_with(&mut self, write: fn(&Path, &Status) -> io::Result<()>) -> Result<(), StatusError> {
        // Also after a failure the next attempt waits for its turn.
        self.last_written = Some(Instant::now());
        write(&self.path, &self.status).map_err(|source| StatusError { path: self.path.clone(), source })
    }
}

fn move_aside(path: &Path, now: DateTime<Utc>) -> io::Result<PathBuf> {
    let mut id = BackupId::at(now);
    loop {
        let aside = path.with_file_name(format!("status.json.unreadable-{id}"));
        match atomic::rename_new(path, &aside) {
            Ok(()) => return Ok(aside),
            Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => id = id.next(),
            Err(problem) => return Err(problem),
        }
    }
}

/// Takes from the manifests what they prove: which backup of each collection is the newest good one.
fn rebuild(status: &mut Status, catalog: &Catalog) {
    for (collection, backup) in catalog.newest_good() {
        let manifest = &backup.manifest;
        let entry = status.collections.entry(collection.clone()).or_default();
        entry.last_success_at = Some(manifest.started_at);
        entry.last_attempt_at = Some(manifest.started_at);
        entry.last_outcome = Some(Outcome::Success);
        entry.last_backup_id = Some(manifest.backup_id);
        entry.points = manifest.points_count();
        // That the whole operation succeeded, with every collection, no single manifest proves; that it was
        // attempted, it does.
        let backup = status.operations.entry(Operation::Backup).or_default();
        backup.last_attempt_at = backup.last_attempt_at.max(Some(manifest.started_at));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn open(directory: &Path) -> (StatusStore, Vec<String>) {
        let layout = Layout::new(directory, directory);
        let catalog = Catalog::read(&layout).unwrap();
        StatusStore::open(&layout, &catalog, "db-1", "2025-07-15T14:30:00Z".parse().unwrap())
    }

    #[test]
    fn an_absent_status_is_new_and_no_warning() {
        let directory = tempfile::tempdir().unwrap();
        let (store, warnings) = open(directory.path());
        assert_eq!(warnings, Vec::<String>::new());
        assert!(store.get().operations.is_empty());
    }

    #[test]
    fn a_torn_or_future_status_is_moved_aside_each_time_under_a_new_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.json");
        for contents in ["{\"schema_version\": 1, \"runner", "{\"schema_version\": 2}"] {
            atomic::write(&path, 0o640, contents.as_bytes()).unwrap();
            let (_, warnings) = open(directory.path());
            assert_eq!(warnings.len(), 1, "{contents}");
            assert!(!path.exists());
        }
        let first = directory.path().join("status.json.unreadable-2025-07-15-14-30-00");
        let second = directory.path().join("status.json.unreadable-2025-07-15-14-30-01");
        assert!(fs::read_to_string(first).unwrap().contains("runner"));
        assert!(fs::read_to_string(second).unwrap().contains('2'));
    }

    #[test]
    fn heartbeats_are_not_written_more_often_than_every_thirty_seconds() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path());
        store.update(|status| status.source_changed = true).unwrap();
        fs::remove_file(directory.path().join("status.json")).unwrap();
        store.heartbeat(|| "2025-07-15T14:30:10Z".parse().unwrap()).unwrap();
        assert!(!directory.path().join("status.json").exists());
    }
}
