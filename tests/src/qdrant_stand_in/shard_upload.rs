//! `POST /collections/{c}/shards/{id}/snapshots/upload` after the file has arrived: the file is unpacked, replaces
//! the shard on this node, and is not kept.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::task::spawn_blocking;

use super::aftermath::Priority;
use super::answers::{Reply, error, no_collection, ok};
use super::content::Content;
use super::data::GenuineSnapshot;
use super::effect::Effect;
use super::request::Core;
use super::shard_archive::{Bulk, inspect};
use super::spoil::spoil;

/// The shard to be replaced, and how.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) collection: String,
    pub(crate) shard: String,
    pub(crate) priority: Priority,
}

pub(crate) async fn restore(
    core: &Arc<Core>,
    target: &Target,
    content: Content,
    effects: &[Effect],
    started: Instant,
) -> Reply {
    let name = {
        let state = core.state();
        let Some(collection) = state.find(&target.collection) else {
            return no_collection(&target.collection, started);
        };
        collection.name.clone()
    };
    let missing = || error(404, &format!("Not found: shard {} not found", target.shard), started);
    let Ok(id) = target.shard.parse::<u32>() else { return missing() };
    if core.state().collections.get_mut(&name).and_then(|collection| collection.shard_mut(id)).is_none() {
        return missing();
    }
    core.state().process(core.node).begin_restore(&name);
    let looked_into = content.clone();
    let inspected = spawn_blocking(move || (looked_into.sha256(), inspect(&looked_into))).await;
    let mut state = core.state();
    state.process(core.node).end_restore(&name);
    let (sha256, origin) = match inspected {
        Ok((sha256, Ok(Some(origin)))) => (sha256, origin),
        Ok((_, Ok(None))) => return error(400, "Bad request: Invalid snapshot", started),
        Ok((_, Err(failure))) => {
            let unpacked = format!("storage/tmp/{name}-shard-{id}HnlXzV");
            return error(500, &failure.message_in(&unpacked), started);
        }
        Err(_) => return error(500, "Service internal error: task panicked", started),
    };
    let origin = state.shard_origins.get(&sha256).cloned().unwrap_or(origin);
    let after = state.after_shard_upload;
    let Some(collection) = state.collections.get_mut(&name) else { return no_collection(&name, started) };
    let Some(shard) = collection.shard_mut(id) else { return missing() };
    let before = shard.points_count;
    let within = origin.first_index..origin.first_index + origin.points_count;
    shard.points_count = origin.points_count.saturating_sub(lacking(effects));
    shard.first_index = Some(origin.first_index);
    collection.points = origin.points.beside(&collection.points, &within);
    // A genuine file is returned unchanged when this shard is snapshotted again.
    let genuine = GenuineSnapshot::all().unwrap_or_default().iter().any(|file| file.sha256 == sha256);
    if genuine {
        collection.shard_snapshots.insert(id, content);
    } else {
        collection.shard_snapshots.remove(&id);
        collection.bulk = Bulk { size_bytes: content.size_bytes(), ..collection.bulk };
    }
    collection.content_is_stale = true;
    collection.content_on_node.clear();
    collection.uploaded(id, core.node, before, target.priority, after);
    // Effects on a point of another shard do not apply. Missing points have already been subtracted from this shard.
    let here = |effect: &&Effect| match effect {
        Effect::RestoredLacksPoints(_) => false,
        Effect::RestoredVectorDiffers(index) => within.contains(index),
        _ => true,
    };
    let here: Vec<Effect> = effects.iter().filter(here).cloned().collect();
    spoil(collection, &here);
    state.commit += 1;
    ok(&Value::Null, started)
}

fn lacking(effects: &[Effect]) -> u64 {
    let lacking = effects.iter().filter_map(|effect| match effect {
        Effect::RestoredLacksPoints(points) => Some(*points),
        _ => None,
    });
    lacking.sum()
}
