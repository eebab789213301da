//! The cluster and its shards, from the view of the node that receives the request, and changes that clients make.

use serde_json::{Value, json};

use super::answers::{Reply, error, no_collection, ok};
use super::change::{Change, Transfer, When};
use super::collection::Collection;
use super::collections_api::bad_json;
use super::request::Asked;
use super::shard::Shard;
use super::state::State;

/// `GET /cluster`. Each poll brings a node that lags behind closer to the others.
pub(crate) fn cluster(state: &mut State, asked: &Asked) -> Reply {
    if !state.cluster_enabled {
        return ok(&json!({ "status": "disabled" }), asked.started);
    }
    let known = state.nodes.iter().map(|node| (node.peer_id, node.p2p_uri.clone()));
    let peers: serde_json::Map<String, Value> = known
        .chain(state.strangers.clone())
        .map(|(peer_id, uri)| (peer_id.to_string(), json!({ "uri": uri })))
        .collect();
    let up = |index: usize| state.nodes.get(index).is_some_and(|node| !node.down);
    let leader = (0..state.nodes.len()).find(|index| up(*index)).unwrap_or(0);
    let leader = state.nodes.get(leader).map(|node| node.peer_id);
    let mut commit = state.commit;
    let mut peer_id = None;
    if let Some(node) = state.nodes.get_mut(asked.node) {
        peer_id = Some(node.peer_id);
        let (behind, polls) = node.behind;
        if polls > 0 {
            commit = commit.saturating_sub(behind);
            node.behind = (behind, polls - 1);
        }
    }
    let result = json!({
        "status": "enabled", "peer_id": peer_id, "peers": peers,
        "raft_info": {
            "term": 1, "commit": commit, "pending_operations": 0, "leader": leader,
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

/// `GET /collections/{c}/cluster`. Each poll advances the scheduled changes of the collection.
pub(crate) fn collection(state: &mut State, asked: &Asked) -> Reply {
    let name = state.resolve(&asked.route.collection);
    let peer_ids: Vec<u64> = state.nodes.iter().map(|node| node.peer_id).collect();
    let Some(collection) = state.collections.get_mut(&name) else {
        return no_collection(&asked.route.collection, asked.started);
    };
    let dead = collection.dead_polls_left > 0;
    let (mut local, mut remote) = (Vec::new(), Vec::new());
    let mut shards: Vec<&Shard> = collection.shards.iter().collect();
    shards.sort_by_key(|shard| shard.id);
    for shard in shards {
        for replica in &shard.replicas {
            let state = if dead { "Dead" } else { replica.state.as_str() };
            let mut shown = json!({ "shard_id": shard.id, "state": state });
            if let Some(key) = &shard.key {
                shown["shard_key"] = key.clone();
            }
            if replica.node == asked.node {
                let points = replica.holds.unwrap_or(shard.points_count);
                shown["points_count"] = json!(if dead { 0 } else { points });
                local.push(shown);
            } else {
                shown["peer_id"] = json!(peer_ids.get(replica.node));
                remote.push(shown);
            }
        }
    }
    let transfers: Vec<Value> =
        collection.transfers.iter().map(|transfer| transfer.described(&peer_ids)).collect();
    let reshardings: Vec<Value> =
        collection.reshardings.iter().map(|resharding| resharding.described(&peer_ids)).collect();
    let mut result = json!({
        "peer_id": peer_ids.get(asked.node), "shard_count": collection.shards.len(),
        "local_shards": local, "remote_shards": remote, "shard_transfers": transfers,
    });
    if !reshardings.is_empty() {
        result["resharding_operations"] = json!(reshardings);
    }
    collection.dead_polls_left = collection.dead_polls_left.saturating_sub(1);
    collection.polled();
    ok(&result, asked.started)
}

/// `POST /collections/{c}/cluster`: moves, replicates and drops replicas.
pub(crate) fn change(state: &mut State, asked: &Asked) -> Reply {
    if !state.cluster_enabled {
        return error(400, "Bad request: Distributed mode disabled", asked.started);
    }
    let Some((operation, wanted)) = asked
        .json
        .as_ref()
        .and_then(|body| body.as_object()?.iter().next())
        .map(|(key, value)| (key.as_str(), value))
    else {
        return bad_json(asked);
    };
    let name = state.resolve(&asked.route.collection);
    let polls = state.transfer_polls;
    let done = planned(state, &name, operation, wanted).and_then(|plan| {
        let collection = state.collections.get_mut(&name).ok_or(Refusal::NoCollection)?;
        carry_out(collection, plan, polls)
    });
    match done {
        Ok(()) => {
            state.commit += 1;
            ok(&json!(true), asked.started)
        }
        Err(Refusal::NoCollection) => no_collection(&asked.route.collection, asked.started),
        Err(Refusal::BadJson) => bad_json(asked),
        Err(Refusal::Bad(message)) => error(400, &format!("Bad request: {message}"), asked.started),
        Err(Refusal::NotFound(message)) => error(404, &format!("Not found: {message}"), asked.started),
    }
}

enum Refusal {
    NoCollection,
    BadJson,
    Bad(String),
    NotFound(String),
}

enum Plan {
    Transfer(Transfer),
    Abort(Transfer),
    Drop { shard: u32, node: usize, peer_id: u64 },
}

/// The requested operation, if the shard and the peers exist.
fn planned(state: &State, name: &str, operation: &str, wanted: &Value) -> Result<Plan, Refusal> {
    let collection = state.collections.get(name).ok_or(Refusal::NoCollection)?;
    let number = |key: &str| wanted.get(key).and_then(Value::as_u64).ok_or(Refusal::BadJson);
    let peer = |key: &str| {
        let peer_id = number(key)?;
        let node = state.node_of(peer_id);
        node.ok_or_else(|| Refusal::Bad(format!("Peer {peer_id} does not exist")))
    };
    let id = number("shard_id")?;
    let shard = collection.shards.iter().find(|shard| u64::from(shard.id) == id);
    let shard = shard.ok_or_else(|| Refusal::Bad(format!("Shard {id} of {name} does not exist")))?;
    let transfer = |sync: bool| {
        let (to, from) = (peer("to_peer_id")?, peer("from_peer_id")?);
        Ok(Transfer { sync, ..Transfer::moving(shard.id, from, to) })
    };
    match operation {
        "move_shard" => {
            let transfer: Transfer = transfer(false)?;
            check_ends(state, collection, shard, &transfer)?;
            Ok(Plan::Transfer(transfer))
        }
        "replicate_shard" => {
            let transfer: Transfer = transfer(true)?;
            check_ends(state, collection, shard, &transfer)?;
            Ok(Plan::Transfer(transfer))
        }
        "abort_transfer" => {
            let wanted = transfer(false)?;
            let same = |other: &&Transfer| {
                (other.shard, other.from, other.to) == (wanted.shard, wanted.from, wanted.to)
            };
            let found = collection.transfers.iter().find(same).cloned();
            found.map(Plan::Abort).ok_or_else(|| {
                let peer_id = |node: usize| state.nodes.get(node).map_or(0, |node| node.peer_id);
                Refusal::NotFound(format!(
                    "Shard transfer {} -> {} for collection {name}:{} does not exist",
                    peer_id(wanted.from),
                    peer_id(wanted.to),
                    wanted.shard
                ))
            })
        }
        "drop_replica" => {
            Ok(Plan::Drop { shard: shard.id, node: peer("peer_id")?, peer_id: number("peer_id")? })
        }
        _ => Err(Refusal::BadJson),
    }
}

/// A transfer goes from an active replica to another node, and no other transfer of the shard may be in progress
/// there.
fn check_ends(
    state: &State,
    collection: &Collection,
    shard: &Shard,
    transfer: &Transfer,
) -> Result<(), Refusal> {
    let peer_id = |node: usize| state.nodes.get(node).map_or(0, |node| node.peer_id);
    if !shard.replica_on(transfer.from).is_some_and(super::shard::Replica::is_active) {
        let message = format!("Shard {} is not active on peer {}", shard.id, peer_id(transfer.from));
        return Err(Refusal::Bad(message));
    }
    let ends = [transfer.from, transfer.to];
    let conflict = collection.transfers.iter().find(|other| {
        other.shard == transfer.shard && (ends.contains(&other.from) || ends.contains(&other.to))
    });
    if let Some(other) = conflict {
        return Err(Refusal::Bad(format!(
            "Shard {} is already involved in transfer {} -> {}",
            shard.id,
            peer_id(other.from),
            peer_id(other.to)
        )));
    }
    if transfer.from == transfer.to {
        let message = format!("Source and target shard must be different, {} given", peer_id(transfer.to));
        return Err(Refusal::Bad(message));
    }
    Ok(())
}

fn carry_out(collection: &mut Collection, plan: Plan, polls: u32) -> Result<(), Refusal> {
    match plan {
        Plan::Transfer(transfer) => collection.transfer_for_polls(transfer, polls),
        Plan::Abort(transfer) => {
            collection.timeline.retain(|(_, change)| *change != Change::Done(transfer.clone()));
            collection.schedule(When::Polls(0), Change::NoReplica(transfer.shard, transfer.to));
            collection.schedule(When::Polls(0), Change::Aborted(transfer));
        }
        Plan::Drop { shard, node, peer_id } => {
            let found = collection.shard_mut(shard);
            let replicas = found.map(|shard| shard.replicas.clone()).unwrap_or_default();
            if !replicas.iter().any(|replica| replica.node == node) {
                let message = format!("Peer {peer_id} has no replica of shard {shard}");
                return Err(Refusal::Bad(message));
            }
            if !replicas.iter().any(|replica| replica.node != node && replica.is_active()) {
                return Err(Refusal::Bad(format!(
                    "Shard {shard} must have at least one active replica after removing {peer_id}"
                )));
            }
            collection.schedule(When::Polls(0), Change::NoReplica(shard, node));
        }
    }
    Ok(())
}
