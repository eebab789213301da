//! One snapshot put onto a server: uploaded, tidied up after, settled, counted. Restores and drills do this alike.

use std::time::Duration;

use qdrant_backup_shared::manifest::Manifest;
use qdrant_backup_shared::operation::Stage;
use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::{CollectionName, Layout, PointsCount};

use super::error::RestoreError;
use super::leftover;
use super::read::sole_archive;
use super::settle::{compare_count, settle};
use super::target::TargetState;
use super::upload::{Failed, upload};
use crate::archive::Prove;
use crate::backup::Stages;
use crate::console::Console;
use crate::lock::ReadersLock;
use crate::qdrant::{Client, SnapshotName};
use crate::session::Session;

/// How long tidying up on the server may take after an interruption, for each request.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Where to restore to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The node.
    pub client: Client,
    /// Where progress is shown.
    pub console: Console,
    /// Longest wait until a restored collection serves.
    pub settle_timeout: Duration,
}

/// What to put where.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// The backup.
    pub manifest: &'a Manifest,
    /// The collection to restore into.
    pub target: &'a CollectionName,
    /// Whether that collection exists already.
    pub existed: bool,
    /// What has to be right for the server to be sent the last bytes.
    pub prove: Prove,
}

impl Put<'_> {
    /// The collection that was backed up.
    pub fn collection(&self) -> &CollectionName {
        &self.manifest.collection
    }
}

/// Putting it there failed.
#[derive(Debug)]
pub struct PutError {
    /// Why.
    pub error: RestoreError,
    /// What has become of the target.
    pub state: TargetState,
}

/// Restores the backup into the target and gives the number of points there, if the server tells.
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
) -> Result<Option<PointsCount>, PutError> {
    let before = if put.existed { TargetState::Untouched } else { TargetState::Absent };
    let untouched = |error: RestoreError| PutError { error, state: before };
    let archive = sole_archive(put.manifest).map_err(untouched)?;
    let readers = share_readers(session.layout()).await.map_err(untouched)?;
    // A run restores into a collection once, so its id makes the name unique there.
    let name = format!("qdrant-backup-{}.snapshot", session.run_id());
    let file_name =
        SnapshotName::new(&name).map_err(|error| untouched(RestoreError::Internal(error.to_string())))?;
    let file = ServerSnapshot {
        collection: put.target.clone(),
        node_url: destination.client.url().to_owned(),
        name,
        checksum: None,
    };
    leftover::record(session, &file);

    let uploaded = upload(session, destination, put, archive, &file_name, stages).await;

    drop(readers);
    if let Err(failed) = uploaded {
        let state = after_failure(session, &destination.client, put, &file, &failed).await;
        return Err(PutError { error: failed.error, state });
    }
    let doubtful = |error: RestoreError| PutError { error, state: TargetState::Doubtful };
    leftover::delete(session, &destination.client, &file).await;
    stages.enter(Stage::Settle);
    session.enter_stage(Stage::Settle, put.collection());
    settle(session, &destination.client, put.target, destination.settle_timeout).await.map_err(doubtful)?;
    stages.enter(Stage::Compare);
    session.enter_stage(Stage::Compare, put.collection());
    compare_count(session, &destination.client, put.target, put.manifest).await.map_err(doubtful)
}

async fn share_readers(layout: &Layout) -> Result<ReadersLock, RestoreError> {
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
    if failed.arrived && !failed.answered {
        // It may be reading the file: the next run deletes it.
        session.warn(format!(
            "the uploaded file {} stays in the server's snapshot folder of \"{}\" until the next run deletes it",
            file.name, file.collection
        ));
        return TargetState::Unknown;
    }
    if put.existed {
        leftover::delete(session, &client, file).await;
        return if failed.arrived { TargetState::Doubtful } else { TargetState::Untouched };
    }
    if !failed.arrived {
        // What it did not get whole, or did not want, it does not keep.
        leftover::forget(session, file);
        return TargetState::Absent;
    }
    match client.exists(put.target).await {
        Ok(false) => {
            leftover::delete_without_collection(session, &client, file).await;
            TargetState::Absent
        }
        Ok(true) => {
            leftover::delete(session, &client, file).await;
            TargetState::Doubtful
        }
        Err(error) => {
            session.warn(format!("{error}; the uploaded file {} may stay on the server", file.name));
            TargetState::Unknown
        }
    }
}
