//! The common parts of every command that writes: it holds the lock, updates the status, and collects warnings.
//!
//! A session is one call of the program. It runs one or several operations (`run` has several) and ends with one report.
//! [`Session::finish`] writes the outcome to the status; after an error or a panic, dropping the session does.
//!
//! Commands on the repository itself (`accept-source`, `prune --retire`) are neither operations nor runs. Their sessions have the
//! same catalog and status, but leave some reports to the next run: see [`Purpose`].

use std::io;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::json_file::{self, ReadError};
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::{CollectionReport, OperationReport, PlaceReport, RunReport};
use qdrant_backup_shared::status::{CurrentRun, Status};
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{CollectionName, Failure, FailureKind, Layout, Repository};

use crate::archive::read::{Elsewhere, Source};
use crate::choice::Present;
use crate::host::clock::Clock;
use crate::session::status_store::{StatusError, StatusStore};
use crate::session::warnings::Warnings;
use crate::store;

/// A session could not start, so it is not in the status.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The backup directory cannot be read.
    #[error("{what}: {source}")]
    Directory {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The status belongs to another backup directory.
    #[error(transparent)]
    OtherDirectory(#[from] ReadError),
}

/// How a session ended.
#[derive(Debug)]
pub struct Finished {
    /// Report of the run, for `--json`, hooks and the status.
    pub report: RunReport,
    /// Whether it is in the status file. If not, monitoring does not see it.
    pub recorded: bool,
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A run: it has operations and a report, and reports a previous run that died.
    Run,
    /// A command run by a person. It does not count as a run: it does not report or clean up after a previous run, and leaves no
    /// report.
    Upkeep,
}

/// One call of the program that holds the lock.
#[derive(Debug)]
pub struct Session {
    layout: Layout,
    source: Source,
    clock: Clock,
    catalog: Catalog,
    repository: Repository,
    store: StatusStore,
    run_id: String,
    command: &'static str,
    /// The previous run, if it died.
    died: Option<CurrentRun>,
    started_at: DateTime<Utc>,
    begun: Instant,
    operations: Vec<OperationReport>,
    /// The operation in progress.
    under_way: Option<Begun>,
    warnings: Warnings,
    recorded: bool,
    lacks_room: bool,
    finished: bool,
}

/// An operation in progress.
#[derive(Debug, Clone)]
#[must_use]
pub struct Begun {
    operation: Operation,
    started_at: DateTime<Utc>,
    since: Instant,
}

impl Session {
    /// Starts a session of `command`: reads the directory and, for a run, deletes temporary files of killed runs and reports a
    /// previous run that died. The caller holds the lock.
    ///
    /// # Errors
    /// When the backup directory cannot be read.
    pub fn open(
        layout: Layout,
        repository: Repository,
        clock: Clock,
        hostname: &str,
        command: &'static str,
        purpose: Purpose,
    ) -> Result<Self, SessionError> {
        let begun = Instant::now();
        let started_at = clock.now();
        let catalog = read_catalog(&layout)?;
        let (store, mut warnings) = StatusStore::open(&layout, &catalog, &repository, hostname, started_at)?;
        if purpose == Purpose::Run {
            warnings.extend(remove_stale(&layout, &catalog));
        }
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let mut session = Self {
            source: Source::here(layout.clone()),
            layout,
            clock,
            catalog,
            repository,
            store,
            run_id: uuid::Uuid::new_v4().to_string(),
            command,
            died: None,
            started_at,
            begun,
            operations: Vec::new(),
            under_way: None,
            warnings: warnings.into(),
            recorded: true,
            lacks_room: false,
            finished: false,
        };
        if purpose == Purpose::Run {
            session.note_died();
            session.note_clock();
        }
        Ok(session)
    }

    /// Paths of the backup directory and the state directory.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The directory that archives are read from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Sets an offsite place as the source of archives. The directory has the manifests of its copies.
    pub fn read_from(&mut self, place: Arc<dyn Elsewhere>) {
        self.source = Source::elsewhere(self.layout.clone(), place);
    }

    /// Current time, from the clock of this run.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The random UUID of this call.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The contents of the backup directory at the start of the session, or when it was last read.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Reads the backup directory again, after an operation that changed it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_again(&mut self) -> Result<(), SessionError> {
        self.catalog = read_catalog(&self.layout)?;
        Ok(())
    }

    /// The previous run, if it died.
    pub fn died(&self) -> Option<&CurrentRun> {
        self.died.as_ref()
    }

    /// The repository description.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Replaces `repository.json`.
    ///
    /// # Errors
    /// When it cannot be written. It is then unchanged, in memory and on disk.
    pub fn change_repository(&mut self, change: impl FnOnce(&mut Repository)) -> io::Result<()> {
        let mut changed = self.repository.clone();
        change(&mut changed);
        json_file::write(&self.layout.repository_file(), &changed)?;
        self.repository = changed;
        Ok(())
    }

    /// The status as it is now.
    pub fn status(&self) -> &Status {
        self.store.get()
    }

    /// What tells the newest backup of a collection.
    pub fn present(&self) -> Present<'_> {
        Present { status: Some(self.status()), now: self.now() }
    }

    /// Changes the status and writes it. A failure is logged once, and makes the run fail at its end.
    pub fn write_status(&mut self, change: impl FnOnce(&mut Status)) {
        let result = self.store.update(change);
        self.note_write(result);
    }

    /// Changes the status and writes it, for work that must not continue without it.
    ///
    /// # Errors
    /// When it cannot be written. The change stays in memory and is written next time.
    pub fn record(&mut self, change: impl FnOnce(&mut Status)) -> Result<(), StatusError> {
        self.store.update(change)
    }

    /// Writes the status for display without a sync, for changes that the next run does not need.
    pub fn show_status(&mut self) {
        let result = self.store.show();
        self.note_write(result);
    }

    /// Whether the status file is up to date.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Whether the status file is not up to date only because the disk is full.
    pub fn lacks_room(&self) -> bool {
        !self.recorded && self.lacks_room
    }

    /// Changes the status without writing it yet.
    pub fn amend_status(&mut self, change: impl FnOnce(&mut Status)) {
        self.store.amend(change);
    }

    /// Records progress. Written at most every 30 s.
    pub fn heartbeat(&mut self) {
        let clock = self.clock;
        let result = self.store.heartbeat(|| clock.now());
        self.note_write(result);
    }

    /// Sets the current stage. Written with the next write.
    pub fn enter_stage(&mut self, stage: Stage, collection: &CollectionName) {
        let now = self.now();
        self.amend_status(|status| {
            if let Some(current) = &mut status.current_run {
                current.stage = stage;
                current.collection = Some(collection.clone());
                current.heartbeat_at = now;
            }
        });
    }

    /// Warns about everything that the catalog could not read, because the requested backup may be among it.
    pub fn warn_of_unreadable(&mut self) {
        let problems: Vec<String> =
            self.catalog.unreadable.iter().map(|entry| entry.problem.clone()).collect();
        for problem in problems {
            self.warn(problem);
        }
    }

    /// Logs a warning and keeps it for the report, up to a limit.
    pub fn warn(&mut self, warning: impl AsRef<str>) {
        let warning = one_line(warning.as_ref());
        tracing::warn!("{warning}");
        self.warnings.add(warning);
    }

    /// Starts an operation, and writes this to the status together with `change`.
    pub fn begin(&mut self, operation: Operation, stage: Stage, change: impl FnOnce(&mut Status)) -> Begun {
        let now = self.now();
        let run = CurrentRun {
            run_id: self.run_id.clone(),
            command: self.command.to_owned(),
            pid: std::process::id(),
            operation: operation.clone(),
            stage,
            collection: None,
            creating: None,
            also_creating: Vec::new(),
            started_at: self.started_at,
            heartbeat_at: now,
        };
        self.write_status(|status| {
            status.current_run = Some(run);
            change(status);
        });
        let begun = Begun { operation, started_at: now, since: Instant::now() };
        self.under_way = Some(begun.clone());
        begun
    }

    /// Ends an operation: determines its outcome and records it in the history. Written with the next write.
    pub fn end(
        &mut self,
        begun: Begun,
        collections: Vec<CollectionReport>,
        failure: Option<Failure>,
        qdrant_version: Option<String>,
    ) {
        let outcome = outcome(&collections, failure.as_ref());
        // The interrupted collection already has the interruption; it must not count twice.
        let told =
            outcome == Outcome::Interrupted && collections.iter().any(|report| report.failure.is_some());
        let report = OperationReport {
            operation: begun.operation,
            qdrant_version,
            started_at: begun.started_at,
            completed_at: self.now(),
            duration_seconds: begun.since.elapsed().as_secs_f64(),
            outcome,
            failure: failure.filter(|_| !told),
            collections,
            places: Vec::new(),
            left_out: None,
        };
        self.enter(report);
    }

    /// Ends an operation on offsite places, as [`Session::end`] does for collections.
    pub fn end_places(&mut self, begun: Begun, places: Vec<PlaceReport>, failure: Option<Failure>) {
        let outcomes = places.iter().map(|place| place.outcome.clone());
        let outcome = match &failure {
            Some(failure) if failure.kind == FailureKind::Interrupted => Outcome::Interrupted,
            Some(_) => Outcome::Failed,
            None => outcomes.reduce(Outcome::and).unwrap_or(Outcome::Success),
        };
        let told = places.iter().any(|place| place.outcome == Outcome::Interrupted);
        let report = OperationReport {
            operation: begun.operation,
            qdrant_version: None,
            started_at: begun.started_at,
            completed_at: self.now(),
            duration_seconds: begun.since.elapsed().as_secs_f64(),
            outcome,
            failure: failure.filter(|_| !told),
            collections: Vec::new(),
            places,
            left_out: None,
        };
        self.enter(report);
    }

    fn enter(&mut self, report: OperationReport) {
        self.under_way = None;
        self.amend_status(|status| {
            status.operations.entry(report.operation.clone()).or_default().enter(&report)
        });
        self.operations.push(report);
    }

    /// The last operation that ended.
    pub fn last_operation(&self) -> Option<&OperationReport> {
        self.operations.last()
    }

    /// Ends the session and writes its report to the status.
    pub fn finish(mut self) -> Finished {
        let report = self.conclude();
        Finished { report, recorded: self.recorded }
    }

    fn conclude(&mut self) -> RunReport {
        self.finished = true;
        let report = RunReport {
            run_id: self.run_id.clone(),
            command: self.command.to_owned(),
            started_at: self.started_at,
            completed_at: self.now(),
            duration_seconds: self.begun.elapsed().as_secs_f64(),
            outcome: overall(self.command, &self.operations),
            operations: self.operations.clone(),
            warnings: self.warnings.lines(),
        };
        self.write_status(|status| {
            status.last_run = Some(report.clone().bounded());
            status.current_run = None;
        });
        report
    }

    fn note_write(&mut self, result: Result<(), StatusError>) {
        match result {
            Ok(()) => self.recorded = true,
            Err(error) => {
                self.lacks_room = error.lacks_room();
                if self.recorded {
                    self.warn(error.to_string());
                }
                self.recorded = false;
            }
        }
    }

    fn note_died(&mut self) {
        let Some(died) = self.status().current_run.clone() else { return };
        self.warn(format!(
            "the run that started at {} UTC (`{}`, process {}) died in stage {}{}",
            died.started_at.format("%Y-%m-%d %H:%M:%S"),
            died.command,
            died.pid,
            died.stage,
            died.collection.as_ref().map(|collection| format!(" of \"{collection}\"")).unwrap_or_default()
        ));
        self.died = Some(died.clone());
        self.amend_status(|status| {
            status.unanswered_creations.extend(died.into_creations());
            status.current_run = None;
        });
    }

    fn note_clock(&mut self) {
        let now = self.started_at;
        let backups = self.catalog.collections.values().flatten();
        let newest = backups
            .max_by_key(|backup| backup.started_at)
            .map(|newest| (newest.started_at, newest.backup_id));
        if let Some((started_at, id)) = newest.filter(|(started_at, _)| *started_at > now) {
            self.warn(format!(
                "this machine's clock says {} UTC, which is before the newest backup ({id}, started {} UTC): check the clock",
                now.format("%Y-%m-%d %H:%M:%S"),
                started_at.format("%Y-%m-%d %H:%M:%S")
            ));
        }
    }
}

