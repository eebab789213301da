//! The file that every upload leaves in the server's snapshot folder, after success and after failure.
//!
//! It can be deleted through the snapshots API only while there is a collection of that name.

use qdrant_backup_shared::status::ServerSnapshot;

use crate::backup::{Deletion, delete_ours};
use crate::qdrant::{Client, Error};
use crate::session::Session;

/// Records that `leftover` will be on the server, before it is: a run that dies now is followed by one that removes it.
pub fn record(session: &mut Session, leftover: &ServerSnapshot) {
    session.write_status(|status| status.undeleted_snapshots.push(leftover.clone()));
}

/// Forgets it again, because the server never kept it.
pub fn forget(session: &mut Session, leftover: &ServerSnapshot) {
    session.amend_status(|status| status.undeleted_snapshots.retain(|entry| entry != leftover));
}

/// Deletes what earlier runs have recorded as left on this server.
pub async fn settle_earlier(session: &mut Session, client: &Client) {
    let recorded = session.status().undeleted_snapshots.clone();
    for leftover in recorded.iter().filter(|leftover| leftover.node_url == client.url()) {
        tracing::info!("Deleting {}, which an earlier run left on the server", leftover.name);
        delete(session, client, leftover).await;
    }
}

/// Deletes it while the collection exists.
pub async fn delete(session: &mut Session, client: &Client, leftover: &ServerSnapshot) {
    match delete_ours(client, leftover).await {
        Ok(deletion) => {
            if deletion == Deletion::Replaced {
                session.warn(format!(
                    "snapshot {} of \"{}\" on the server is another one than ours was; left alone",
                    leftover.name, leftover.collection
                ));
            }
            forget(session, leftover);
        }
        Err(error) => stays(session, leftover, &error),
    }
}

/// Deletes it where no collection came of the upload: makes one for the moment, and drops it again. The caller has made
/// sure that there is none, and there was none before.
pub async fn delete_without_collection(session: &mut Session, client: &Client, leftover: &ServerSnapshot) {
    let collection = &leftover.collection;
    if let Err(error) = client.create_scratch_collection(collection).await {
        // Whoever made it meanwhile keeps it.
        return if matches!(error, Error::Status { status: 409, .. }) {
            delete(session, client, leftover).await;
        } else {
            stays(session, leftover, &error);
        };
    }
    delete(session, client, leftover).await;
    if let Err(error) = client.delete_collection(collection).await {
        session.warn(format!(
            "{error}; the empty collection \"{collection}\" was made to remove an uploaded file and stays on the server: delete it"
        ));
    }
}

fn stays(session: &mut Session, leftover: &ServerSnapshot, error: &Error) {
    session.warn(format!(
        "{error}; the file {} stays in the server's snapshot folder of \"{}\"",
        leftover.name, leftover.collection
    ));
}
