//! Snapshot creation. A separate task does the work, so it continues if the client hangs up.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::answers::{HangUp, Reply, accepted, bare, error, ok};
use super::content::Content;
use super::effect::{Cut, Effect};
use super::node::{StoredSnapshot, folder};
use super::request::{Asked, Core};
use super::snapshots_api::missing;

/// A requested creation.
struct Creation {
    collection: String,
    shard: Option<u32>,
    name: String,
    content: Content,
    replaced_by: Option<Content>,
    points: Option<u64>,
}

pub(crate) async fn create(core: &Arc<Core>, asked: &Asked) -> Result<Reply, HangUp> {
    let creation = match begin(core, asked) {
        Ok(creation) => creation,
        Err(refused) => return Ok(*refused),
    };
    if asked.effects.iter().any(|effect| matches!(effect, Effect::CreationNoSpace)) {
        return Ok(no_space(&creation, asked));
    }
    another_appears(core, asked, &creation).await;

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
            let process = announce(core, &creation);
            tokio::spawn(finish(core.clone(), process, creation, time));
        }
        return cut_off(&cut).await;
    }

    let process = announce(core, &creation);
    let task = tokio::spawn(finish(core.clone(), process, creation, takes.unwrap_or_default()));
    if asked.query.get("wait").map(String::as_str) == Some("false") {
        return Ok(accepted(asked.started));
    }
    match task.await {
        Ok(Some(stored)) => Ok(ok(&described(&stored, asked), asked.started)),
        Ok(None) | Err(_) => Err(HangUp),
    }
}

/// The name and the content are those at the time of the request.
fn begin(core: &Core, asked: &Asked) -> Result<Creation, Box<Reply>> {
    let mut state = core.state();
    if let Some(refused) = missing(&state, asked, "local or queue proxy") {
        return Err(Box::new(refused));
    }
    let name = state.resolve(&asked.route.collection);
    let shard: Option<u32> = asked.route.shard.parse().ok();
    let forced = asked.effect(|effect| match effect {
        Effect::CreationContent(content) => Some(content.clone()),
        _ => None,
    });
    let content = forced.unwrap_or_else(|| state.snapshot_content(core.node, &name, shard));
    let now = state.clock.now();
    let snapshot = state.snapshot_name(core.node, &name, shard, now);
    let replaced_by = asked.effect(|effect| match effect {
        Effect::ReplacedAfterCreation(content) => Some(content.clone()),
        _ => None,
    });
    let points = asked.effect(|effect| match effect {
        Effect::CreationHoldsPoints(points) => Some(*points),
        _ => None,
    });
    Ok(Creation { collection: name, shard, name: snapshot, content, replaced_by, points })
}

/// Registers the creation in the process's telemetry. Returns the process's id.
fn announce(core: &Core, creation: &Creation) -> String {
    let mut state = core.state();
    let process = state.process(core.node);
    process.begin_creation(&creation.collection, creation.shard.is_some());
    process.id().to_owned()
}

/// Writes the snapshot, which takes this long, and adds it to the list. None if the process died in the meantime.
async fn finish(
    core: Arc<Core>,
    process: String,
    creation: Creation,
    takes: Duration,
) -> Option<StoredSnapshot> {
    sleep(takes).await;
    if core.state().process(core.node).id() != process {
        return None;
    }
    let Creation { collection, shard, name, content, replaced_by, points } = creation;
    let stored = store(&core, &collection, shard, &name, content, points).await;
    {
        let mut state = core.state();
        state.process(core.node).end_creation(&collection);
        if let (Some(shard), Some(collection)) = (shard, state.collections.get_mut(&collection)) {
            collection.shard_snapshot_made(shard);
        }
    }
    if let Some(other) = replaced_by {
        store(&core, &collection, shard, &name, other, None).await;
    }
    Some(stored)
}

async fn store(
    core: &Core,
    collection: &str,
    shard: Option<u32>,
    name: &str,
    content: Content,
    points: Option<u64>,
) -> StoredSnapshot {
    let hashed = content.clone();
    let sha256 = spawn_blocking(move || hashed.sha256()).await.unwrap_or_default();
    let mut state = core.state();
    let checksum = (!state.s3).then(|| sha256.clone());
    match shard {
        None => state.remember_origin(core.node, collection, sha256, points),
        Some(shard) => state.remember_shard_origin(collection, shard, sha256, points),
    }
    state.store(core.node, &folder(collection, shard), name, content, checksum)
}

async fn another_appears(core: &Core, asked: &Asked, creation: &Creation) {
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
            state.snapshot_name(core.node, &creation.collection, creation.shard, begun)
        };
        store(core, &creation.collection, creation.shard, &name, content, None).await;
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
    let Creation { collection, shard, name, .. } = creation;
    let folder = folder(collection, *shard);
    let archive = format!("./storage/tmp/{name}-arc-iLgGRS");
    let target = format!("./snaps/{folder}/{}", name.replace(".snapshot", ".tmp"));
    let message = format!(
        "Service internal error: failed to store snapshot archive to {archive}: Service internal error: \
         Can't move file from {archive} to {target} due to failed to copy file from {archive} to {target}: \
         No space left on device (os error 28)"
    );
    error(500, &message, asked.started)
}
