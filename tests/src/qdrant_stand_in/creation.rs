//! Creating a snapshot. The work is a task of its own: a client that hangs up does not stop it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::answers::{HangUp, Reply, accepted, bare, error, no_collection, ok};
use super::content::Content;
use super::effect::{Cut, Effect};
use super::request::{Asked, Core};
use super::state::StoredSnapshot;

/// A creation that was asked for.
struct Creation {
    collection: String,
    name: String,
    content: Content,
    replaced_by: Option<Content>,
    points: Option<u64>,
}

pub(crate) async fn create(core: &Arc<Core>, asked: &Asked) -> Result<Reply, HangUp> {
    let Some(creation) = begin(core, asked) else {
        return Ok(no_collection(&asked.route.collection, asked.started));
    };
    if asked.effects.iter().any(|effect| matches!(effect, Effect::CreationNoSpace)) {
        return Ok(no_space(&creation, asked));
    }
    another_appears(core, asked, &creation.collection).await;

    let takes = asked.effect(|effect| match effect {
        Effect::CreationTakes(time) => Some(*time),
        _ => None,
    });
    let cut = asked.effect(|effect| match effect {
        Effect::CreationCut { cut, appears_after } => Some((cut.clone(), *appears_after)),
        _ => None,
    });
    if let Some((cut, appears_after)) = cut {
        if let Some(time) = appears_after {
            tokio::spawn(finish(core.clone(), creation, time));
        }
        return cut_off(&cut).await;
    }

    let task = tokio::spawn(finish(core.clone(), creation, takes.unwrap_or_default()));
    if asked.query.get("wait").map(String::as_str) == Some("false") {
        return Ok(accepted(asked.started));
    }
    match task.await {
        Ok(Some(stored)) => Ok(ok(&described(&stored, asked), asked.started)),
        Ok(None) | Err(_) => Err(HangUp),
    }
}

/// The name and the content are those of the moment of the request.
fn begin(core: &Core, asked: &Asked) -> Option<Creation> {
    let state = core.state();
    let collection = state.find(&asked.route.collection)?;
    let name = collection.name.clone();
    let forced = asked.effect(|effect| match effect {
        Effect::CreationContent(content) => Some(content.clone()),
        _ => None,
    });
    let content = forced.unwrap_or_else(|| collection.content_on(core.node));
    let now = state.clock.now();
    let snapshot = state.snapshot_name(core.node, &name, now);
    let replaced_by = asked.effect(|effect| match effect {
        Effect::ReplacedAfterCreation(content) => Some(content.clone()),
        _ => None,
    });
    let points = asked.effect(|effect| match effect {
        Effect::CreationHoldsPoints(points) => Some(*points),
        _ => None,
    });
    Some(Creation { collection: name, name: snapshot, content, replaced_by, points })
}

/// Writes the snapshot, which takes so long, and puts it into the list.
/// Nothing when the process died meanwhile.
async fn finish(core: Arc<Core>, creation: Creation, takes: Duration) -> Option<StoredSnapshot> {
    let Creation { collection, name, content, replaced_by, points } = creation;
    let process = {
        let mut state = core.state();
        state.process.begin_creation(&collection);
        state.process.id().to_owned()
    };
    sleep(takes).await;
    if core.state().process.id() != process {
        return None;
    }
    let stored = store(&core, &collection, &name, content, points).await;
    core.state().process.end_creation(&collection);
    if let Some(other) = replaced_by {
        store(&core, &collection, &name, other, None).await;
    }
    Some(stored)
}

async fn store(
    core: &Core,
    collection: &str,
    name: &str,
    content: Content,
    points: Option<u64>,
) -> StoredSnapshot {
    let hashed = content.clone();
    let sha256 = spawn_blocking(move || hashed.sha256()).await.unwrap_or_default();
    let mut state = core.state();
    let checksum = (!state.s3).then(|| sha256.clone());
    state.remember_origin(core.node, collection, sha256, points);
    state.store(core.node, collection, name, content, checksum)
}

async fn another_appears(core: &Core, asked: &Asked, collection: &str) {
    let another = asked.effect(|effect| match effect {
        Effect::AnotherSnapshotAppears { seconds_after_request, content } => {
            Some((*seconds_after_request, content.clone()))
        }
        _ => None,
    });
    if let Some((seconds, content)) = another {
        let name = {
            let state = core.state();
            let begun = state.clock.now() + TimeDelta::seconds(seconds);
            state.snapshot_name(core.node, collection, begun)
        };
        store(core, collection, &name, content, None).await;
    }
}

async fn cut_off(cut: &Cut) -> Result<Reply, HangUp> {
    match cut {
        Cut::HangUp => Err(HangUp),
        Cut::Status(status) => Ok(bare(*status, "upstream timed out")),
        Cut::Silence => pending().await,
    }
}

fn described(stored: &StoredSnapshot, asked: &Asked) -> Value {
    let mut description = stored.description();
    for effect in &asked.effects {
        match effect {
            Effect::CreationSize(size) => description["size"] = json!(size),
            Effect::CreationChecksum(Some(checksum)) => description["checksum"] = json!(checksum),
            Effect::CreationChecksum(None) => {
                description.as_object_mut().map(|members| members.remove("checksum"));
            }
            _ => {}
        }
    }
    description
}

fn no_space(creation: &Creation, asked: &Asked) -> Reply {
    let Creation { collection, name, .. } = creation;
    let archive = format!("./storage/tmp/{name}-arc-iLgGRS");
    let target = format!("./snaps/{collection}/{}", name.replace(".snapshot", ".tmp"));
    let message = format!(
        "Service internal error: failed to store snapshot archive to {archive}: Service internal error: \
         Can't move file from {archive} to {target} due to failed to copy file from {archive} to {target}: \
         No space left on device (os error 28)"
    );
    error(500, &message, asked.started)
}
