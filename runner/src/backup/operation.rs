//! The backup operation: guards first, then the collections, one after the other or several at a time.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::ready;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use qdrant_backup_shared::collection_name::ImpossibleName;
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::run_report::CollectionReport;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::{CollectionName, Failure, FailureKind};
use tokio::sync::Semaphore;

use super::cluster::Cluster;
use super::collection::{self, Ended};
use super::error::BackupError;
use super::leftovers;
use super::node::Node;
use super::run::{BackupContext, Run};
use super::shared_session::SharedSession;
use super::{files, guards, server_wait};
use crate::host::user::mend;
use crate::qdrant::Error;
use crate::session::Session;
use crate::store;
use qdrant_backup_shared::scratch_name::is_scratch;

/// How often and at which interval to look for a leader: an election takes seconds.
const LEADER_LOOKS: u32 = 6;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// Maximum number of invalid names that are reported separately.
const IMPOSSIBLE_MAX: usize = 20;

/// Backs up, and records the outcome in the session.
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
        layout: session.layout().clone(),
        session: SharedSession::new(session),
        aliases: Vec::new(),
        qdrant_version: None,
        main: Rc::new(Node::new(context.client.clone())),
        cluster: None,
        slots: Semaphore::new(usize::from(options.jobs.get())),
        listed: Vec::new(),
        seen_peers: RefCell::default(),
    };
    let mut collections = Vec::new();
    let failure = run.work(&mut collections).await.err();
    if failure.is_none() && !options.selection.is_named() {
        run.note_presence();
    }
    run.remember_peers(collections.iter().any(|report| report.outcome == Outcome::Success));
    let version = run.qdrant_version.take();
    drop(run);
    session.end(begun, collections, failure, version);
}

