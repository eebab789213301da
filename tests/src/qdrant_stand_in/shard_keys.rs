//! Shard keys of collections with custom sharding: list, create, drop.

use serde_json::{Value, json};

use super::answers::{Reply, error, no_collection, ok};
use super::collections_api::bad_json;
use super::placement::spread;
use super::request::Asked;
use super::shard::{Replica, Shard};
use super::state::State;

pub(crate) fn list(state: &State, asked: &Asked) -> Reply {
    let Some(collection) = state.find(&asked.route.collection) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    if !collection.is_custom() {
        return ok(&json!({}), asked.started);
    }
    let keys: Vec<Value> =
        collection.shard_keys().into_iter().map(|(key, _)| json!({ "key": key })).collect();
    ok(&json!({ "shard_keys": keys }), asked.started)
}

/// Its shards get ids after the highest existing one. The first id is 1.
pub(crate) fn create(state: &mut State, asked: &Asked) -> Reply {
    match created(state, asked) {
        Ok(()) => {
            state.commit += 1;
            ok(&json!(true), asked.started)
        }
        Err(refused) => *refused,
    }
}

fn created(state: &mut State, asked: &Asked) -> Result<(), Box<Reply>> {
    let bad = |message: &str| Box::new(error(400, &format!("Bad request: {message}"), asked.started));
    if !state.cluster_enabled {
        return Err(bad("Distributed mode disabled"));
    }
    let body = asked.json.as_ref();
    let (body, key) = body
        .and_then(|body| Some((body, body.get("shard_key")?.clone())))
        .ok_or_else(|| Box::new(bad_json(asked)))?;
    let given =
        |names: &[&str]| names.iter().find_map(|name| body.get(name)).filter(|value| !value.is_null());
    let all: Vec<usize> = (0..state.nodes.len()).collect();
    let placement = match given(&["placement"]).and_then(Value::as_array) {
        None => all,
        Some(peers) if peers.is_empty() => {
            return Err(bad(&format!(
                "Sharding key {key} placement cannot be empty. If you want to use random placement, do not specify placement"
            )));
        }
        Some(peers) => {
            let node = |peer: &Value| {
                let found = peer.as_u64().and_then(|peer_id| state.node_of(peer_id));
                found.ok_or_else(|| bad(&format!("Peer {peer} does not exist")))
            };
            peers.iter().map(node).collect::<Result<_, Box<Reply>>>()?
        }
    };
    let initial = given(&["initial_state"]).and_then(Value::as_str);
    let name = &asked.route.collection;
    let Some(collection) = state.find_mut(name) else {
        return Err(Box::new(no_collection(name, asked.started)));
    };
    if !collection.is_custom() {
        return Err(bad("Shard Key cannot be created with Auto sharding method"));
    }
    if let Some(initial) = initial.filter(|state| !["Active", "Partial"].contains(state)) {
        return Err(bad(&format!("Initial state cannot be {initial}, only Active or Partial are allowed")));
    }
    if collection.shard_keys().iter().any(|(known, _)| *known == key) {
        return Err(bad(&format!("Sharding key {key} already exists for collection {}", collection.name)));
    }
    let params = collection.config["params"].clone();
    let number = |names: &[&str], default: &str| {
        let value = given(names).or_else(|| params.get(default)).and_then(Value::as_u64);
        value.unwrap_or(1).clamp(1, 1024) as u32
    };
    let shards = number(&["shards_number", "shard_number"], "shard_number");
    // If a state is specified, each shard gets one replica by default.
    let default = if initial.is_some() { "" } else { "replication_factor" };
    let replicas = number(&["replication_factor"], default);
    // Uses the next nodes in turn, so that keys are distributed too.
    let mut nodes = placement;
    let turn = collection.shards.len() % nodes.len();
    nodes.rotate_left(turn);
    let highest = collection.shards.iter().map(|shard| shard.id).max().unwrap_or(0);
    for (id, nodes) in (highest + 1..).zip(spread(shards, replicas, &nodes)) {
        let state = initial.unwrap_or("Active").to_owned();
        let replica = |node: usize| Replica { state: state.clone(), ..Replica::active(node) };
        let replicas = nodes.into_iter().map(replica).collect();
        collection.shards.push(Shard { key: Some(key.clone()), replicas, ..Shard::on_node(id, 0, 0) });
    }
    collection.generate_content();
    Ok(())
}

pub(crate) fn delete(state: &mut State, asked: &Asked) -> Reply {
    let bad = |message: &str| error(400, &format!("Bad request: {message}"), asked.started);
    if !state.cluster_enabled {
        return bad("Distributed mode disabled");
    }
    let Some(key) = asked.json.as_ref().and_then(|body| body.get("shard_key")).cloned() else {
        return bad_json(asked);
    };
    let name = &asked.route.collection;
    let Some(collection) = state.find_mut(name) else {
        return no_collection(name, asked.started);
    };
    if !collection.is_custom() {
        // A real server uses the same text as for creation.
        return bad("Shard Key cannot be created with Auto sharding method");
    }
    if !collection.shard_keys().iter().any(|(known, _)| *known == key) {
        return bad(&format!("Sharding key {key} does not exist for collection {}", collection.name));
    }
    collection.shards.retain(|shard| shard.key.as_ref() != Some(&key));
    collection.generate_content();
    state.commit += 1;
    ok(&json!(true), asked.started)
}
