//! The backup of one collection, from the first request to the manifest.

use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::manifest::{Manifest, Scope, ServerChecksum};
use qdrant_backup_shared::operation::{Outcome, Stage};
use qdrant_backup_shared::run_report::CollectionReport;
use qdrant_backup_shared::{CollectionName, FailureKind, ShardKey, shard_key};
use tokio::task::spawn_blocking;

use super::before::{After, Before, Counts, inspect, look_again};
use super::describe::describe;
use super::error::BackupError;
use super::node::Part;
use super::part::obtain;
use super::run::Run;
use super::taken::{Taken, TakenArchive};
use super::work::Work;
use super::{guards, leftovers, shards};
use crate::archive::inspect::config_params_differ;
use crate::archive::write::{Received, StreamError};
use crate::qdrant::{Client, Subject};
use crate::store;

/// Maximum time for cleaning up on the server after an interruption.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// How the work on a collection ended.
pub enum Ended {
    /// There is something to report.
    Reported(Box<CollectionReport>),
    /// The collection was deleted in the meantime, so there is nothing to back up.
    Dropped(CollectionName),
}

/// Backs up `collection` and reports the outcome. Never stops the run.
pub async fn back_up(run: &Run<'_>, collection: &CollectionName) -> Ended {
    let started_at = run.session.now();
    let begun = Instant::now();
    let work = Work::begin(run, collection);

    let mut result = attempt(run, &work, started_at).await;
    let mut dropped = is_dropped(run, collection, &result).await;
    if !dropped
        && let Err(error) = result.as_ref().map(|_| ())
        && error.calls_for_a_new_beginning()
    {
        // It was deleted and created again, its shards have changed, or someone deleted its snapshot.
        run.session.warn(format!(
            "\"{collection}\": {error}; the collection still exists, so starting its backup again"
        ));
        tidy_server(run, &work, false).await;
        work.enter(Stage::Inspect);
        result = attempt(run, &work, started_at).await;
        dropped = is_dropped(run, collection, &result).await;
    }

    let interrupted = matches!(&result, Err(error) if error.kind() == FailureKind::Interrupted);
    work.enter(Stage::Cleanup);
    // The server may be slow, and the status should show what the run is waiting for.
    run.session.show_status();
    tidy_server(run, &work, interrupted).await;
    if dropped {
        run.session.leave(collection);
        run.session
            .warn(format!("collection \"{collection}\" was deleted during the run: it was not backed up"));
        // A collection without backups.
        store::remove_empty_directory(&run.layout, collection);
        return Ended::Dropped(collection.clone());
    }

    let mut report = CollectionReport::new(collection.clone(), started_at);
    report.duration_seconds = begun.elapsed().as_secs_f64();
    report.stages = work.finish();
    match result {
        Ok(manifest) => {
            report.backup_id = Some(manifest.backup_id);
            report.points = manifest.points_count();
            report.snapshot_size_bytes = Some(manifest.snapshot_size_bytes());
            report.stored_size_bytes = Some(manifest.stored_size_bytes());
            tracing::info!(
                "Backed up {collection}: {} points, {} stored ({} uncompressed), {}",
                manifest.points_told().map_or_else(|| "?".to_owned(), |points| points.to_string()),
                HumanBytes(manifest.stored_size_bytes()),
                HumanBytes(manifest.snapshot_size_bytes()),
                checksum_words(&manifest)
            );
        }
        Err(error) => {
            tracing::error!("Backup of {collection} failed: {}", error.to_failure().message);
            report.outcome = if interrupted { Outcome::Interrupted } else { Outcome::Failed };
            report.failure = Some(error.to_failure());
        }
    }
    run.session.leave(collection);
    run.session.write_status(|status| {
        let entry = status.collections.entry(collection.clone()).or_default();
        entry.enter(&report);
        entry.found();
    });
    Ended::Reported(Box::new(report))
}

/// Whether the failure was caused by a deleted collection. Only the list of collections proves this: a 404 may come from a proxy,
/// and a server does not always answer 404 for a collection that is being deleted.
async fn is_dropped<T>(run: &Run<'_>, collection: &CollectionName, result: &Result<T, BackupError>) -> bool {
    let Err(error) = result else { return false };
    if !error.may_be_a_dropped_collection() {
        return false;
    }
    let client = run.context.client.clone();
    let client = if error.is_not_found() { client } else { client.asking_once() };
    match client.collections().await {
        Ok(listed) => !listed.contains(collection),
        Err(error) => {
            tracing::debug!("{error}");
            false
        }
    }
}

fn checksum_words(manifest: &Manifest) -> &'static str {
    let matched = manifest.archives.iter().all(|archive| archive.server_checksum == ServerChecksum::Matched);
    if matched { "checksum matches the server's" } else { "no checksum from the server" }
}