impl Run<'_> {
    /// The operation itself. Failed collections are in `reports`; an error ends the run.
    async fn work(&mut self, reports: &mut Vec<CollectionReport>) -> Result<(), Failure> {
        let client = self.context.client.clone();
        // A full disk is reported for each collection, after a look at it: the prune that makes space must know this server.
        if let Err(error) = self.check_disk()
            && error.kind() != FailureKind::NoSpace
        {
            let is_denied = matches!(&error, BackupError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied);
            let advice = mend(self.layout.root()).filter(|_| is_denied);
            let mut failure = error.to_failure();
            failure.message.extend(advice.map(|advice| format!("; {advice}")));
            return Err(failure);
        }
        let limits = store::limits(&self.layout).map_err(|source| {
            let what = "checking the file system of the backup directory";
            BackupError::Io { what, source }.to_failure()
        })?;
        limits.iter().for_each(|limit| self.session.warn(limit));
        let options = &self.context.options;
        if !options.selection.is_named() && !options.include_files.is_empty() {
            // First, because it needs no server.
            reports.push(
                self.session
                    .with(|session| files::back_up(session, &options.include_files, options.compression)),
            );
        }
        let request = |error: Error| BackupError::from(error).to_failure();
        let version = server_wait::version(self).await?;
        self.qdrant_version = Some(version.clone());
        let listing = client.listing().await.map_err(request)?;
        self.listed = listing.names;
        if self.listed.is_empty()
            && listing.impossible.is_empty()
            && let Some(message) = self
                .session
                .with(|session| guards::emptied_server(client.url(), session.catalog(), session.status()))
        {
            return Err(Failure { kind: FailureKind::SourceChanged, message: one_line(&message) });
        }
        self.note_selected();
        self.warn_of_halves();
        let (selected, absent) = self.select()?;
        self.aliases = client.aliases().await.map_err(request)?;
        self.find_nodes().await?;
        leftovers::settle_earlier(self).await;
        tracing::info!(
            "Backing up {} of {} collections from Qdrant {version} at {} to {}",
            selected.len(),
            self.listed.len(),
            client.url(),
            self.layout.root().display()
        );
        for collection in absent {
            reports.push(self.failed(collection, &BackupError::NoSuchCollection));
        }
        if !self.context.options.selection.is_named() {
            reports.extend(self.impossible(listing.impossible));
        }
        let at_once = usize::from(self.context.options.jobs.get());
        let run = &*self;
        let mut under_way = stream::iter(&selected)
            .take_while(|_| ready(!client.is_interrupted()))
            .map(|collection| collection::back_up(run, collection))
            .buffer_unordered(at_once);
        let done = reports.len();
        let mut dropped = Vec::new();
        while let Some(ended) = under_way.next().await {
            match ended {
                Ended::Reported(report) => reports.push(*report),
                Ended::Dropped(collection) => dropped.push(collection),
            }
        }
        drop(under_way);
        let reports = reports.get(done..).unwrap_or_default();
        let interrupted = reports.iter().find(|report| report.outcome == Outcome::Interrupted);
        if interrupted.is_some() || reports.len() + dropped.len() < selected.len() {
            let message = "interrupted by a signal".to_owned();
            let failure = interrupted.and_then(|report| report.failure.clone());
            return Err(failure.unwrap_or(Failure { kind: FailureKind::Interrupted, message }));
        }
        self.note_dropped(&dropped).await
    }

    /// Finds the nodes of the cluster, if the server is in one. If they cannot be read, only the configured node is backed up,
    /// and missing shards are reported for each collection.
    async fn find_nodes(&mut self) -> Result<(), Failure> {
        self.main.meet().await;
        let client = &self.context.client;
        let found = match client.nodes(&self.context.options.nodes).await {
            Ok(found) => found,
            Err(error @ Error::Interrupted) => return Err(BackupError::from(error).to_failure()),
            Err(error) => {
                tracing::info!("{error}; continuing with {} as the only node", client.url());
                None
            }
        };
        let Some(found) = found else { return Ok(()) };
        self.see_peers(found.nodes.iter().map(|node| node.peer_id).chain(found.lost.keys().copied()));
        // This only matters if a shard is on no other node.
        found.warnings().iter().for_each(|warning| self.session.warn(warning));
        let has_leader = found.has_leader;
        self.cluster = Some(Cluster::of(found).await);
        if !has_leader {
            self.wait_for_a_leader().await.map_err(|error| BackupError::from(error).to_failure())?;
        }
        Ok(())
    }

    /// Warns if the cluster has no leader for some time: then this node may lack what others have. There may be no other node any
    /// more, so it is backed up all the same.
    async fn wait_for_a_leader(&self) -> Result<(), Error> {
        let client = &self.context.client;
        for _ in 0..LEADER_LOOKS {
            client.pause(BETWEEN_LOOKS).await?;
            // An error says nothing about the leader.
            if client.cluster().await.is_ok_and(|status| status.has_leader()) {
                return Ok(());
            }
        }
        self.session.warn(format!(
            "the cluster of {} has no leader, because most of its nodes do not answer: what is backed up may be OUT OF DATE; start the other nodes and run the backup again",
            client.url()
        ));
        Ok(())
    }

    /// Records collections that were deleted during the run. A server without any collections has lost them.
    async fn note_dropped(&mut self, dropped: &[CollectionName]) -> Result<(), Failure> {
        if dropped.is_empty() {
            return Ok(());
        }
        let client = &self.context.client;
        let listed = client.collections().await.map_err(|error| BackupError::from(error).to_failure())?;
        if listed.is_empty()
            && let Some(message) = self
                .session
                .with(|session| guards::emptied_server(client.url(), session.catalog(), session.status()))
        {
            return Err(Failure { kind: FailureKind::SourceChanged, message: one_line(&message) });
        }
        let gone: Vec<&CollectionName> = dropped.iter().filter(|name| !listed.contains(name)).collect();
        self.listed.retain(|name| !gone.contains(&name));
        self.session.amend_status(|status| {
            for name in gone {
                if let Some(entry) = status.collections.get_mut(name) {
                    entry.on_server = Some(false);
                }
            }
        });
        self.forget_unsaved();
        Ok(())
    }

    /// The collections to back up, and requested ones that do not exist.
    fn select(&self) -> Result<(Vec<CollectionName>, Vec<CollectionName>), Failure> {
        let selection = &self.context.options.selection;
        if selection.is_named() {
            return Ok(selection.names().iter().cloned().partition(|name| self.listed.contains(name)));
        }
        let selected: Vec<CollectionName> =
            self.listed.iter().filter(|name| self.is_selected(name)).cloned().collect();
        if selected.is_empty() && !self.listed.is_empty() {
            let message = format!(
                "backup.include and backup.exclude select none of the {} collections on the server, so nothing was backed up",
                self.listed.len()
            );
            return Err(Failure { kind: FailureKind::NoCollection, message });
        }
        Ok((selected, Vec::new()))
    }

    /// Whether the configuration selects `collection`.
    fn is_selected(&self, collection: &CollectionName) -> bool {
        self.context.options.selection.selects(collection.as_str()) && !is_scratch(collection.as_str())
    }

    /// Records all selected collections on the server, even those that this run does not back up: without a backup, they are
    /// reported as missing one. Only a run over everything records deleted collections.
    fn note_selected(&self) {
        for collection in self.listed.iter().filter(|name| self.is_selected(name)) {
            self.session.amend_status(|status| {
                if !status.retired_collections.contains(collection) {
                    status.collections.entry(collection.clone()).or_default().found();
                }
            });
        }
    }

    /// Warns about partly restored collections: their backups are incomplete too.
    fn warn_of_halves(&self) {
        let url = self.context.client.url();
        for begun in self.session.status(|status| status.restoring.clone()) {
            if begun.node_url == url && self.lists(&begun.target) {
                self.session.warn(format!(
                    "\"{}\" is only partly restored: the restore of backup {} of \"{}\" into it did not \
                     finish; repeat that restore, which continues where it stopped, or delete the collection",
                    begun.target, begun.backup_id, begun.collection
                ));
            }
        }
    }

    /// A report for each invalid name, up to a limit.
    fn impossible(&self, names: Vec<ImpossibleName>) -> Vec<CollectionReport> {
        let more = names.len().saturating_sub(IMPOSSIBLE_MAX);
        let reported = names.into_iter().take(IMPOSSIBLE_MAX);
        reported
            .map(|name| self.failed(name.stand_in(), &BackupError::ImpossibleName { name, more }))
            .collect()
    }

    /// The report of a collection that could not be processed.
    fn failed(&self, collection: CollectionName, error: &BackupError) -> CollectionReport {
        let failure = error.to_failure();
        tracing::error!("Backup of {collection} failed: {}", failure.message);
        let mut report = CollectionReport::new(collection, self.session.now());
        report.outcome = Outcome::Failed;
        report.failure = Some(failure);
        report
    }

    /// Records which collections exist on the server, and which were deleted.
    fn note_presence(&self) {
        let now = self.session.now();
        let known: BTreeSet<CollectionName> = self.session.with(|session| {
            let stored = session.catalog().collections.keys();
            stored.chain(session.status().collections.keys()).cloned().collect()
        });
        if self.context.options.include_files.is_empty() {
            // They are no longer expected, so they are neither missing nor too old.
            self.session.amend_status(|status| {
                if let Some(files) = status.collections.get_mut(&CollectionName::files()) {
                    files.left_out();
                }
            });
        }
        for collection in known.into_iter().filter(|collection| !collection.is_files()) {
            let present = self.listed.contains(&collection);
            if self.session.status(|status| status.retired_collections.contains(&collection)) {
                if !present {
                    continue;
                }
                self.session
                    .warn(format!("collection \"{collection}\" was retired but is on the server again"));
                self.session.amend_status(|status| {
                    status.retired_collections.retain(|retired| *retired != collection)
                });
            }
            let selected = self.context.options.selection.selects(collection.as_str());
            let was_gone = self.session.status(|status| {
                status.collections.get(&collection).is_some_and(|entry| entry.on_server == Some(false))
            });
            let stored = self.session.with(|session| session.catalog().collections.contains_key(&collection))
                || self.session.status(|status| {
                    status.collections.get(&collection).is_some_and(|entry| entry.last_success_at.is_some())
                });
            if !present && !was_gone && stored {
                self.session.warn(format!(
                    "collection \"{collection}\" is no longer on the server; its backups are kept"
                ));
            }
            self.session.amend_status(|status| {
                let entry = status.collections.entry(collection).or_default();
                match (present, selected) {
                    (true, true) => entry.found(),
                    // It is neither missing nor too old.
                    (true, false) => entry.left_out(),
                    (false, _) => entry.not_found(now),
                }
            });
        }
        self.forget_unsaved();
    }

    /// Removes collections from the status that were never backed up and are now deleted or excluded.
    fn forget_unsaved(&self) {
        let stored: BTreeSet<CollectionName> =
            self.session.with(|session| session.catalog().collections.keys().cloned().collect());
        self.session.amend_status(|status| {
            status.collections.retain(|name, entry| {
                name.is_files()
                    || entry.on_server == Some(true)
                    || entry.last_success_at.is_some()
                    || stored.contains(name)
            })
        });
    }

    /// Stores new peers of the same cluster, and whether this is another server.
    fn remember_peers(&self, backed_up: bool) {
        let seen = self.seen_peers.borrow();
        if seen.is_empty() {
            return;
        }
        let known = self.session.with(|session| session.repository().known_peer_ids.clone());
        let changed = self.session.with(|session| session.repository().is_other_server(&seen));
        self.session.amend_status(|status| status.source_changed = changed);
        let grown = guards::grown(&known, &seen);
        if changed || !backed_up || grown == known {
            return;
        }
        let written = self
            .session
            .with(|session| session.change_repository(|repository| repository.known_peer_ids = grown));
        if let Err(error) = written {
            let path = self.layout.repository_file();
            self.session.warn(format!("{}: cannot store the server's peer ids: {error}", path.display()));
        }
    }
}