impl Drop for Session {
    /// Ends a session that was not finished because of an error or a panic, so that it does not count as died.
    fn drop(&mut self) {
        let ours = |run: &CurrentRun| run.run_id == self.run_id;
        if self.finished || !self.status().current_run.as_ref().is_some_and(ours) {
            return;
        }
        if let Some(begun) = self.under_way.take() {
            let message = "it was stopped by a bug in this program; see its log".to_owned();
            self.end(begun, Vec::new(), Some(Failure { kind: FailureKind::Internal, message }), None);
        }
        self.conclude();
    }
}

/// The combined outcome of the `operations` of `command`. The main operation decides: if no collection was backed up or restored,
/// other operations do not make it a partial success.
pub fn overall<'a>(command: &str, operations: impl IntoIterator<Item = &'a OperationReport>) -> Outcome {
    let asked = if command == "restore" { Operation::Restore } else { Operation::Backup };
    let mut failed = false;
    let outcomes = operations.into_iter().map(|operation| {
        failed |= operation.operation == asked && operation.outcome == Outcome::Failed;
        operation.outcome.clone()
    });
    let all = outcomes.reduce(Outcome::and).unwrap_or(Outcome::Success);
    if failed && all == Outcome::Partial { Outcome::Failed } else { all }
}

fn outcome(collections: &[CollectionReport], failure: Option<&Failure>) -> Outcome {
    let succeeded = collections.iter().filter(|report| report.outcome == Outcome::Success).count();
    match failure {
        Some(failure) if failure.kind == FailureKind::Interrupted => Outcome::Interrupted,
        Some(_) => Outcome::Failed,
        None if succeeded == collections.len() => Outcome::Success,
        None if succeeded == 0 => Outcome::Failed,
        None => Outcome::Partial,
    }
}

fn read_catalog(layout: &Layout) -> Result<Catalog, SessionError> {
    Catalog::read(layout).map_err(|source| SessionError::Directory {
        what: format!("reading {}", layout.collections().display()),
        source,
    })
}

fn remove_stale(layout: &Layout, catalog: &Catalog) -> Option<String> {
    match store::remove_temporary_files(layout, &catalog.temporary) {
        Ok(removed) => {
            for path in removed {
                tracing::info!("Removed {}, which a run that died left behind", path.display());
            }
            None
        }
        Err(error) => Some(format!("cannot remove temporary files of a run that died: {error}")),
    }
}
