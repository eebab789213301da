//! Restores one backup to a server shard by shard, for restores and drills.

use std::collections::BTreeMap;
use std::time::Duration;

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::manifest::Archive;
use qdrant_backup_shared::operation::{Operation, Stage};
use tokio::time::Instant;

use super::make;
use super::nodes::Targets;
use super::progress::{Progress, begun};
use crate::backup::Stages;
use crate::qdrant::{Client, Error, ShardTable, SnapshotName, Subject};
use crate::restore::count::{Counted, count};
use crate::restore::error::RestoreError;
use crate::restore::order::{Destination, Put};
use crate::restore::put::{PutError, share_readers, state_after_count};
use crate::restore::read::shard_archives;
use crate::restore::settle::settle;
use crate::restore::target::TargetState;
use crate::restore::upload::{Failed, upload};
use crate::session::Session;
use crate::session::leftovers::upload as leftover;

const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// Creates the collection, uploads each shard once to a node with it, and waits until every node is ready.
///
/// # Crash safety
/// Each step is in the status before it is on the server, so that the next restore of the same backup continues there. Shard
/// uploads leave no files on the server.
///
/// # Errors
/// With the state of the target.
pub async fn put(
    session: &mut Session,
    destination: &Destination,
    put: &Put<'_>,
    stages: &mut Stages,
) -> Result<Counted, PutError> {
    let client = &destination.client;
    let before = if put.existed { TargetState::Half } else { TargetState::Absent };
    let untouched = |error: RestoreError| PutError { error, state: before };
    let archives = shard_archives(put.manifest).map_err(untouched)?;
    let readers = share_readers(session.layout()).await.map_err(untouched)?;
    let (targets, lost) = Targets::find(destination).await.map_err(|error| untouched(error.into()))?;
    lost.iter().for_each(|warning| session.warn(warning));

    let is_kept = put.by == Operation::Restore;
    let earlier =
        begun(&session.status().restoring, put.manifest, put.target, client.url()).filter(|_| put.existed);
    if put.existed && earlier.is_none() {
        let (target, points) = (put.target.clone(), "unknown".to_owned());
        let error = RestoreError::TargetExistsByShard { target, points };
        return Err(PutError { error, state: TargetState::Untouched });
    }
    let mut progress = Progress::new(
        put.manifest,
        put.target,
        client.url().to_owned(),
        is_kept,
        earlier.unwrap_or_default(),
    );
    progress.write(session);
    stages.enter(Stage::Create);
    session.enter_stage(Stage::Create, put.collection());
    if !put.existed
        && let Err(not_made) = make::create(client, put).await
    {
        if not_made.may_exist {
            return Err(PutError { error: not_made.error, state: TargetState::Half });
        }
        progress.strike(session);
        return Err(PutError { error: not_made.error, state: TargetState::Absent });
    }
    let half = |error: RestoreError| PutError { error, state: TargetState::Half };
    // First, because if a node is down, all requests below fail without naming the shard.
    settled(session, destination, &targets, put.target).await.map_err(half)?;
    make::complete(session, client, &targets, put).await.map_err(half)?;
    let table = settled(session, destination, &targets, put.target).await.map_err(half)?;
    make::check_shards(put.manifest, put.target, &table).map_err(half)?;
    if !targets.is_cluster && table.nodes() > 1 {
        let problem = "its shards are on several nodes, but the server does not list its nodes (GET /cluster); use a URL and a key that may read that"
            .to_owned();
        return Err(half(RestoreError::NotAsRecorded { target: put.target.clone(), problem }));
    }

    upload_all(session, destination, &targets, &table, put, &archives, &mut progress, stages)
        .await
        .map_err(half)?;

    drop(readers);
    make::drop_placeholders(client, put.target, &table).await.map_err(|error| half(error.into()))?;
    stages.enter(Stage::Settle);
    session.enter_stage(Stage::Settle, put.collection());
    let doubtful = |error: RestoreError| PutError { error, state: TargetState::Half };
    let caught_up = settle(session, &targets.clients(), put.target, destination.settle_timeout)
        .await
        .map_err(doubtful)?;
    stages.enter(Stage::Compare);
    session.enter_stage(Stage::Compare, put.collection());
    let counted = count(session, client, put, caught_up).await;
    // Nothing is left to upload, so the count does not matter.
    progress.strike(session);
    counted.map_err(|error| PutError { state: state_after_count(&error), error })
}

