//! The file that every upload leaves in the server's snapshot directory, after success and failure.
//!
//! It can be deleted through the snapshots API only while a collection with this name exists.

use chrono::{DateTime, Utc};
use qdrant_backup_shared::scratch_name::is_scratch_of;
use qdrant_backup_shared::status::{ServerSnapshot, UnansweredUpload};
use qdrant_backup_shared::{CollectionName, Status};

use super::conclusion::{Occasion, conclude, strike};
use super::deletion::{Deletion, delete_ours};
use crate::qdrant::{Client, Error};
use crate::session::Session;

/// The prefix of uploaded files' names.
pub const UPLOADED: &str = "qdrant-backup-";

/// Records `leftover` before it is on the server, so that a later run deletes it if this one dies.
pub fn record(session: &mut Session, leftover: &ServerSnapshot) {
    session.write_status(|status| status.undeleted_snapshots.push(leftover.clone()));
}

/// Removes the record, because it does not exist (any more).
pub fn forget(session: &mut Session, leftover: &ServerSnapshot) {
    session.amend_status(|status| strike(status, leftover));
}

/// Records that its state on the server is unknown.
pub fn note_unanswered(session: &mut Session, leftover: &ServerSnapshot) {
    let upload = UnansweredUpload { file: leftover.clone(), unanswered_at: session.now() };
    session.amend_status(|status| status.unanswered_uploads.push(upload));
}

/// Deletes what earlier runs have recorded as left on this server.
pub async fn settle_server(session: &mut Session, client: &Client) {
    settle_where(session, client, |_| true).await;
}

/// Deletes recorded leftovers in the directory of `collection`, which is reachable again.
pub async fn settle_collection(session: &mut Session, client: &Client, collection: &CollectionName) {
    settle_where(session, client, |leftover| leftover.collection == *collection).await;
}

async fn settle_where(session: &mut Session, client: &Client, which: impl Fn(&ServerSnapshot) -> bool) {
    let mut recorded = session.status().undeleted_snapshots.clone();
    recorded.retain(|leftover| leftover.node_url == client.url() && which(leftover));
    for leftover in &recorded {
        tracing::info!("Deleting {}, which an earlier run left on the server", leftover.name);
        if may_be_at_work(client, leftover, unanswered(session.status(), leftover), session.now()).await {
            session.warn(still_at_work(leftover));
        } else if is_scratch_of(leftover.collection.as_str(), &session.repository().repository_id) {
            delete_of_scratch(session, client, leftover).await;
        } else {
            delete(session, client, leftover, false).await;
        }
    }
}

/// When it became clear that the upload of `leftover` has no answer. None if it has one.
pub fn unanswered(status: &Status, leftover: &ServerSnapshot) -> Option<DateTime<Utc>> {
    let upload = status.unanswered_uploads.iter().find(|upload| upload.file == *leftover);
    upload.map(|upload| upload.unanswered_at)
}

/// Whether the server may still use an uploaded file, so that it must stay: it reports so, or there was no answer and the file
/// may still be in transit through proxies.
pub async fn may_be_at_work(
    client: &Client,
    leftover: &ServerSnapshot,
    unanswered_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> bool {
    if !leftover.name.starts_with(UPLOADED) {
        return false;
    }
    let told = client.telemetry().await.ok().and_then(|told| told.restores(&leftover.collection));
    if told.is_some_and(|count| count > 0) {
        return true;
    }
    let Some(unanswered_at) = unanswered_at else { return false };
    let listed = client
        .snapshots(&leftover.into())
        .await
        .is_ok_and(|list| list.snapshots.iter().any(|snapshot| snapshot.name.as_str() == leftover.name));
    let age = (now - unanswered_at).to_std();
    !listed && age.is_ok_and(|age| age <= client.create_timeout())
}

/// The message in that case.
pub fn still_at_work(leftover: &ServerSnapshot) -> String {
    format!(
        "the server may still be restoring {} into \"{}\"; a later run deletes the file",
        leftover.name, leftover.collection
    )
}

/// Deletes it while the collection exists. If it was `kept` but is not in the list, records that it stays.
pub async fn delete(session: &mut Session, client: &Client, leftover: &ServerSnapshot, kept: bool) {
    let ended = delete_ours(client, leftover).await;
    conclude(session, leftover, &ended, if kept { Occasion::JustUploaded } else { Occasion::Run });
}

/// Handles an upload without a resulting collection. The API can only delete the file while the collection exists, but none is
/// created with a name that is not ours, because someone may be about to restore there.
pub async fn leave_without_collection(session: &mut Session, client: &Client, leftover: &ServerSnapshot) {
    if is_scratch_of(leftover.collection.as_str(), &session.repository().repository_id) {
        delete_of_scratch(session, client, leftover).await;
    } else {
        conclude(session, leftover, &Ok(Deletion::Unreachable), Occasion::Run);
    }
}

/// Deletes the files of our scratch collection. If the collection does not exist, creates it temporarily.
async fn delete_of_scratch(session: &mut Session, client: &Client, leftover: &ServerSnapshot) {
    let collection = &leftover.collection;
    match client.create_scratch_collection(collection).await {
        Ok(()) => {}
        // It is there.
        Err(Error::Status { status: 409, .. }) => return delete(session, client, leftover, false).await,
        Err(error) => return conclude(session, leftover, &Err(error), Occasion::Run),
    }
    delete(session, client, leftover, false).await;
    if let Err(error) = client.delete_collection(collection).await {
        session.warn(format!(
            "{error}; the empty collection \"{collection}\", created to remove an uploaded file, stays on the server: delete it"
        ));
    }
}
