//! One run: guards first, then one collection after the other, and a true status whatever happens.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::{CollectionReport, RunReport};
use qdrant_backup_shared::status::{CurrentRun, Status};
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{CollectionName, Failure, FailureKind, Layout, Repository, json_file};

use super::collection::back_up;
use super::error::BackupError;
use super::guards;
use super::leftovers;
use crate::clock::Clock;
use crate::console::Console;
use crate::qdrant::{Alias, Client};
use crate::status_store::{StatusError, StatusStore};
use crate::store;
use crate::stream::Compression;

/// What is to be backed up, and how.
pub struct BackupOptions {
    /// Only these collections; all when empty.
    pub only: Vec<CollectionName>,
    /// Whether the configuration's include and exclude patterns select a collection.
    pub selects: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// How archives are stored.
    pub compression: Compression,
    /// Leave our snapshots on the server.
    pub keep_server_snapshots: bool,
    /// How often a download that failed in passing is begun again.
    pub retries: u32,
    /// For the status: the longest gap that the schedule allows.
    pub schedule_interval: Option<Duration>,
    /// For the status: how long backups are kept.
    pub retention: Option<Duration>,
}

/// Everything that a run is given.
pub struct RunContext {
    /// Where backups and status lie.
    pub layout: Layout,
    /// The node that is backed up.
    pub client: Client,
    /// What time it is.
    pub clock: Clock,
    /// Where progress is shown.
    pub console: Console,
    /// This machine's name.
    pub hostname: String,
    /// What to do.
    pub options: BackupOptions,
}

/// A run could not even begin, so no status tells of it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The backup directory cannot be read.
    #[error("{what}: {source}")]
    Directory {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The status cannot be read.
    #[error(transparent)]
    Status(#[from] StatusError),
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// The report.
    pub report: RunReport,
    /// Whether the status file has it too. If not, monitoring is blind.
    pub recorded: bool,
}

/// A run that is going on. Its parts are in this module's siblings.
pub struct Run<'a> {
    pub(super) context: &'a RunContext,
    pub(super) catalog: Catalog,
    pub(super) aliases: Vec<Alias>,
    pub(super) qdrant_version: Option<String>,
    pub(super) run_id: String,
    store: StatusStore,
    repository: Repository,
    listed: Vec<CollectionName>,
    seen_peers: BTreeSet<u64>,
    warnings: Vec<String>,
    recorded: bool,
}

impl<'a> Run<'a> {
    /// Runs from beginning to end. The caller holds the lock.
    ///
    /// # Errors
    /// Only when the run could not begin; later failures are in the report.
    pub async fn execute(context: &'a RunContext, repository: Repository) -> Result<Finished, RunError> {
        let begun = Instant::now();
        let started_at = context.clock.now();
        let catalog = Catalog::read(&context.layout).map_err(|source| RunError::Directory {
            what: format!("reading {}", context.layout.collections().display()),
            source,
        })?;
        let (store, mut warnings) =
            StatusStore::open(&context.layout, &catalog, &context.hostname, started_at)?;
        warnings.extend(remove_stale(&context.layout, &catalog));
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let mut run = Self {
            context,
            catalog,
            aliases: Vec::new(),
            qdrant_version: None,
            run_id: uuid::Uuid::new_v4().to_string(),
            store,
            repository,
            listed: Vec::new(),
            seen_peers: BTreeSet::new(),
            warnings,
            recorded: true,
        };
        run.note_died();
        run.note_clock(started_at);
        run.begin(started_at);
        let mut collections = Vec::new();
        let failure = run.work(&mut collections).await.err();
        Ok(run.finish(started_at, begun, collections, failure))
    }

    /// The status as it is now.
    pub fn status(&self) -> &Status {
        self.store.get()
    }

    /// Changes the status and writes it; that it cannot be written is said once and fails the run at its end.
    pub fn write_status(&mut self, change: impl FnOnce(&mut Status)) {
        let result = self.store.update(change);
        self.note_write(result);
    }

    /// Changes the status without writing it yet.
    pub fn amend_status(&mut self, change: impl FnOnce(&mut Status)) {
        self.store.amend(change);
    }

    /// Notes progress.
    pub fn heartbeat(&mut self) {
        let clock = self.context.clock;
        let result = self.store.heartbeat(|| clock.now());
        self.note_write(result);
    }

    /// Says what the run is busy with.
    pub fn enter_stage(&mut self, stage: Stage, collection: &CollectionName) {
        let now = self.context.clock.now();
        self.write_status(|status| {
            if let Some(current) = &mut status.current_run {
                current.stage = stage;
                current.collection = Some(collection.clone());
                current.heartbeat_at = now;
            }
        });
    }

