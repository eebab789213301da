//! `POST /collections/{c}/snapshots/upload`: the file is stored first, then checked, then restored. Uploads of shard
//! snapshots arrive here too.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::aftermath::Priority;
use super::answers::{Reply, bare, error, no_collection, ok, text};
use super::collection::Collection;
use super::content::Content;
use super::effect::Effect;
use super::multipart::Multipart;
use super::origin::{Origin, inspect};
use super::placement::spread;
use super::request::{Asked, Core, drain};
use super::route::Endpoint;
use super::shard::Replica;
use super::shard_upload;
use super::spoil::spoil;
use super::state::State;

pub(crate) async fn upload(core: &Arc<Core>, asked: &Asked, body: Incoming) -> Reply {
    let wanted = asked.query.get("checksum").map(String::as_str);
    let of_shard = asked.route.endpoint == Endpoint::UploadShardSnapshot;
    let Some(priority) = Priority::of(asked.query.get("priority").map(String::as_str)) else {
        drain(core, asked.log_number, body).await;
        let message =
            "Query deserialize error: unknown variant, expected one of `no_sync`, `snapshot`, `replica`";
        return error(400, message, asked.started);
    };
    // For a shard upload, the server does not validate the checksum's format first.
    if let Some(malformed) = wanted.filter(|checksum| !of_shard && !is_sha256(checksum)) {
        drain(core, asked.log_number, body).await;
        return malformed_checksum(malformed);
    }
    let Some(mut multipart) = Multipart::new(&asked.headers, body) else {
        return error(400, "Content type error", asked.started);
    };
    let received = receive(&mut multipart, asked).await;
    core.log.body_read(asked.log_number, multipart.read_bytes(), Value::Null);
    let (file_name, content) = match received {
        Ok(received) => received,
        Err(refusal) => return refusal,
    };

    let sha256 = content.sha256();
    if let Some(wanted) = wanted.filter(|wanted| !wanted.eq_ignore_ascii_case(&sha256)) {
        // The real server also swaps the two values.
        let message = format!("Checksum mismatch: expected {sha256}, actual {wanted}");
        return error(400, &message, asked.started);
    }
    let target = if of_shard {
        Target::Shard(shard_upload::Target {
            collection: asked.route.collection.clone(),
            shard: asked.route.shard.clone(),
            priority,
        })
    } else {
        Target::Collection { name: asked.route.collection.clone(), file_name, priority }
    };
    let cut = asked.effect(|effect| match effect {
        Effect::UploadCut { status, begins_after, takes } => Some((*status, *begins_after, *takes)),
        _ => None,
    });
    if let Some((status, begins_after, takes)) = cut {
        let (core, name, started) = (core.clone(), asked.route.collection.clone(), asked.started);
        let effects = asked.effects.clone();
        let at_once = begins_after.is_zero();
        if at_once {
            core.state().process(core.node).begin_restore(&name);
        }
        tokio::spawn(async move {
            sleep(begins_after).await;
            if !at_once {
                core.state().process(core.node).begin_restore(&name);
            }
            sleep(takes).await;
            drop(target.restore(&core, content, &effects, started).await);
            core.state().process(core.node).end_restore(&name);
        });
        return bare(status, "upstream timed out");
    }
    target.restore(core, content, &asked.effects, asked.started).await
}

/// What an upload is restored into.
enum Target {
    Collection { name: String, file_name: String, priority: Priority },
    Shard(shard_upload::Target),
}

impl Target {
    async fn restore(
        &self,
        core: &Arc<Core>,
        content: Content,
        effects: &[Effect],
        started: Instant,
    ) -> Reply {
        match self {
            Target::Collection { name, file_name, priority } => {
                let into = (name.as_str(), file_name.as_str(), *priority);
                keep_and_restore(core, into, content, effects, started).await
            }
            Target::Shard(target) => shard_upload::restore(core, target, content, effects, started).await,
        }
    }
}

/// The file is kept in any case.
async fn keep_and_restore(
    core: &Arc<Core>,
    (collection, file_name, priority): (&str, &str, Priority),
    content: Content,
    effects: &[Effect],
    started: Instant,
) -> Reply {
    let node = core.node;
    let sha256 = content.sha256();
    let looked_into = content.clone();
    let inspected = spawn_blocking(move || inspect(&looked_into)).await;

    let mut state = core.state();
    let name = state.resolve(collection);
    if state.s3 {
        state.unreachable_uploads.push((name.clone(), file_name.to_owned()));
    } else {
        state.store(node, &name, file_name, content.clone(), None);
    }
    let mut origin = match inspected {
        Ok(Ok(origin)) => origin,
        Ok(Err(failure)) => return error(500, &failure.message(&name), started),
        Err(_) => return error(500, "Service internal error: task panicked", started),
    };
    if let Some((points, local_shards)) = state.origins.get(&sha256).cloned() {
        origin.points = points;
        origin.local_shards = local_shards;
    }
    if let Some(message) = state.collections.get(&name).and_then(|existing| mismatch(existing, &origin)) {
        return error(400, &message, started);
    }
    restore(&mut state, node, (&name, priority), &origin, content);
    if !state.collections.contains_key(&name) {
        return no_collection(&name, started);
    }
    spoil(state.collection_mut(&name), effects);
    ok(&Value::Bool(true), started)
}

