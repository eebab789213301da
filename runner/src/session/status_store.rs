//! Maintains the status file: reads it once at the start, then writes it completely, or a line in its journal, at every change.
//!
//! The first and the last write are complete, and so are changes that a line cannot express. In between, the status
//! is written completely when the journal has grown as large as the status, so that the total cost is linear in the
//! amount of changes. It is also written completely from time to time for programs that do not know the journal.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::json_file::{self, ReadError};
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::status::Status;
use qdrant_backup_shared::status_journal::{self, StatusChange};
use qdrant_backup_shared::{FailureKind, Layout, Manifest, Repository, atomic, regular_file};

use crate::archive::write::io_kind;

/// A journal may always grow as long as this, in bytes.
const JOURNAL_BYTES: u64 = 64 << 10;
/// The status is written completely at least this often. A large one less often, limited by this rate in bytes per second.
const WHOLE: Duration = Duration::from_secs(60);
const WHOLE_BYTES_PER_SECOND: u64 = 32 << 10;

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
    /// Whether the only cause is a full disk.
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
    journal_path: PathBuf,
    /// The base of the next line, once the status was written completely.
    journal: Option<Journal>,
}

/// The journal of one complete status.
#[derive(Debug)]
struct Journal {
    /// The status with all lines so far.
    written: Status,
    /// The first line, while there is no file yet.
    head: Vec<u8>,
    file: Option<File>,
    bytes: u64,
    whole_bytes: u64,
    whole_at: Instant,
}

impl StatusStore {
    /// Reads the status. If it is torn, has another version or belongs to another user, it is moved aside, and the last successes
    /// are rebuilt from `catalog`; the returned lines report this. If it cannot be moved aside, the work continues anyway.
    ///
    /// # Errors
    /// When it belongs to another backup directory than `repository`.
    pub fn open(
        layout: &Layout,
        catalog: &Catalog,
        repository: &Repository,
        hostname: &str,
        now: DateTime<Utc>,
    ) -> Result<(Self, Vec<String>), ReadError> {
        let path = layout.status_file();
        let mut warnings = Vec::new();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let mut status = match status_journal::read(layout) {
            Ok(kept) => {
                warnings.extend(
                    kept.problem.map(|error| format!("{error}; its contents from there on are lost")),
                );
                kept.status
            }
            Err(error) => {
                let mut fresh = Status::new(version.clone(), hostname.to_owned());
                if !error.is_not_found() {
                    let aside = match move_aside(&path, now) {
                        Ok(aside) => format!("moved aside to {}", aside.display()),
                        Err(problem) => format!("it cannot be moved aside ({problem}) and is replaced"),
                    };
                    warnings.push(format!("{error}; {aside}, last successes taken from the manifests"));
                }
                rebuild(&mut fresh, layout, catalog, repository);
                fresh
            }
        };
        status_journal::check_owner(&status, layout, repository)?;
        status.repository_id = Some(repository.repository_id.clone());
        status.runner_version = version;
        status.hostname = hostname.to_owned();
        let journal_path = layout.status_journal();
        Ok((Self { path, status, last_written: None, journal_path, journal: None }, warnings))
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

    /// Changes the status without writing it, for changes that can wait until the next [`StatusStore::update`].
    pub fn amend(&mut self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status);
    }

    /// Writes the status without a sync, for display: after a power failure, the previous one may be there.
    ///
    /// # Errors
    /// As [`StatusStore::update`].
    pub fn show(&mut self) -> Result<(), StatusError> {
        self.write_with(false)
    }

    /// Records progress of the run. Written at most every 30 s.
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
        self.write_with(true)
    }

    fn write_with(&mut self, durable: bool) -> Result<(), StatusError> {
        // The next attempt also waits after a failure.
        self.last_written = Some(Instant::now());
        // After a failed write, the journal may end in an incomplete line, so nothing is appended.
        if let Some(mut journal) = self.journal.take() {
            match journal.add(&self.journal_path, &self.status, durable) {
                Ok(true) => {
                    self.journal = Some(journal);
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) => tracing::debug!("{}: {error}", self.journal_path.display()),
            }
        }
        self.write_whole().map_err(|source| StatusError { path: self.path.clone(), source })
    }

    fn write_whole(&mut self) -> io::Result<()> {
        let bytes = json_file::to_bytes(&self.status)?;
        atomic::write(&self.path, atomic::JSON_MODE, &bytes)?;
        // It belongs to another status, so it is ignored.
        drop(fs::remove_file(&self.journal_path));
        self.journal = Some(Journal {
            written: self.status.clone(),
            head: status_journal::head(&bytes)?,
            file: None,
            bytes: 0,
            whole_bytes: bytes.len() as u64,
            whole_at: Instant::now(),
        });
        Ok(())
    }
}

impl Drop for StatusStore {
    /// Merges the journal into the status file. If that fails, the journal still has everything.
    fn drop(&mut self) {
        if self.journal.as_ref().is_some_and(|journal| journal.file.is_some()) {
            drop(self.write_whole());
        }
    }
}