    /// Logs a warning and keeps it for the report.
    pub fn warn(&mut self, warning: String) {
        let warning = one_line(&warning);
        tracing::warn!("{warning}");
        self.warnings.push(warning);
    }

    /// Takes note of peers that the server shows, and says at once when none of them is known.
    pub fn see_peers(&mut self, peers: impl Iterator<Item = u64>) {
        let first = self.seen_peers.is_empty();
        self.seen_peers.extend(peers);
        if first && guards::source_changed(&self.repository.known_peer_ids, &self.seen_peers) {
            self.warn(format!(
                "Qdrant at {} is not the server that these backups came from (another server, or a new storage): backing up, \
                 but nothing is pruned until `qdrant-backup accept-source` says that this is right",
                self.context.client.url()
            ));
        }
    }

    fn note_write(&mut self, result: Result<(), StatusError>) {
        if let Err(error) = result {
            if self.recorded {
                self.warn(error.to_string());
            }
            self.recorded = false;
        } else {
            self.recorded = true;
        }
    }

    fn note_died(&mut self) {
        let Some(died) = self.status().current_run.clone() else { return };
        self.warn(format!(
            "the run that began at {} UTC (`{}`, process {}) died without saying so, in stage {}{}",
            died.started_at.format("%Y-%m-%d %H:%M:%S"),
            died.command,
            died.pid,
            died.stage,
            died.collection.as_ref().map(|collection| format!(" of \"{collection}\"")).unwrap_or_default()
        ));
        self.amend_status(|status| {
            status.unanswered_creations.extend(died.creating);
            status.current_run = None;
        });
    }

    fn note_clock(&mut self, now: DateTime<Utc>) {
        let newest = self
            .catalog
            .collections
            .values()
            .flatten()
            .max_by_key(|backup| backup.manifest.started_at)
            .map(|backup| (backup.manifest.started_at, backup.manifest.backup_id));
        if let Some((started_at, id)) = newest.filter(|(started_at, _)| *started_at > now) {
            self.warn(format!(
                "this machine's clock says {} UTC, which is before the newest backup ({id}, begun {} UTC): check the clock",
                now.format("%Y-%m-%d %H:%M:%S"),
                started_at.format("%Y-%m-%d %H:%M:%S")
            ));
        }
    }

    fn begin(&mut self, now: DateTime<Utc>) {
        let options = &self.context.options;
        let run = CurrentRun {
            run_id: self.run_id.clone(),
            command: "backup".to_owned(),
            pid: std::process::id(),
            operation: Operation::Backup,
            stage: Stage::Inspect,
            collection: None,
            creating: None,
            started_at: now,
            heartbeat_at: now,
        };
        let interval = options.schedule_interval.map(|interval| interval.as_secs_f64());
        self.write_status(|status| {
            status.current_run = Some(run);
            status.retention_seconds = options.retention.map(|retention| retention.as_secs());
            status.operations.entry(Operation::Backup).or_default().schedule_interval_seconds = interval;
        });
    }

    /// The work itself. Collections that fail are in `reports`; an error is one that ends the run.
    async fn work(&mut self, reports: &mut Vec<CollectionReport>) -> Result<(), Failure> {
        let client = self.context.client.clone();
        store::probe(&self.context.layout).map_err(|source| {
            let what = "the backup directory cannot be written to";
            BackupError::Io { what, source }.to_failure()
        })?;
        // Without room for anything no snapshot is asked for: that it is ours could not even be noted.
        let available = store::available_bytes(self.context.layout.root()).map_err(|source| {
            let what = "asking how much room the disk has";
            BackupError::Io { what, source }.to_failure()
        })?;
        if available < store::RESERVE_BYTES {
            return Err(BackupError::NoRoom { needed: store::RESERVE_BYTES, available }.to_failure());
        }
        let request = |error: crate::qdrant::Error| BackupError::from(error).to_failure();
        let version = client.version().await.map_err(request)?;
        self.qdrant_version = Some(version.clone());
        self.listed = client.collections().await.map_err(request)?;
        if self.listed.is_empty()
            && let Some(message) = guards::emptied_server(client.url(), &self.catalog)
        {
            return Err(Failure { kind: FailureKind::SourceChanged, message: one_line(&message) });
        }
        let (selected, absent) = self.select()?;
        self.aliases = client.aliases().await.map_err(request)?;
        leftovers::settle_earlier(self).await;
        tracing::info!(
            "Backing up {} of {} collections of Qdrant {version} at {} to {}",
            selected.len(),
            self.listed.len(),
            client.url(),
            self.context.layout.root().display()
        );
        for collection in absent {
            reports.push(self.absent(collection));
        }
        for collection in &selected {
            let report = back_up(self, collection).await;
            let interrupted = report.outcome == Outcome::Interrupted;
            let failure = report.failure.clone();
            reports.push(report);
            if interrupted {
                let message = "interrupted by a signal".to_owned();
                return Err(failure.unwrap_or(Failure { kind: FailureKind::Interrupted, message }));
            }
        }
        Ok(())
    }

