//! The server itself, collections, aliases, and who holds which shard.

use serde_json::{Value, json};

use super::answers::{Reply, error, json_body, no_collection, ok, text};
use super::collection::Collection;
use super::effect::Effect;
use super::request::Asked;
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

pub(crate) fn cluster(state: &State, asked: &Asked) -> Reply {
    if !state.cluster_enabled {
        return ok(&json!({ "status": "disabled" }), asked.started);
    }
    let peers: serde_json::Map<String, Value> =
        state.nodes.iter().map(|node| (node.peer_id.to_string(), json!({ "uri": node.p2p_uri }))).collect();
    let leader = state.nodes.first().map(|node| node.peer_id);
    let peer_id = state.nodes.get(asked.node).map(|node| node.peer_id);
    let result = json!({
        "status": "enabled", "peer_id": peer_id, "peers": peers,
        "raft_info": {
            "term": 1, "commit": 12, "pending_operations": 0, "leader": leader,
            "role": if leader == peer_id { "Leader" } else { "Follower" }, "is_voter": true,
        },
        "consensus_thread_status": {
            "consensus_thread_status": "working",
            "last_update": state.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true),
        },
        "message_send_failures": {},
    });
    ok(&result, asked.started)
}

pub(crate) fn list(state: &State, asked: &Asked) -> Reply {
    let hidden = asked.effects.iter().any(|effect| matches!(effect, Effect::NoCollections));
    let names = state.collections.keys().filter(|_| !hidden);
    let collections: Vec<Value> = names.map(|name| json!({ "name": name })).collect();
    ok(&json!({ "collections": collections }), asked.started)
}

/// Each poll brings the updates in the queue closer to being done.
pub(crate) fn info(state: &mut State, asked: &Asked) -> Reply {
    let name = state.resolve(&asked.route.collection);
    let Some(collection) = state.collections.get_mut(&name) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let info = collection.info();
    collection.queued_polls_left = collection.queued_polls_left.saturating_sub(1);
    ok(&info, asked.started)
}

/// Changes the parameters that are given, as far as there are any.
pub(crate) fn update(state: &mut State, asked: &Asked) -> Reply {
    let name = state.resolve(&asked.route.collection);
    let Some(collection) = state.collections.get_mut(&name) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let Some(body) = asked.json.as_ref().filter(|body| body.is_object()) else {
        return bad_json(asked);
    };
    let wanted = body.get("params").and_then(Value::as_object);
    if let (Some(params), Some(wanted)) = (collection.config["params"].as_object_mut(), wanted) {
        params.extend(wanted.clone());
    }
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
    let mut collection = Collection::created(name, body);
    collection.shards.iter_mut().flat_map(|shard| &mut shard.replicas).for_each(|replica| {
        replica.node = asked.node;
    });
    state.add_collection(collection);
    ok(&json!(true), asked.started)
}

/// An alias is no collection: deleting by that name deletes nothing.
pub(crate) fn delete(state: &mut State, asked: &Asked) -> Reply {
    let deleted = state.collections.remove(&asked.route.collection).is_some();
    state.aliases.retain(|_, collection| *collection != asked.route.collection);
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

/// All actions or none: the aliases change only when every action can be done.
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

/// Who holds which shard, as the asked node sees it. Each poll brings dead replicas closer to life.
pub(crate) fn collection_cluster(state: &mut State, asked: &Asked) -> Reply {
    let name = state.resolve(&asked.route.collection);
    let peer_ids: Vec<u64> = state.nodes.iter().map(|node| node.peer_id).collect();
    let Some(collection) = state.collections.get_mut(&name) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let dead = collection.dead_polls_left > 0;
    let (mut local, mut remote) = (Vec::new(), Vec::new());
    for shard in &collection.shards {
        for replica in &shard.replicas {
            let state = if dead { "Dead" } else { replica.state.as_str() };
            let mut shown = json!({ "shard_id": shard.id, "state": state });
            if let Some(key) = &shard.key {
                shown["shard_key"] = key.clone();
            }
            if replica.node == asked.node {
                shown["points_count"] = json!(if dead { 0 } else { shard.points_count });
                local.push(shown);
            } else {
                shown["peer_id"] = json!(peer_ids.get(replica.node));
                remote.push(shown);
            }
        }
    }
    let shard_count = collection.shards.len();
    collection.dead_polls_left = collection.dead_polls_left.saturating_sub(1);
    let result = json!({
        "peer_id": peer_ids.get(asked.node), "shard_count": shard_count,
        "local_shards": local, "remote_shards": remote, "shard_transfers": [],
    });
    ok(&result, asked.started)
}

pub(crate) fn bad_json(asked: &Asked) -> Reply {
    error(400, "Format error in JSON body: invalid request", asked.started)
}