/// Uploads the missing shards, one after the other.
#[expect(clippy::too_many_arguments, reason = "the whole of a restore")]
async fn upload_all(
    session: &mut Session,
    destination: &Destination,
    targets: &Targets,
    table: &ShardTable,
    put: &Put<'_>,
    archives: &BTreeMap<u32, &Archive>,
    progress: &mut Progress<'_>,
    stages: &mut Stages,
) -> Result<(), RestoreError> {
    let mut given: BTreeMap<String, usize> = BTreeMap::new();
    for (shard_id, archive) in archives {
        if progress.begun.done.contains(shard_id) {
            tracing::info!("Shard {shard_id} of \"{}\" is already restored; continuing", put.target);
            continue;
        }
        let holders =
            targets.holders(table, *shard_id, |client| given.get(client.url()).copied().unwrap_or(0));
        let holders: Vec<Client> = holders.into_iter().cloned().collect();
        let sent = Sent { shard_id: *shard_id, archive, holders };
        let node = upload_one(session, destination, put, &sent, progress, stages).await.map_err(
            |(node, cause)| {
                let progress = progress.told(archives.keys().copied(), Some(*shard_id));
                RestoreError::Shard { shard_id: *shard_id, node, cause: Box::new(cause), progress }
            },
        )?;
        *given.entry(node).or_default() += 1;
        progress.begun.done.insert(*shard_id);
        progress.write(session);
    }
    Ok(())
}

/// A shard that is to be uploaded.
struct Sent<'a> {
    shard_id: u32,
    archive: &'a Archive,
    /// The nodes that have it, best first.
    holders: Vec<Client>,
}

/// Uploads one shard to the first node that accepts it. Another node is only tried if the first one has received nothing. Returns
/// the URL of the node, and the error if there is one.
async fn upload_one(
    session: &mut Session,
    destination: &Destination,
    put: &Put<'_>,
    sent: &Sent<'_>,
    progress: &mut Progress<'_>,
    stages: &mut Stages,
) -> Result<String, (String, RestoreError)> {
    let subject = Subject::shard(put.target, sent.shard_id);
    let name = format!("{}{}-shard-{}.snapshot", leftover::UPLOADED, session.run_id(), sent.shard_id);
    let own = destination.client.url().to_owned();
    let file_name =
        SnapshotName::new(&name).map_err(|error| (own.clone(), RestoreError::Internal(error.to_string())))?;
    let mut failed = None;
    for client in &sent.holders {
        let url = client.url().to_owned();
        wait_until_idle(destination, client, put.target).await.map_err(|error| (url.clone(), error))?;
        progress.begun.sent.insert(sent.shard_id);
        progress.write(session);
        let there = Destination { client: client.clone(), ..destination.clone() };
        let Err(Failed { error, arrived, answered }) =
            upload(session, &there, put, &subject, sent.archive, &file_name, stages).await
        else {
            return Ok(url);
        };
        if !arrived {
            progress.begun.sent.remove(&sent.shard_id);
            progress.write(session);
        }
        let is_the_nodes =
            matches!(&error, RestoreError::Qdrant(error) if !matches!(error, Error::Interrupted));
        if !is_the_nodes || (arrived && !answered) {
            return Err((url, error));
        }
        if failed.is_none() && sent.holders.len() > 1 {
            session.warn(format!("{error}; trying another node that holds shard {}", sent.shard_id));
        }
        failed = Some((url, error));
    }
    Err(failed.unwrap_or_else(|| {
        let problem = format!("shard {} is on no node that answers", sent.shard_id);
        (own, RestoreError::NotAsRecorded { target: put.target.clone(), problem })
    }))
}

/// Waits while the node is restoring into the collection, so that two uploads never overlap.
async fn wait_until_idle(
    destination: &Destination,
    client: &Client,
    target: &CollectionName,
) -> Result<(), RestoreError> {
    let (since, limit) = (Instant::now(), destination.settle_timeout);
    let mut pause = FIRST_LOOK;
    loop {
        let told = client.telemetry().await.ok().and_then(|told| told.restores(target));
        if told.is_none_or(|count| count == 0) {
            return Ok(());
        }
        if since.elapsed() >= limit {
            let last = format!("{} is still restoring into it", client.url());
            return Err(RestoreError::NotSettled { limit, last });
        }
        client.pause(pause).await?;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// The locations of the new collection's shards, once each has an active copy on a node that answers.
async fn settled(
    session: &mut Session,
    destination: &Destination,
    targets: &Targets,
    target: &CollectionName,
) -> Result<ShardTable, RestoreError> {
    let (client, limit) = (&destination.client, destination.settle_timeout);
    let since = Instant::now();
    let mut pause = FIRST_LOOK;
    loop {
        let table = targets.table(client, target).await?;
        let unsettled = table.unsettled(|peer| targets.answers(peer));
        if unsettled.is_empty() {
            session.heartbeat();
            return Ok(table);
        }
        if since.elapsed() >= limit {
            return Err(RestoreError::NotSettled { limit, last: unsettled.join(", ") });
        }
        client.pause(pause).await?;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}
