//! Deletes scratch collections, with everything in their snapshot directories.

use std::time::{Duration, Instant};

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::scratch_name::is_scratch_of;

use crate::qdrant::{Client, Error, Subject};
use crate::restore::order::Destination;
use crate::restore::plan::Facts;
use crate::session::Session;

/// Maximum time for each cleanup request.
const CLEANUP: Duration = Duration::from_secs(30);

/// Deletes scratch collections left on the server by killed drills and comparisons of this repository.
pub async fn remove_leftovers(session: &mut Session, destination: &Destination, facts: &Facts) {
    let repository = session.repository().repository_id.clone();
    for scratch in facts.collections.iter().filter(|name| is_scratch_of(name.as_str(), &repository)) {
        tracing::info!(
            "Removing scratch collection \"{scratch}\", which an interrupted run left on the server"
        );
        remove(session, destination, scratch).await;
    }
}

/// Deletes `scratch` with its files, also after an interruption. A failure is a warning; the next drill tries again.
pub async fn remove(session: &mut Session, destination: &Destination, scratch: &CollectionName) {
    let client = destination.client.for_cleanup(CLEANUP);
    if !is_done(destination, &client, scratch).await {
        return session.warn(format!(
            "Qdrant is still restoring \"{scratch}\", which stays on the server until the next drill or comparison removes it"
        ));
    }
    match remove_whole(&client, scratch).await {
        Ok(true) => session.amend_status(|status| {
            status
                .undeleted_snapshots
                .retain(|entry| entry.collection != *scratch || entry.node_url != client.url());
            status
                .unanswered_uploads
                .retain(|upload| upload.file.collection != *scratch || upload.file.node_url != client.url());
        }),
        Ok(false) => {}
        Err(error) => session.warn(format!(
            "{error}; \"{scratch}\" may stay on the server until the next drill or comparison removes it"
        )),
    }
}

/// Waits until the server no longer reports a restore into `scratch`.
async fn is_done(destination: &Destination, client: &Client, scratch: &CollectionName) -> bool {
    let since = Instant::now();
    loop {
        let told = client.telemetry().await.ok().and_then(|told| told.restores(scratch));
        if told.is_none_or(|count| count == 0) {
            return true;
        }
        let expired = since.elapsed() >= destination.settle_timeout;
        if expired || destination.client.pause(Duration::from_secs(1)).await.is_err() {
            return false;
        }
    }
}

/// Deletes a scratch collection and its snapshots, which cannot be deleted later without the collection. True if it existed.
async fn remove_whole(client: &Client, scratch: &CollectionName) -> Result<bool, Error> {
    let subject = Subject::whole(scratch);
    let list = match client.snapshots(&subject).await {
        Ok(list) => list,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error),
    };
    for snapshot in list.snapshots {
        match client.delete_snapshot(&subject, &snapshot.name).await {
            Ok(()) => {}
            // The 404 may be from a proxy. Once the collection is deleted, the file cannot be deleted.
            Err(error) if error.is_not_found() => {
                let left = client.snapshots(&subject).await?.snapshots;
                if left.iter().any(|other| other.name == snapshot.name) {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    client.delete_collection(scratch).await
}
