//! Restores one snapshot to a server: uploads it, cleans up, waits until it is ready, counts the points. For restores and drills.

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

/// Timeout of each cleanup request after an interruption.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// The restore failed.
#[derive(Debug)]
pub struct PutError {
    /// Why the restore failed.
    pub error: RestoreError,
    /// The state of the target.
    pub state: TargetState,
}

/// Restores the backup into the target, and returns the counted points.
///
/// # Crash safety
/// The uploaded file is in the status before it is on the server, so that the next run deletes the leftovers of a killed one.
/// Nothing changes on the server before the last byte of the request.
///
/// # Errors
/// With the state of the target. Nothing of ours is on the server then, or the status records it as undeleted.
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

/// A collection with more points than its backup is complete: someone has written to it.
pub(super) fn state_after_count(error: &RestoreError) -> TargetState {
    let exceeds = matches!(error, RestoreError::PointsDiffer { found, got, .. } if got > found);
    if exceeds { TargetState::Exceeded } else { TargetState::Doubtful }
}

pub(super) async fn share_readers(layout: &Layout) -> Result<ReadersLock, RestoreError> {
    let path = layout.readers_file();
    let taken = tokio::task::spawn_blocking(move || ReadersLock::share(&path)).await;
    Ok(taken.map_err(|error| RestoreError::Internal(error.to_string()))??)
}

/// Deletes the leftovers of a failed upload, and determines the state of the target.
async fn after_failure(
    session: &mut Session,
    client: &Client,
    put: &Put<'_>,
    file: &ServerSnapshot,
    failed: &Failed,
) -> TargetState {
    let client =
        if failed.error.is_interrupted() { client.for_cleanup(LAST_REQUESTS) } else { client.clone() };
    // The answer may be from a proxy.
    let unknown = failed.arrived && (!failed.answered || is_restoring(&client, put.target).await);
    if unknown {
        // The server may still be reading or receiving the file: a later run deletes it.
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
        // The server does not keep incomplete or refused files.
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

/// Whether the server reports that it is restoring into `target`. If it does not report this, its error answer counts.
async fn is_restoring(client: &Client, target: &CollectionName) -> bool {
    client.telemetry().await.ok().and_then(|told| told.restores(target)).is_some_and(|count| count > 0)
}

/// Whether the server keeps the uploaded file after a failed restore. It does not if its disk is full.
fn was_kept(error: &RestoreError) -> bool {
    !matches!(error, RestoreError::Qdrant(Error::Status { message, .. }) if message.contains("processing field"))
}
