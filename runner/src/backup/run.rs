//! The backup operation: guards first, then one collection after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::CollectionReport;
use qdrant_backup_shared::status::Creating;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{CollectionName, Failure, FailureKind};

use super::collection;
use super::error::BackupError;
use super::leftovers;
use super::{files, guards};
use crate::console::Console;
use crate::drill::is_scratch;
use crate::qdrant::{Alias, Client};
use crate::session::Session;
use crate::store;
use crate::stream::{Compression, Throttle};

/// What is to be backed up, and how.
pub struct BackupOptions {
    /// Only these collections; all when empty.
    pub only: Vec<CollectionName>,
    /// Whether the configuration's include and exclude patterns select a collection.
    pub selects: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// Globs of configuration files that are backed up besides the collections.
    pub include_files: Vec<String>,
    /// How archives are stored.
    pub compression: Compression,
    /// Leave our snapshots on the server.
    pub keep_server_snapshots: bool,
    /// How fast downloads may be.
    pub throttle: Throttle,
    /// How often a download that failed in passing is begun again.
    pub retries: u32,
    /// For the status: the longest gap that the schedule allows.
    pub schedule_interval: Option<Duration>,
    /// For the status: how long backups are kept.
    pub retention: Option<Duration>,
}

/// Everything that the operation is given.
pub struct BackupContext {
    /// The node that is backed up.
    pub client: Client,
    /// Where progress is shown.
    pub console: Console,
    /// What to do.
    pub options: BackupOptions,
}

/// The operation while it goes on. Its parts are in this module's siblings.
pub struct Run<'a> {
    pub(super) context: &'a BackupContext,
    pub(super) session: &'a mut Session,
    pub(super) aliases: Vec<Alias>,
    pub(super) qdrant_version: Option<String>,
    /// The creation without an answer whose snapshot was found in the list, until that is dealt with.
    pub(super) adopted: Option<Creating>,
    listed: Vec<CollectionName>,
    seen_peers: BTreeSet<u64>,
}

/// Backs up, and enters in the session how that ended.
pub async fn back_up(session: &mut Session, context: &BackupContext) {
    let options = &context.options;
    let begun = session.begin(Operation::Backup, Stage::Inspect, |status| {
        status.retention_seconds = options.retention.map(|retention| retention.as_secs());
        let operation = status.operations.entry(Operation::Backup).or_default();
        operation.schedule_interval_seconds =
            options.schedule_interval.map(|interval| interval.as_secs_f64());
    });
    let mut run = Run {
        context,
        session,
        aliases: Vec::new(),
        qdrant_version: None,
        adopted: None,
        listed: Vec::new(),
        seen_peers: BTreeSet::new(),
    };
    let mut collections = Vec::new();
    let failure = run.work(&mut collections).await.err();
    if failure.is_none() && options.only.is_empty() {
        run.note_presence();
    }
    run.remember_peers(collections.iter().any(|report| report.outcome == Outcome::Success));
    let version = run.qdrant_version;
    session.end(begun, collections, failure, version);
}

