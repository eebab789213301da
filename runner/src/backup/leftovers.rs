//! Leftover snapshots on the server: deleted if they are certainly ours, reported if they may be.

use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::status::{Creating, ServerSnapshot};

use super::adopted::{Adopted, recorded};
use super::awaiting::Fresh;
use super::run::Run;
use crate::qdrant::{Client, Subject};
use crate::session::leftovers::{
    Occasion, Standing, conclude, delete_ours, look, may_be_at_work, still_at_work, unanswered,
};

/// Deletes every recorded snapshot of `collection` on `nodes`, and removes the finished ones from the record. Does not write the
/// status, because the caller has more to write.
pub async fn clean_up(run: &Run<'_>, nodes: &[Client], collection: &CollectionName) {
    clean_up_where(run, nodes, |snapshot| snapshot.collection == *collection).await;
}

/// The same only for `subject`: others of the collection may be in progress.
pub async fn clean_up_of(run: &Run<'_>, nodes: &[Client], subject: &Subject) {
    clean_up_where(run, nodes, |snapshot| Subject::from(snapshot) == *subject).await;
}

async fn clean_up_where(run: &Run<'_>, nodes: &[Client], which: impl Fn(&ServerSnapshot) -> bool) {
    let mut noted = run.session.status(|status| status.undeleted_snapshots.clone());
    noted.retain(which);
    for snapshot in noted {
        let Some(client) = at(nodes, &snapshot.node_url) else { continue };
        let unanswered_at = run.session.status(|status| unanswered(status, &snapshot));
        if may_be_at_work(client, &snapshot, unanswered_at, run.session.now()).await {
            run.session.warn(still_at_work(&snapshot));
            continue;
        }
        let ended = delete_ours(client, &snapshot).await;
        run.session.with(|session| conclude(session, &snapshot, &ended, Occasion::Run));
    }
}

/// Checks again before an adopted snapshot is deleted. If others now match the request, it is unknown which one is ours, so none
/// may be deleted.
pub async fn reconsider_adopted(run: &Run<'_>, nodes: &[Client], adopted: Adopted) {
    let Adopted { creating, snapshot } = adopted;
    let Some(client) = at(nodes, &creating.node_url) else { return };
    let subject = Subject::from(&creating);
    let mut found = match client.snapshots(&subject).await {
        Ok(list) => Fresh::of(&creating, &list).candidates(),
        // If the list cannot be read, nothing is deleted.
        Err(_) => return,
    };
    if found.iter().all(|other| *other == snapshot) {
        return;
    }
    if !found.contains(&snapshot) {
        found.push(snapshot);
    }
    run.session.warn(format!(
        "{} snapshots of {subject} appeared, but only one was requested: deleting none",
        found.len(),
    ));
    let found: Vec<ServerSnapshot> = found.iter().map(|snapshot| recorded(&creating, snapshot)).collect();
    run.session.amend_status(|status| {
        status.undeleted_snapshots.retain(|ours| !found.contains(ours));
        status.suspected_leftovers.extend(found);
    });
}

/// The client for the node at that URL.
fn at<'a>(nodes: &'a [Client], url: &str) -> Option<&'a Client> {
    nodes.iter().find(|client| client.url() == url)
}

/// Handles leftovers of earlier runs: deletes those recorded as ours, and reports those that appeared after a request without an
/// answer.
pub async fn settle_earlier(run: &Run<'_>) {
    let nodes = run.clients();
    let noted = run.session.status(|status| status.undeleted_snapshots.clone());
    let here = noted.iter().filter(|snapshot| at(&nodes, &snapshot.node_url).is_some());
    let mut collections: Vec<CollectionName> = here.map(|snapshot| snapshot.collection.clone()).collect();
    collections.sort();
    collections.dedup();
    for collection in &collections {
        if !run.lists(collection) {
            // This was reported when it happened.
            tracing::info!(
                "Cannot delete what an earlier run left on the server for {collection}: the collection no longer exists"
            );
            continue;
        }
        tracing::info!("Deleting what an earlier run left on the server for {collection}");
        clean_up(run, &nodes, collection).await;
    }
    let unanswered = run.session.status(|status| status.unanswered_creations.clone());
    for creating in &unanswered {
        if let Some(client) = at(&nodes, &creating.node_url) {
            settle_unanswered(run, client, creating).await;
        }
    }
    forget_vanished(run, &nodes).await;
}

async fn settle_unanswered(run: &Run<'_>, client: &Client, creating: &Creating) {
    let list = match client.snapshots(&creating.into()).await {
        Ok(list) => list,
        // The collection was deleted. Its snapshots stay on the disk, and are listed again once a collection with
        // this name exists.
        Err(error) if error.is_not_found() => return,
        Err(error) => {
            run.session.warn(format!(
                "{error}; cannot tell yet whether an interrupted request left a snapshot on the server"
            ));
            return;
        }
    };
    let ours = run.session.status(|status| status.undeleted_snapshots.clone());
    let found: Vec<ServerSnapshot> = Fresh::of(creating, &list)
        .candidates()
        .iter()
        .map(|snapshot| recorded(creating, snapshot))
        .filter(|snapshot| !run.session.status(|status| status.suspected_leftovers.contains(snapshot)))
        .filter(|snapshot| !ours.contains(snapshot))
        .collect();
    for snapshot in &found {
        run.session.warn(format!(
            "snapshot {} of \"{}\" on the server was probably left by an interrupted run; not deleted, because that is not certain",
            snapshot.name, snapshot.collection
        ));
    }
    let age = run.session.now() - creating.requested_at;
    let expired = age.to_std().is_ok_and(|age| age > client.create_timeout());
    let settled = !found.is_empty() || expired;
    run.session.amend_status(|status| {
        status.suspected_leftovers.extend(found);
        if settled {
            status.unanswered_creations.retain(|entry| entry != creating);
        }
    });
}

/// Removes suspected leftovers from the record when the server no longer lists them.
async fn forget_vanished(run: &Run<'_>, nodes: &[Client]) {
    let suspects = run.session.status(|status| status.suspected_leftovers.clone());
    for suspect in &suspects {
        let Some(client) = at(nodes, &suspect.node_url) else { continue };
        // If this cannot be checked, the snapshot may exist.
        let vanished = matches!(look(client, suspect).await, Ok(Standing::Gone | Standing::Replaced));
        if vanished {
            run.session.amend_status(|status| status.suspected_leftovers.retain(|entry| entry != suspect));
        }
    }
}
