//! One snapshot put onto a server: uploaded, tidied up after, settled, counted. Restores and drills do this alike.

use std::time::Duration;

use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::{CollectionName, Layout};

use super::by_shard;
use super::count::{Counted, count};
use super::error::RestoreError;
use super::order::{Destination, Put};
use super::read::sole_archive;
use super::settle::settle;
use super::target::TargetState;
use super::upload::{Failed, upload};
use crate::backup::Stages;
use crate::qdrant::{Client, Error, SnapshotName, Subject};
use crate::session::Session;
use crate::session::leftovers::upload as leftover;
use crate::store::lock::ReadersLock;

/// How long tidying up on the server may take after an interruption, for each request.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Putting it there failed.
#[derive(Debug)]
pub struct PutError {
    /// Why.
    pub error: RestoreError,
    /// What has become of the target.
    pub state: TargetState,
}

/// Restores the backup into the target and says what is there then.
///
/// # Crash safety
/// The uploaded file is in the status before it is on the server, so that the next run removes what a killed one left.
/// Whatever happens before the last byte of the request changes nothing on the server.
///
/// # Errors
/// With the state of the target. Nothing of ours is then on the server, or it is in the status as undeleted.
pub async fn put(
    session: &mut Session,
    destination: &Destination,
    put: &Put<'_>,
    stages: &mut Stages,
) -> Result<Counted, PutError> {
    let before = if put.existed { TargetState::Untouched } else { TargetState::Absent };
    let untouched = |error: RestoreError| PutError { error, state: before };
    if put.manifest.is_by_shard() {
        return by_shard::put(session, destination, put, stages).await;
    }
    let archive = sole_archive(put.manifest).map_err(untouched)?;
    let readers = share_readers(session.layout()).await.map_err(untouched)?;
    // A run restores into a collection once, so its id makes the name unique there.
    let name = format!("{}{}.snapshot", leftover::UPLOADED, session.run_id());
    let file_name =
        SnapshotName::new(&name).map_err(|error| untouched(RestoreError::Internal(error.to_string())))?;
    let file = ServerSnapshot {
        collection: put.target.clone(),
        shard_id: None,
        node_url: destination.client.url().to_owned(),
        name,
        checksum: None,
    };
    let subject = Subject::whole(put.target);
    leftover::record(session, &file);

    let uploaded = upload(session, destination, put, &subject, archive, &file_name, stages).await;

    drop(readers);
    if let Err(failed) = uploaded {
        let state = after_failure(session, &destination.client, put, &file, &failed).await;
        return Err(PutError { error: failed.error, state });
    }
    let doubtful = |error: RestoreError| PutError { error, state: TargetState::Doubtful };
    leftover::delete(session, &destination.client, &file, true).await;
    leftover::settle_collection(session, &destination.client, put.target).await;
    stages.enter(Stage::Settle);
    session.enter_stage(Stage::Settle, put.collection());
    let client = &destination.client;
    let caught_up = settle(session, std::slice::from_ref(client), put.target, destination.settle_timeout)
        .await
        .map_err(doubtful)?;
    stages.enter(Stage::Compare);
    session.enter_stage(Stage::Compare, put.collection());
    count(session, client, put, caught_up)
        .await
        .map_err(|error| PutError { state: state_after_count(&error), error })
}

/// A collection with more points than its backup lacks none: somebody has written to it.
pub(super) fn state_after_count(error: &RestoreError) -> TargetState {
    let exceeds = matches!(error, RestoreError::PointsDiffer { found, got, .. } if got > found);
    if exceeds { TargetState::Exceeded } else { TargetState::Doubtful }
}

pub(super) async fn share_readers(layout: &Layout) -> Result<ReadersLock, RestoreError> {
    let path = layout.readers_file();
    let taken = tokio::task::spawn_blocking(move || ReadersLock::share(&path)).await;
    Ok(taken.map_err(|error| RestoreError::Internal(error.to_string()))??)
}

/// Removes what a failed upload left, and finds out what has become of the target.
async fn after_failure(
    session: &mut Session,
    client: &Client,
    put: &Put<'_>,
    file: &ServerSnapshot,
    failed: &Failed,
) -> TargetState {
    let client =
        if failed.error.is_interrupted() { client.for_cleanup(LAST_REQUESTS) } else { client.clone() };
    // Whatever the answer says, it may be a proxy's.
    let unknown = failed.arrived && (!failed.answered || is_restoring(&client, put.target).await);
    if unknown {
        // It may be reading the file, or may not even have it yet: a later run deletes it.
        leftover::note_unanswered(session, file);
        session.warn(format!(
            "the uploaded file {} stays in the server's snapshot directory of \"{}\" until a later run deletes it",
            file.name, file.collection
        ));
        return TargetState::Unknown;
    }
    let kept = failed.arrived && was_kept(&failed.error);
    if put.existed {
        leftover::delete(session, &client, file, kept).await;
        return if failed.arrived { TargetState::Doubtful } else { TargetState::Untouched };
    }
    if !failed.arrived {
        // What it did not get whole, or did not want, it does not keep.
        leftover::forget(session, file);
        return TargetState::Absent;
    }
    match client.exists(put.target).await {
        Ok(false) => {
            leftover::leave_without_collection(session, &client, file).await;
            TargetState::Absent
        }
        Ok(true) => {
            leftover::delete(session, &client, file, kept).await;
            TargetState::Doubtful
        }
        Err(error) => {
            session.warn(format!("{error}; the uploaded file {} may stay on the server", file.name));
            TargetState::Unknown
        }
    }
}

/// Whether the server says that it is restoring into `target`. One that does not tell is believed when it says that it failed.
async fn is_restoring(client: &Client, target: &CollectionName) -> bool {
    client.telemetry().await.ok().and_then(|told| told.restores(target)).is_some_and(|count| count > 0)
}

/// Whether the server has kept what was uploaded, although it could not restore it. What finds no room it does not keep.
fn was_kept(error: &RestoreError) -> bool {
    !matches!(error, RestoreError::Qdrant(Error::Status { message, .. }) if message.contains("processing field"))
}