    /// The collections to back up, and those asked for by name that are not there.
    fn select(&self) -> Result<(Vec<CollectionName>, Vec<CollectionName>), Failure> {
        let options = &self.context.options;
        if !options.only.is_empty() {
            return Ok(options.only.iter().cloned().partition(|name| self.listed.contains(name)));
        }
        let selected: Vec<CollectionName> =
            self.listed.iter().filter(|name| (options.selects)(name.as_str())).cloned().collect();
        if selected.is_empty() && !self.listed.is_empty() {
            let message = format!(
                "backup.include and backup.exclude select none of the {} collections on the server, so nothing was backed up",
                self.listed.len()
            );
            return Err(Failure { kind: FailureKind::NoCollection, message });
        }
        Ok((selected, Vec::new()))
    }

    fn absent(&mut self, collection: CollectionName) -> CollectionReport {
        let failure = BackupError::NoSuchCollection.to_failure();
        tracing::error!("Backup of {collection} failed: {}", failure.message);
        CollectionReport {
            collection,
            outcome: Outcome::Failed,
            started_at: self.context.clock.now(),
            duration_seconds: 0.0,
            backup_id: None,
            points: None,
            snapshot_size_bytes: None,
            stored_size_bytes: None,
            stages: Vec::new(),
            failure: Some(failure),
        }
    }

    fn finish(
        mut self,
        started_at: DateTime<Utc>,
        begun: Instant,
        collections: Vec<CollectionReport>,
        failure: Option<Failure>,
    ) -> Finished {
        let succeeded = collections.iter().filter(|report| report.outcome == Outcome::Success).count();
        let interrupted = failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Interrupted);
        let outcome = match &failure {
            _ if interrupted => Outcome::Interrupted,
            Some(_) => Outcome::Failed,
            None if succeeded == collections.len() => Outcome::Success,
            None if succeeded == 0 => Outcome::Failed,
            None => Outcome::Partial,
        };
        if failure.is_none() && self.context.options.only.is_empty() {
            self.note_presence();
        }
        self.remember_peers(succeeded > 0);
        // The interrupted collection carries the interruption already; counting it twice would be wrong.
        let failure =
            failure.filter(|_| !(interrupted && collections.iter().any(|report| report.failure.is_some())));
        let report = RunReport {
            run_id: self.run_id.clone(),
            command: "backup".to_owned(),
            operation: Operation::Backup,
            qdrant_version: self.qdrant_version.clone(),
            started_at,
            completed_at: self.context.clock.now(),
            duration_seconds: begun.elapsed().as_secs_f64(),
            outcome,
            failure,
            collections,
            warnings: self.warnings.clone(),
        };
        self.write_status(|status| {
            status.operations.entry(Operation::Backup).or_default().enter(&report);
            status.last_run = Some(report.clone());
            status.current_run = None;
        });
        Finished { report, recorded: self.recorded }
    }

    /// Notes which collections the server has, and which are gone.
    fn note_presence(&mut self) {
        let known: BTreeSet<CollectionName> =
            self.catalog.collections.keys().chain(self.status().collections.keys()).cloned().collect();
        for collection in known {
            let present = self.listed.contains(&collection);
            let selected = (self.context.options.selects)(collection.as_str());
            let was_gone = self
                .status()
                .collections
                .get(&collection)
                .is_some_and(|entry| entry.on_server == Some(false));
            if !present && !was_gone {
                self.warn(format!(
                    "collection \"{collection}\" has backups and is no longer on the server; they are kept"
                ));
            }
            // What is deliberately left out is neither missing nor too old.
            let on_server = if present && !selected { None } else { Some(present) };
            self.amend_status(|status| {
                status.collections.entry(collection).or_default().on_server = on_server
            });
        }
    }

    /// Remembers new peers of the same cluster, and whether this is another one.
    fn remember_peers(&mut self, backed_up: bool) {
        if self.seen_peers.is_empty() {
            return;
        }
        let changed = guards::source_changed(&self.repository.known_peer_ids, &self.seen_peers);
        self.amend_status(|status| status.source_changed = changed);
        let grown = guards::grown(&self.repository.known_peer_ids, &self.seen_peers);
        if changed || !backed_up || grown == self.repository.known_peer_ids {
            return;
        }
        self.repository.known_peer_ids = grown;
        let path = self.context.layout.repository_file();
        if let Err(error) = json_file::write(&path, &self.repository) {
            self.warn(format!("{}: cannot note the server's peer ids: {error}", path.display()));
        }
    }
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