/// Receives the field `snapshot` into an unlinked file and computes its hash.
async fn receive(multipart: &mut Multipart, asked: &Asked) -> Result<(String, Content), Reply> {
    let cut = || text(400, "Multipart stream is incomplete");
    let storage = |_: io::Error| text(500, "An error occurred processing field: snapshot");
    let part = loop {
        let Some(part) = multipart.next_part().await else {
            return Err(text(400, "Field 'snapshot' is required"));
        };
        if part.field == "snapshot" {
            break part;
        }
    };
    let mut file: File = tempfile::tempfile().map_err(storage)?;
    let mut hasher = Sha256::new();
    let mut len = 0;
    loop {
        match multipart.next_data().await {
            Some(Some(data)) => {
                hasher.update(&data);
                file.write_all(&data).map_err(storage)?;
                len += data.len() as u64;
            }
            Some(None) => break,
            None => return Err(cut()),
        }
    }
    if asked.effects.iter().any(|effect| matches!(effect, Effect::UploadNoSpace)) {
        return Err(storage(io::Error::from(io::ErrorKind::StorageFull)));
    }
    let sha256 = hex::encode(hasher.finalize());
    let file_name = part.file_name.filter(|name| !name.is_empty());
    // A file without a name gets a unique one.
    let file_name = file_name.unwrap_or_else(|| format!("{}.snapshot", &sha256[..32]));
    Ok((file_name, Content::file(file, len, sha256)))
}

/// Only vectors and shard number are compared with an existing collection.
fn mismatch(existing: &Collection, origin: &Origin) -> Option<String> {
    let (ours, theirs) = (&existing.config["params"], &origin.config["params"]);
    let differs =
        ["vectors", "sparse_vectors", "shard_number"].iter().any(|key| ours.get(key) != theirs.get(key));
    differs.then(|| {
        format!(
            "Bad request: Snapshot is not compatible with existing collection: \
             Collection params: {ours} Snapshot params: {theirs}"
        )
    })
}

/// Replaces shards on this node by those of the snapshot. Missing shards stay as they are, or empty in a new
/// collection.
fn restore(
    state: &mut State,
    node: usize,
    (name, priority): (&str, Priority),
    origin: &Origin,
    content: Content,
) {
    let nodes: Vec<usize> = (0..state.nodes.len()).collect();
    let after = state.after_shard_upload;
    let collection = state.collections.entry(name.to_owned()).or_insert_with(|| {
        let mut created = origin.clone().into_collection(name, content.clone());
        // A real server loses these parameters too, because the create request has no fields for them.
        if let Some(params) = created.config["params"].as_object_mut() {
            params.retain(|key, _| !key.starts_with("read_fan_out_"));
        }
        let placed = spread(created.shards.len() as u32, replication_factor(&created), &nodes);
        for (shard, nodes) in created.shards.iter_mut().zip(placed) {
            shard.points_count = 0;
            shard.replicas = nodes.into_iter().map(Replica::active).collect();
        }
        created
    });
    let others_kept = replication_factor(collection).saturating_sub(1) as usize;
    for id in origin.local_shards.keys() {
        let Some(shard) = collection.shard_mut(*id) else { continue };
        let before = shard.points_count;
        let Some(restored) = origin.shard_on(shard, node) else { continue };
        let mut replicas = std::mem::replace(shard, restored).replicas;
        let own = replicas.iter().position(|replica| replica.node == node);
        shard.replicas = own.map(|own| vec![replicas.remove(own)]).unwrap_or_default();
        if priority == Priority::Snapshot {
            replicas.truncate(others_kept);
        }
        shard.replicas.extend(replicas);
        collection.uploaded(*id, node, before, priority, after);
    }
    collection.points = origin.points.clone();
    collection.payload_indexes.clone_from(&origin.payload_indexes);
    collection.content_is_stale = false;
    if collection.is_custom() {
        collection.generate_content();
    } else if nodes.len() == 1 {
        collection.content = content;
    } else {
        collection.content_on_node.insert(node, content);
    }
}

fn replication_factor(collection: &Collection) -> u32 {
    collection.config["params"]["replication_factor"].as_u64().unwrap_or(1).clamp(1, 64) as u32
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn malformed_checksum(checksum: &str) -> Reply {
    let message = format!(
        "Validation error in query parameters: [checksum: Validation error: invalid_sha256_hash \
         [{{\"length\": Number({}), \"expected_length\": Number(64), \"value\": String({checksum:?})}}]]",
        checksum.len()
    );
    let body = serde_json::json!({ "status": { "error": message }, "time": 0.0 });
    super::answers::json_body(422, &body)
}
