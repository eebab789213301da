//! The server itself, collections and aliases.

use serde_json::{Value, json};

use super::answers::{Reply, error, json_body, no_collection, ok, text};
use super::collection::Collection;
use super::config;
use super::effect::Effect;
use super::placement::spread;
use super::reads::readable;
use super::request::Asked;
use super::shard::Replica;
use super::state::State;

pub(crate) fn root(state: &State) -> Reply {
    let mut root = json!({ "title": "qdrant - vector search engine", "version": state.version });
    root["commit"] = json!("db8fa43fcb6aedec1e739487e17a99731b74590a");
    json_body(200, &root)
}

pub(crate) fn readyz() -> Reply {
    text(200, "all shards are ready")
}

/// `/healthz` and `/livez`.
pub(crate) fn health(name: &str) -> Reply {
    text(200, format!("{name} check passed"))
}

pub(crate) fn list(state: &State, asked: &Asked) -> Reply {
    let hidden = asked.effects.iter().any(|effect| matches!(effect, Effect::NoCollections));
    let names = state.collections.keys().filter(|_| !hidden);
    let collections: Vec<Value> = names.map(|name| json!({ "name": name })).collect();
    ok(&json!({ "collections": collections }), asked.started)
}

/// Each poll advances the queued updates.
pub(crate) fn info(state: &mut State, asked: &Asked) -> Reply {
    let name = state.resolve(&asked.route.collection);
    let Some(collection) = state.collections.get(&name) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let info = match readable(state, collection, asked.node) {
        Ok(readable) => collection.info(readable.count),
        Err(message) => return error(500, &message, asked.started),
    };
    if let Some(collection) = state.collections.get_mut(&name) {
        collection.queued_polls_left = collection.queued_polls_left.saturating_sub(1);
    }
    ok(&info, asked.started)
}

/// Changes the given fields, if they can be changed.
pub(crate) fn update(state: &mut State, asked: &Asked) -> Reply {
    let name = state.resolve(&asked.route.collection);
    let Some(collection) = state.collections.get_mut(&name) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let Some(body) = asked.json.as_ref().filter(|body| body.is_object()) else {
        return bad_json(asked);
    };
    config::update(&mut collection.config, body);
    state.commit += 1;
    ok(&json!(true), asked.started)
}

pub(crate) fn exists(state: &State, asked: &Asked) -> Reply {
    ok(&json!({ "exists": state.find(&asked.route.collection).is_some() }), asked.started)
}

pub(crate) fn create(state: &mut State, asked: &Asked) -> Reply {
    let name = &asked.route.collection;
    let Some(body) = asked.json.as_ref().filter(|body| body.is_object()) else {
        return bad_json(asked);
    };
    if state.collections.contains_key(name) {
        return error(409, &format!("Wrong input: Collection `{name}` already exists!"), asked.started);
    }
    if state.aliases.contains_key(name) {
        let message = format!(
            "Wrong input: Can't create collection with name {name}. Alias with the same name already exists"
        );
        return error(400, &message, asked.started);
    }
    if let Some((status, message)) = config::refused(body) {
        return error(status, &message, asked.started);
    }
    // The node that receives the request comes first.
    let mut nodes: Vec<usize> =
        if state.cluster_enabled { (0..state.nodes.len()).collect() } else { vec![asked.node] };
    let turn = asked.node.min(nodes.len() - 1);
    nodes.rotate_left(turn);
    let config = config::created(body, nodes.len() as u32);
    let replicas = config["params"]["replication_factor"].as_u64().unwrap_or(1).min(1024) as u32;
    let mut collection = Collection::empty(name, config);
    let placed = spread(collection.shards.len() as u32, replicas, &nodes);
    for (shard, nodes) in collection.shards.iter_mut().zip(placed) {
        shard.replicas = nodes.into_iter().map(Replica::active).collect();
    }
    state.add_collection(collection);
    state.commit += 1;
    ok(&json!(true), asked.started)
}

/// An alias is not a collection: a delete with its name deletes nothing.
pub(crate) fn delete(state: &mut State, asked: &Asked) -> Reply {
    let deleted = state.collections.remove(&asked.route.collection).is_some();
    state.aliases.retain(|_, collection| *collection != asked.route.collection);
    state.commit += 1;
    ok(&json!(deleted), asked.started)
}

pub(crate) fn aliases(state: &State, asked: &Asked) -> Reply {
    ok(&describe_aliases(state, |_| true), asked.started)
}

pub(crate) fn collection_aliases(state: &State, asked: &Asked) -> Reply {
    if state.find(&asked.route.collection).is_none() {
        return no_collection(&asked.route.collection, asked.started);
    }
    let name = state.resolve(&asked.route.collection);
    ok(&describe_aliases(state, |collection| collection == name), asked.started)
}

fn describe_aliases(state: &State, wanted: impl Fn(&str) -> bool) -> Value {
    let aliases: Vec<Value> = state
        .aliases
        .iter()
        .filter(|(_, collection)| wanted(collection))
        .map(|(alias, collection)| json!({ "alias_name": alias, "collection_name": collection }))
        .collect();
    json!({ "aliases": aliases })
}

/// Atomic: the aliases change only if every action is valid.
pub(crate) fn change_aliases(state: &mut State, asked: &Asked) -> Reply {
    let actions = asked.json.as_ref().and_then(|body| body.get("actions")).and_then(Value::as_array);
    let Some(actions) = actions else { return bad_json(asked) };
    let mut aliases = state.aliases.clone();
    for action in actions {
        let field = |kind: &str, name: &str| -> Option<String> {
            Some(action.get(kind)?.get(name)?.as_str()?.to_owned())
        };
        if let (Some(alias), Some(collection)) =
            (field("create_alias", "alias_name"), field("create_alias", "collection_name"))
        {
            if !state.collections.contains_key(&collection) {
                return no_collection(&collection, asked.started);
            }
            aliases.insert(alias, collection);
        } else if let Some(alias) = field("delete_alias", "alias_name") {
            aliases.remove(&alias);
        } else if let (Some(old), Some(new)) =
            (field("rename_alias", "old_alias_name"), field("rename_alias", "new_alias_name"))
        {
            let Some(collection) = aliases.remove(&old) else {
                return error(404, &format!("Not found: Alias {old} does not exists!"), asked.started);
            };
            aliases.insert(new, collection);
        } else {
            return bad_json(asked);
        }
    }
    state.aliases = aliases;
    ok(&json!(true), asked.started)
}

pub(crate) fn bad_json(asked: &Asked) -> Reply {
    error(400, "Format error in JSON body: invalid request", asked.started)
}