impl Journal {
    /// Appends the line for the change from the written status to `status`. Not if the status must be written
    /// completely.
    fn add(&mut self, path: &Path, status: &Status, durable: bool) -> io::Result<bool> {
        let interval = WHOLE.max(Duration::from_secs(self.whole_bytes / WHOLE_BYTES_PER_SECOND));
        let is_short = self.bytes < self.whole_bytes.max(JOURNAL_BYTES);
        if !is_short || self.whole_at.elapsed() >= interval {
            return Ok(false);
        }
        let Some(change) = StatusChange::between(&self.written, status) else { return Ok(false) };
        let line = change.to_line()?;
        match &mut self.file {
            Some(file) => {
                file.write_all(&line)?;
                if durable {
                    file.sync_data()?;
                }
                self.bytes += line.len() as u64;
            }
            None => {
                let first = [self.head.as_slice(), &line].concat();
                atomic::write(path, atomic::JSON_MODE, &first)?;
                let mut file = regular_file::open_or_create(path, atomic::JSON_MODE)?;
                file.seek(SeekFrom::End(0))?;
                self.file = Some(file);
                self.bytes = first.len() as u64;
            }
        }
        change.make(&mut self.written).map_err(io::Error::other)?;
        Ok(true)
    }
}

/// The status, for readers without the lock. None before the first run.
///
/// # Errors
/// When the status cannot be read.
pub fn look(layout: &Layout) -> Result<Option<Status>, ReadError> {
    match status_journal::read_own(layout) {
        Ok(kept) => {
            if let Some(problem) = kept.problem {
                tracing::warn!("{problem}; its contents from there on are unknown");
            }
            Ok(Some(kept.status))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn move_aside(path: &Path, now: DateTime<Utc>) -> io::Result<PathBuf> {
    let mut id = BackupId::at(now);
    loop {
        let aside = path.with_file_name(format!("status.json.unreadable-{id}"));
        match atomic::rename_new(path, &aside) {
            Ok(()) => return Ok(aside),
            Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {
                id = id.next().ok_or(problem)?
            }
            Err(problem) => return Err(problem),
        }
    }
}

/// Rebuilds from the manifests which backup of each collection is the newest good one, and whether one of them is from another
/// server.
fn rebuild(status: &mut Status, layout: &Layout, catalog: &Catalog, repository: &Repository) {
    for (collection, backup) in catalog.newest_good() {
        let manifest = json_file::read::<Manifest>(&layout.manifest(collection, backup.backup_id));
        let archives = manifest.map(|manifest| manifest.archives).unwrap_or_default();
        let peers = archives.iter().filter_map(|archive| archive.peer_id).collect();
        status.source_changed |= repository.is_other_server(&peers);
        let entry = status.collections.entry(collection.clone()).or_default();
        entry.last_success_at = Some(backup.started_at);
        entry.last_attempt_at = Some(backup.started_at);
        entry.last_outcome = Some(Outcome::Success);
        entry.last_backup_id = Some(backup.backup_id);
        entry.points = backup.points_count();
        // A manifest does not prove that the whole operation succeeded, only that it was attempted.
        let history = status.operations.entry(Operation::Backup).or_default();
        history.last_attempt_at = history.last_attempt_at.max(Some(backup.started_at));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]
mod tests {
    use qdrant_backup_shared::CollectionName;
    use qdrant_backup_shared::status::ServerSnapshot;

    use super::*;

    fn open(directory: &Path) -> (StatusStore, Vec<String>) {
        let layout = Layout::new(directory, directory);
        let catalog = Catalog::read(&layout).unwrap();
        let now = "2025-07-15T14:30:00Z".parse().unwrap();
        let repository = Repository::new("repository".to_owned(), now);
        StatusStore::open(&layout, &catalog, &repository, "db-1", now).unwrap()
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

    /// Another run that reads what this one has written.
    fn read(directory: &Path) -> Status {
        let kept = status_journal::read(&Layout::new(directory, directory)).unwrap();
        assert!(kept.problem.is_none(), "{:?}", kept.problem);
        kept.status
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn snapshot(number: usize) -> ServerSnapshot {
        ServerSnapshot {
            collection: CollectionName::new(format!("c{number}")).unwrap(),
            shard_id: None,
            node_url: "http://x/".to_owned(),
            name: format!("{number}.snapshot"),
            checksum: None,
        }
    }

    #[test]
    fn every_change_is_read_back_whether_it_was_written_whole_or_as_a_line() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path());
        store.update(|_| ()).unwrap();
        let journal = directory.path().join("status.json.journal");
        let mut lines = 0;
        for number in 0..300 {
            store
                .update(|status| {
                    status.undeleted_snapshots.push(snapshot(number));
                    status.undeleted_snapshots.push(snapshot(number + 1));
                    if number % 3 > 0 {
                        status.undeleted_snapshots.remove(number / 2);
                    }
                    let name = CollectionName::new(format!("c{}", number % 50)).unwrap();
                    status.collections.entry(name).or_default().points = Some(number as u64);
                    status.operations.entry(Operation::Backup).or_default().runs_total += 1;
                    status.source_changed = number % 7 == 0;
                })
                .unwrap();
            lines += usize::from(journal.exists());
            if number % 50 < 3 {
                assert_eq!(read(directory.path()), *store.get(), "{number}");
            }
        }
        assert!(lines > 280, "{lines} of 300");
        let status = store.get().clone();
        store.update(|status| status.retired_collections.extend(CollectionName::new("gone"))).unwrap();
        assert!(!journal.exists(), "what no line can say is written whole");
        drop(store);
        assert_ne!(read(directory.path()), status);
    }

    #[test]
    fn what_a_killed_run_has_left_of_a_line_is_ignored_and_what_came_before_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path());
        store.update(|_| ()).unwrap();
        for number in 0..3 {
            store.update(|status| status.undeleted_snapshots.push(snapshot(number))).unwrap();
        }
        let journal = directory.path().join("status.json.journal");
        let whole = fs::read(&journal).unwrap();
        let (three, lines) = (store.get().clone(), whole.iter().filter(|byte| **byte == b'\n').count());
        assert_eq!(lines, 4);
        std::mem::forget(store);
        for end in 0..=whole.len() {
            fs::write(&journal, &whole[..end]).unwrap();
            let kept = read(directory.path()).undeleted_snapshots;
            let ends = whole[..end].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(kept[..], three.undeleted_snapshots[..ends.saturating_sub(1)], "cut at {end}");
        }
        let (store, warnings) = open(directory.path());
        assert_eq!((store.get(), warnings), (&three, Vec::new()), "the next run knows it all");
    }

    #[test]
    fn a_journal_of_another_status_is_void_and_a_damaged_one_is_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path());
        store.update(|_| ()).unwrap();
        store.update(|status| status.undeleted_snapshots.push(snapshot(1))).unwrap();
        store.update(|status| status.undeleted_snapshots.push(snapshot(2))).unwrap();
        let path = |name: &str| directory.path().join(name);
        let (status, journal) = (
            fs::read(path("status.json")).unwrap(),
            fs::read_to_string(path("status.json.journal")).unwrap(),
        );
        std::mem::forget(store);

        let damaged =
            journal.replacen("\"undeleted_snapshots\":{", "\"undeleted_snapshots\":{\"gone\":[7],", 2);
        let damaged = damaged.replacen("\"gone\":[7],", "", 1);
        fs::write(path("status.json.journal"), damaged).unwrap();
        let (store, warnings) = open(directory.path());
        assert_eq!(store.get().undeleted_snapshots, [snapshot(1)]);
        assert!(warnings[0].contains("status.json.journal:3: not a valid status journal"), "{warnings:?}");
        drop(store);

        fs::write(path("status.json.journal"), &journal).unwrap();
        fs::write(path("status.json"), [status.as_slice(), b"\n"].concat()).unwrap();
        assert_eq!(read(directory.path()).undeleted_snapshots, [], "an older program wrote meanwhile");
        let (mut store, warnings) = open(directory.path());
        assert_eq!(warnings, Vec::<String>::new());
        store.update(|_| ()).unwrap();
        drop(store);
        assert_eq!(names(directory.path()), ["status.json"]);
    }

    #[test]
    fn whoever_looks_without_the_lock_never_sees_what_was_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path());
        store.update(|_| ()).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..120 {
                    // Every third write is complete.
                    store
                        .update(|status| {
                            status.operations.entry(Operation::Backup).or_default().runs_total += 1;
                            if number % 3 == 0 {
                                status.hostname = format!("db-{number}");
                            }
                        })
                        .unwrap();
                }
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            let mut last = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let seen =
                    read(directory.path()).operations.get(&Operation::Backup).map_or(0, |of| of.runs_total);
                assert!(seen >= last, "{seen} after {last}");
                last = seen;
            }
        });
    }

    #[test]
    fn all_writes_together_are_as_long_as_what_there_is_to_say() {
        let written = |collections: usize| {
            let directory = tempfile::tempdir().unwrap();
            let (mut store, _) = open(directory.path());
            let path = directory.path().join("status.json");
            store.update(|_| ()).unwrap();
            let (mut bytes, mut before) = (0, 0);
            for number in 0..collections * 4 {
                let name = CollectionName::new(format!("c{}", number / 4)).unwrap();
                store.amend(|status| {
                    status.collections.entry(name).or_default().points = Some(number as u64);
                    let snapshots = &mut status.undeleted_snapshots;
                    snapshots.retain(|old| number % 8 > 0 || old.collection.as_str() == "c0");
                    snapshots.push(snapshot(number));
                });
                store.show().unwrap();
                let now =
                    fs::metadata(directory.path().join("status.json.journal")).map_or(0, |file| file.len());
                bytes += if now > before { now - before } else { fs::metadata(&path).unwrap().len() + now };
                before = now;
            }
            bytes
        };
        // Four times as many collections cost about four times as much. Quadratic cost would be sixteen times.
        let (few, many) = (written(300), written(1200));
        assert!(many < 8 * few, "{many} bytes for 1200 collections, {few} for 300");
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
