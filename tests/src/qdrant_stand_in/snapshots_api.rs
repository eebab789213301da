//! Lists and deletes snapshots, and refuses to recover from a file.

use serde_json::Value;

use super::answers::{Reply, error, no_collection, ok};
use super::collections_api::bad_json;
use super::request::Asked;
use super::state::State;

pub(crate) fn list(state: &State, asked: &Asked) -> Reply {
    if let Some(refused) = missing(state, asked, "local") {
        return refused;
    }
    let snapshots = state.snapshots(asked.node, &asked.folder(state));
    let descriptions: Vec<Value> = snapshots.iter().map(|snapshot| snapshot.description()).collect();
    ok(&Value::Array(descriptions), asked.started)
}

pub(crate) fn delete(state: &mut State, asked: &Asked) -> Reply {
    if let Some(refused) = missing(state, asked, "local or queue proxy") {
        return refused;
    }
    let folder = asked.folder(state);
    if state.remove(asked.node, &folder, &asked.route.item) {
        return ok(&Value::Bool(true), asked.started);
    }
    if !asked.route.shard.is_empty() {
        let path = format!("snapshots/{folder}/{}", asked.route.item);
        return error(404, &format!("Not found: Snapshot {path:?} not found"), asked.started);
    }
    error(404, &format!("Not found: Snapshot {} not found", asked.route.item), asked.started)
}

/// The error if the collection is missing or this node does not have the requested shard.
pub(crate) fn missing(state: &State, asked: &Asked, kinds: &str) -> Option<Reply> {
    let Some(collection) = state.find(&asked.route.collection) else {
        return Some(no_collection(&asked.route.collection, asked.started));
    };
    let id = &asked.route.shard;
    if id.is_empty() {
        return None;
    }
    let Some(shard) = collection.shards.iter().find(|shard| shard.id.to_string() == *id) else {
        return Some(error(404, &format!("Not found: shard {id} not found"), asked.started));
    };
    let message = format!("Wrong input: Shard {id} is not a {kinds} shard");
    (!shard.has_replica_on(asked.node)).then(|| error(400, &message, asked.started))
}

/// The stand-in has no files to recover from, so every location is reported as missing.
pub(crate) fn recover(asked: &Asked) -> Reply {
    let location = asked.json.as_ref().and_then(|body| body.get("location")).and_then(Value::as_str);
    let Some(location) = location else { return bad_json(asked) };
    let path = location.strip_prefix("file://").unwrap_or(location);
    error(400, &format!("Bad request: Snapshot file \"{path}\" does not exist"), asked.started)
}
