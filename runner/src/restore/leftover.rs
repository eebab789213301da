//! The file that every upload leaves in the server's snapshot folder, after success and after failure.
//!
//! It can be deleted through the snapshots API only while there is a collection of that name.

use qdrant_backup_shared::status::ServerSnapshot;

use super::error::RestoreError;
use crate::backup::{Deletion, delete_ours};
use crate::qdrant::{Client, Error};
use crate::session::Session;

/// At most so many files that the server does not list are remembered.
const UNLISTED: usize = 100;

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
        delete(session, client, leftover, false).await;
    }
}

/// Whether the server has kept what was uploaded, although it could not restore it. What finds no room it does not keep.
pub fn was_kept(error: &RestoreError) -> bool {
    !matches!(error, RestoreError::Qdrant(Error::Status { message, .. }) if message.contains("processing field"))
}

/// Deletes it while the collection exists. Of one that was `kept` and is not in the list it is remembered that it stays.
pub async fn delete(session: &mut Session, client: &Client, leftover: &ServerSnapshot, kept: bool) {
    match delete_ours(client, leftover).await {
        Ok(Deletion::Gone) if kept => remember_unlisted(session, leftover),
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
            delete(session, client, leftover, false).await;
        } else {
            stays(session, leftover, &error);
        };
    }
    delete(session, client, leftover, false).await;
    if let Err(error) = client.delete_collection(collection).await {
        session.warn(format!(
            "{error}; the empty collection \"{collection}\" was made to remove an uploaded file and stays on the server: delete it"
        ));
    }
}

/// A server that keeps snapshots in S3 stores an upload on its own disk and lists what is in S3.
fn remember_unlisted(session: &mut Session, leftover: &ServerSnapshot) {
    session.warn(format!(
        "the uploaded file {} stays on the disk of {}, in the snapshot folder of \"{}\": the server does not list it, as servers with \
         snapshots in S3 do not, so it can only be deleted on that disk",
        leftover.name, leftover.node_url, leftover.collection
    ));
    session.amend_status(|status| {
        status.undeleted_snapshots.retain(|entry| entry != leftover);
        status.unlisted_uploads.push(leftover.clone());
        let surplus = status.unlisted_uploads.len().saturating_sub(UNLISTED);
        status.unlisted_uploads.drain(..surplus);
    });
}

fn stays(session: &mut Session, leftover: &ServerSnapshot, error: &Error) {
    session.warn(format!(
        "{error}; the file {} stays in the server's snapshot folder of \"{}\"",
        leftover.name, leftover.collection
    ));
}
