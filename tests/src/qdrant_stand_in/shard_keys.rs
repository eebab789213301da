//! Shard keys of collections with custom sharding: listed, made and dropped.

use serde_json::{Value, json};

use super::answers::{Reply, error, no_collection, ok};
use super::collection::Shard;
use super::collections_api::bad_json;
use super::request::Asked;
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

/// Its shards get the ids after the highest there is; the first is 1.
pub(crate) fn create(state: &mut State, asked: &Asked) -> Reply {
    let bad = |message: &str| error(400, &format!("Bad request: {message}"), asked.started);
    if !state.cluster_enabled {
        return bad("Distributed mode disabled");
    }
    let body = asked.json.as_ref();
    let Some((body, key)) = body.and_then(|body| Some((body, body.get("shard_key")?.clone()))) else {
        return bad_json(asked);
    };
    let name = &asked.route.collection;
    let Some(collection) = state.find_mut(name) else {
        return no_collection(name, asked.started);
    };
    if !collection.is_custom() {
        return bad(&format!("Shard Key {key} cannot be created with Auto sharding method"));
    }
    if collection.shard_keys().iter().any(|(known, _)| *known == key) {
        return bad(&format!("Sharding key {key} already exists for collection {name}"));
    }
    let each = collection.config["params"]["shard_number"].as_u64();
    let number = body.get("shards_number").and_then(Value::as_u64).or(each).unwrap_or(1) as u32;
    let highest = collection.shards.iter().map(|shard| shard.id).max().unwrap_or(0);
    for id in highest + 1..=highest + number {
        collection.shards.push(Shard { key: Some(key.clone()), ..Shard::on_node(id, 0, asked.node) });
    }
    collection.generate_content();
    ok(&json!(true), asked.started)
}

pub(crate) fn delete(state: &mut State, asked: &Asked) -> Reply {
    let Some(key) = asked.json.as_ref().and_then(|body| body.get("shard_key")).cloned() else {
        return bad_json(asked);
    };
    let name = &asked.route.collection;
    let Some(collection) = state.find_mut(name) else {
        return no_collection(name, asked.started);
    };
    collection.shards.retain(|shard| shard.key.as_ref() != Some(&key));
    collection.generate_content();
    ok(&json!(true), asked.started)
}