impl Run<'_> {
    /// Takes note of peers that the server shows, and says at once when none of them is known.
    pub fn see_peers(&mut self, peers: impl Iterator<Item = u64>) {
        let first = self.seen_peers.is_empty();
        self.seen_peers.extend(peers);
        if first && guards::source_changed(&self.session.repository().known_peer_ids, &self.seen_peers) {
            self.session.warn(format!(
                "Qdrant at {} is not the server that these backups came from (another server, or a new storage): backing up, \
                 but nothing is pruned until `qdrant-backup accept-source` says that this is right",
                self.context.client.url()
            ));
        }
    }

    /// The work itself. Collections that fail are in `reports`; an error is one that ends the run.
    async fn work(&mut self, reports: &mut Vec<CollectionReport>) -> Result<(), Failure> {
        let client = self.context.client.clone();
        store::probe(self.session.layout()).map_err(|source| {
            let what = "the backup directory cannot be written to";
            BackupError::Io { what, source }.to_failure()
        })?;
        // Without room for anything no snapshot is asked for: that it is ours could not even be noted.
        let available = store::available_bytes(self.session.layout().root()).map_err(|source| {
            let what = "asking how much room the disk has";
            BackupError::Io { what, source }.to_failure()
        })?;
        if available < store::RESERVE_BYTES {
            return Err(BackupError::NoRoom { needed: store::RESERVE_BYTES, available }.to_failure());
        }
        let options = &self.context.options;
        if options.only.is_empty() && !options.include_files.is_empty() {
            // First, because it needs no server.
            reports.push(files::back_up(self.session, &options.include_files, options.compression));
        }
        let request = |error: crate::qdrant::Error| BackupError::from(error).to_failure();
        let version = client.version().await.map_err(request)?;
        self.qdrant_version = Some(version.clone());
        self.listed = client.collections().await.map_err(request)?;
        if self.listed.is_empty()
            && let Some(message) = guards::emptied_server(client.url(), self.session.catalog())
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
            self.session.layout().root().display()
        );
        for collection in absent {
            reports.push(self.absent(collection));
        }
        for collection in &selected {
            let report = collection::back_up(self, collection).await;
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
        let selected: Vec<CollectionName> = self
            .listed
            .iter()
            .filter(|name| (options.selects)(name.as_str()) && !is_scratch(name.as_str()))
            .cloned()
            .collect();
        if selected.is_empty() && !self.listed.is_empty() {
            let message = format!(
                "backup.include and backup.exclude select none of the {} collections on the server, so nothing was backed up",
                self.listed.len()
            );
            return Err(Failure { kind: FailureKind::NoCollection, message });
        }
        Ok((selected, Vec::new()))
    }

    fn absent(&self, collection: CollectionName) -> CollectionReport {
        let failure = BackupError::NoSuchCollection.to_failure();
        tracing::error!("Backup of {collection} failed: {}", failure.message);
        let mut report = CollectionReport::new(collection, self.session.now());
        report.outcome = Outcome::Failed;
        report.failure = Some(failure);
        report
    }

    /// Notes which collections the server has, and which are gone.
    fn note_presence(&mut self) {
        let known: BTreeSet<CollectionName> = self
            .session
            .catalog()
            .collections
            .keys()
            .chain(self.session.status().collections.keys())
            .cloned()
            .collect();
        if self.context.options.include_files.is_empty() {
            // Nobody asks for them any more, so they are neither missing nor too old.
            self.session.amend_status(|status| {
                if let Some(files) = status.collections.get_mut(&CollectionName::files()) {
                    files.on_server = None;
                }
            });
        }
        for collection in known.into_iter().filter(|collection| !collection.is_files()) {
            let present = self.listed.contains(&collection);
            if self.session.status().retired_collections.contains(&collection) {
                if !present {
                    continue;
                }
                self.session
                    .warn(format!("collection \"{collection}\" was retired and is on the server again"));
                self.session.amend_status(|status| {
                    status.retired_collections.retain(|retired| *retired != collection)
                });
            }
            let selected = (self.context.options.selects)(collection.as_str());
            let was_gone = self
                .session
                .status()
                .collections
                .get(&collection)
                .is_some_and(|entry| entry.on_server == Some(false));
            if !present && !was_gone {
                self.session.warn(format!(
                    "collection \"{collection}\" has backups and is no longer on the server; they are kept"
                ));
            }
            // What is deliberately left out is neither missing nor too old.
            let on_server = if present && !selected { None } else { Some(present) };
            self.session.amend_status(|status| {
                status.collections.entry(collection).or_default().on_server = on_server
            });
        }
    }

    /// Remembers new peers of the same cluster, and whether this is another one.
    fn remember_peers(&mut self, backed_up: bool) {
        if self.seen_peers.is_empty() {
            return;
        }
        let changed = guards::source_changed(&self.session.repository().known_peer_ids, &self.seen_peers);
        self.session.amend_status(|status| status.source_changed = changed);
        let grown = guards::grown(&self.session.repository().known_peer_ids, &self.seen_peers);
        if changed || !backed_up || grown == self.session.repository().known_peer_ids {
            return;
        }
        if let Err(error) = self.session.change_repository(|repository| repository.known_peer_ids = grown) {
            let path = self.session.layout().repository_file();
            self.session.warn(format!("{}: cannot note the server's peer ids: {error}", path.display()));
        }
    }
}