async fn attempt(
    run: &Run<'_>,
    work: &Work<'_, '_>,
    started_at: DateTime<Utc>,
) -> Result<Manifest, BackupError> {
    let collection = work.collection;
    let before = inspect(run, collection).await?;
    run.check_disk()?;
    let id = store::prepare(&run.layout, collection, started_at)
        .map_err(BackupError::io("creating the collection's directory"))?;
    let taken = match run.cluster.as_ref().zip(before.shards.as_ref()) {
        Some((cluster, table)) => shards::take(run, cluster, work, id, &before, table).await?,
        None => take_whole(run, work, id, &before).await?,
    };
    work.enter(Stage::Commit);
    let (manifest, files) = describe(run, collection, id, started_at, before.points, taken);
    let layout = run.layout.clone();
    // Other downloads continue during disk operations.
    let committing = spawn_blocking(move || store::commit(&layout, files, &manifest).map(|()| manifest));
    let committed = committing.await.map_err(|error| StreamError::Internal(error.to_string()))?;
    committed.map_err(BackupError::io("moving the archive into place"))
}

/// One snapshot of the whole collection, from the configured node.
async fn take_whole(
    run: &Run<'_>,
    work: &Work<'_, '_>,
    id: BackupId,
    before: &Before,
) -> Result<Taken, BackupError> {
    let collection = work.collection;
    let compression = run.context.options.compression;
    let path = run.layout.archive(collection, id, &compression.encoding());
    let part = Part { node: Rc::clone(&run.main), subject: Subject::whole(collection) };
    let mut after = After::default();
    let made = async || {
        after = look_again(run, collection, before).await?;
        Ok(())
    };
    let obtained = obtain(run, &part, &path, work, made).await?;
    let received = &obtained.received;
    let counts = Counts::of(before.points, after.points);
    guards::check_contents(&received.inspection, &before.cluster, counts.at_least())?;
    for oddity in received.inspection.findings.iter().take(3) {
        run.session.warn(format!("\"{collection}\": unusual snapshot: {oddity}"));
    }
    let config = settled_config(run, collection, &before.config, received).await?;
    let shard_keys = received.inspection.shard_keys();
    let shard_ids = received.inspection.shards_with_segments();
    note_sharding(run, collection, shard_keys.as_deref());
    let (peer_id, url) = (before.cluster.peer_id, run.context.client.url().to_owned());
    Ok(Taken {
        archives: vec![TakenArchive::of(Scope::Collection, shard_ids, peer_id, url, compression, obtained)],
        after,
        config,
        payload_schema: before.payload_schema.clone(),
        shard_count: before.cluster.shard_count,
        shard_keys,
    })
}

/// The configuration for the manifest. If it was changed between our request and the snapshot, the snapshot's configuration is
/// used; otherwise a verification would report another collection.
async fn settled_config(
    run: &Run<'_>,
    collection: &CollectionName,
    asked: &serde_json::Value,
    received: &Received,
) -> Result<Option<serde_json::Value>, BackupError> {
    let Some(inside) = &received.inspection.config else { return Ok(Some(asked.clone())) };
    if !config_params_differ(inside, asked) {
        return Ok(Some(asked.clone()));
    }
    let again = run.context.client.collection_info(collection).await?.config;
    if !config_params_differ(inside, &again) {
        return Ok(Some(again));
    }
    run.session.warn(format!(
        "\"{collection}\": the snapshot's configuration differs from the one that the server reports; is it being changed?"
    ));
    Ok(None)
}

/// Explains how to restore the backup of a collection with custom sharding: as a warning for the first backup, then only in the
/// log.
fn note_sharding(run: &Run<'_>, collection: &CollectionName, keys: Option<&[ShardKey]>) {
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return };
    let note = format!(
        "\"{collection}\" has custom sharding: its backups can only be restored into a collection with the \
         same shard keys, {}; see docs/recovery.md",
        shard_key::list(keys)
    );
    let told = run.session.with(|session| {
        let backups = session.catalog().collections.get(collection);
        backups.is_some_and(|all| all.iter().any(|backup| backup.remarks().shard_keys.is_some()))
    });
    if told {
        tracing::info!("{note}");
    } else {
        run.session.warn(note);
    }
}

/// Deletes our snapshots on the nodes, whether the backup succeeded or not, because they fill the disks of the servers.
async fn tidy_server(run: &Run<'_>, work: &Work<'_, '_>, interrupted: bool) {
    let collection = work.collection;
    let nodes: Vec<Client> = run
        .clients()
        .into_iter()
        .map(|client| if interrupted { client.for_cleanup(LAST_REQUESTS) } else { client })
        .collect();
    if run.context.options.keep_server_snapshots {
        run.session.amend_status(|status| {
            status.undeleted_snapshots.retain(|entry| {
                entry.collection != *collection || !nodes.iter().any(|node| node.url() == entry.node_url)
            });
        });
        return;
    }
    for adopted in work.take_adopted() {
        leftovers::reconsider_adopted(run, &nodes, adopted).await;
    }
    leftovers::clean_up(run, &nodes, collection).await;
}
