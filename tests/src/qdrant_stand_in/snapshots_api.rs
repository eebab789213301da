//! The snapshots on the server: listing, deleting, and recovering from a file that is not there.

use serde_json::Value;

use super::answers::{Reply, error, no_collection, ok};
use super::collections_api::bad_json;
use super::request::Asked;
use super::state::State;

pub(crate) fn list(state: &State, asked: &Asked) -> Reply {
    if state.find(&asked.route.collection).is_none() {
        return no_collection(&asked.route.collection, asked.started);
    }
    let snapshots = state.snapshots(asked.node, &state.resolve(&asked.route.collection));
    let descriptions: Vec<Value> = snapshots.iter().map(|snapshot| snapshot.description()).collect();
    ok(&Value::Array(descriptions), asked.started)
}

pub(crate) fn delete(state: &mut State, asked: &Asked) -> Reply {
    if state.find(&asked.route.collection).is_none() {
        return no_collection(&asked.route.collection, asked.started);
    }
    let collection = state.resolve(&asked.route.collection);
    if state.remove(asked.node, &collection, &asked.route.item) {
        return ok(&Value::Bool(true), asked.started);
    }
    error(404, &format!("Not found: Snapshot {} not found", asked.route.item), asked.started)
}

/// The stand-in has no files of its own to recover from, so every location is one that does not exist.
pub(crate) fn recover(asked: &Asked) -> Reply {
    let location = asked.json.as_ref().and_then(|body| body.get("location")).and_then(Value::as_str);
    let Some(location) = location else { return bad_json(asked) };
    let path = location.strip_prefix("file://").unwrap_or(location);
    error(400, &format!("Bad request: Snapshot file \"{path}\" does not exist"), asked.started)
}
