//! Writing and deleting points. Points written by clients are stored next to the generated ones.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use super::answers::{Reply, error, no_collection, ok};
use super::collection::Collection;
use super::collections_api::bad_json;
use super::points::Key;
use super::request::Asked;
use super::state::State;

/// Writes whole points.
pub(crate) fn upsert(state: &mut State, asked: &Asked) -> Reply {
    let name = asked.route.collection.clone();
    let Some(collection) = state.find_mut(&name) else { return no_collection(&name, asked.started) };
    let Some(body) = asked.json.as_ref() else { return bad_json(asked) };
    let Some(points) = body.get("points").and_then(Value::as_array) else { return bad_json(asked) };
    let refuse = |message: String| error(400, &message, asked.started);
    let strict = &collection.config["strict_mode_config"];
    if let Some(most) = strict["upsert_max_batchsize"].as_u64().filter(|_| strict["enabled"] == true)
        && points.len() as u64 > most
    {
        return refuse(format!(
            "Bad request: Limit exceeded {} > {most} for \"upsert limit\". Help: Reduce the \"upsert limit\" parameter to or below {most}.",
            points.len()
        ));
    }
    let key = body.get("shard_key").filter(|key| !key.is_null()).cloned();
    if let Some(key) = &key
        && !collection.shard_keys().iter().any(|(known, _)| known == key)
    {
        return refuse(format!("Wrong input: Shard key {key} not found"));
    }
    if key.is_none() && collection.is_custom() {
        return refuse("Wrong input: Shard key not specified".to_owned());
    }
    for point in points {
        if Key::of(&point["id"]).is_none() {
            return bad_json(asked);
        }
        if let Some(message) = misfit(&point["vector"], &collection.config["params"]) {
            return refuse(message);
        }
    }
    let only_new = body.get("update_mode").and_then(Value::as_str) == Some("insert_only");
    for point in points {
        if only_new && collection.has_point(&point["id"]) {
            continue;
        }
        let payload = point.get("payload").filter(|payload| payload.is_object()).cloned();
        let mut whole = json!({
            "id": point["id"], "payload": payload.unwrap_or_else(|| Value::Object(Map::new())), "vector": point["vector"],
        });
        if let Some(key) = &key {
            whole["shard_key"] = key.clone();
        }
        collection.write_point(whole);
    }
    done(asked)
}

/// Deletes points by their ids.
pub(crate) fn delete(state: &mut State, asked: &Asked) -> Reply {
    let name = asked.route.collection.clone();
    let Some(collection) = state.find_mut(&name) else { return no_collection(&name, asked.started) };
    let ids = asked.json.as_ref().and_then(|body| body.get("points")).and_then(Value::as_array);
    let Some(ids) = ids else { return bad_json(asked) };
    ids.iter().for_each(|id| collection.delete_point(id));
    done(asked)
}

fn done(asked: &Asked) -> Reply {
    let waits = asked.query.get("wait").is_some_and(|wait| wait == "true");
    let status = if waits { "completed" } else { "acknowledged" };
    ok(&json!({ "operation_id": 1, "status": status }), asked.started)
}

/// Qdrant's error for an invalid vector.
fn misfit(vector: &Value, params: &Value) -> Option<String> {
    let dense = &params["vectors"];
    let wrong = |vector: &Value, config: &Value| {
        let (got, expected) = (vector.as_array()?.len() as u64, config["size"].as_u64()?);
        (got != expected)
            .then(|| format!("Wrong input: Vector dimension error: expected dim: {expected}, got {got}"))
    };
    match vector {
        Value::Object(named) => named.iter().find_map(|(name, vector)| {
            let is_sparse = params["sparse_vectors"].get(name).is_some();
            match dense.get(name) {
                Some(config) if config.is_object() => wrong(vector, config),
                _ if is_sparse => None,
                _ => Some(format!("Wrong input: Not existing vector name error: {name}")),
            }
        }),
        unnamed => wrong(unnamed, dense),
    }
}

impl Collection {
    /// Whether a point with this id exists.
    pub(crate) fn has_point(&self, id: &Value) -> bool {
        let made_up = || {
            let index = self.points.index_of(id);
            index.is_some_and(|index| {
                super::shard::ranges(&self.shards).iter().any(|range| range.contains(&index))
            })
        };
        let written = Key::of(id).and_then(|key| self.points.written.get(&key));
        written.map_or_else(made_up, Option::is_some)
    }

    /// Writes a whole point as a client. Later snapshots have different bytes.
    pub fn write_point(&mut self, point: Value) {
        if let Some(key) = Key::of(&point["id"]) {
            self.points.written.insert(key, Some(point));
            self.has_changed();
        }
    }

    /// Deletes the point with this id as a client.
    pub fn delete_point(&mut self, id: &Value) {
        if let Some(key) = Key::of(id) {
            self.points.written.insert(key, None);
            self.has_changed();
        }
    }

    /// The content of a snapshot is identified by its digest, so every state of any collection needs a unique digest.
    fn has_changed(&mut self) {
        static SEED: AtomicU64 = AtomicU64::new(1 << 32);
        self.content_is_stale = true;
        self.bulk.seed = SEED.fetch_add(1, Ordering::Relaxed);
    }

    /// All whole points, ordered by id.
    pub fn whole_points(&self) -> Vec<Value> {
        self.listed(0..self.points_count(), None, usize::MAX, |_| true)
    }

    /// At most `most` points from this id on, ordered by id, that pass the filter. Of the generated points, only
    /// those in these ranges.
    pub(crate) fn listed(
        &self,
        made_up: impl Iterator<Item = u64>,
        from: Option<&Key>,
        most: usize,
        filter: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let mut all: BTreeMap<Key, Option<u64>> = BTreeMap::new();
        for index in made_up {
            all.extend(Key::of(&self.points.id(index)).map(|key| (key, Some(index))));
        }
        for (key, written) in &self.points.written {
            match written {
                Some(_) => drop(all.insert(key.clone(), None)),
                None => drop(all.remove(key)),
            }
        }
        let wanted = all.into_iter().filter(|(key, _)| from.is_none_or(|from| key >= from));
        let whole = wanted.filter_map(|(key, index)| match index {
            Some(index) => Some(self.made_up(index)),
            None => self.points.written.get(&key).cloned().flatten(),
        });
        whole.filter(|point| filter(point)).take(most).collect()
    }

    /// The point with this id. A generated point only if it is readable.
    pub(crate) fn point(&self, id: &Value, can_be_read: impl Fn(u64) -> bool) -> Option<Value> {
        match self.points.written.get(&Key::of(id)?) {
            Some(written) => written.clone(),
            None => {
                let index = self.points.index_of(id).filter(|index| can_be_read(*index))?;
                Some(self.made_up(index))
            }
        }
    }

    /// The difference between all existing points and the readable generated ones.
    pub(crate) fn written_more(&self, can_be_read: impl Fn(u64) -> bool) -> i64 {
        let made_up = |key: &Key| self.points.index_of(&key.value()).is_some_and(&can_be_read);
        let more =
            |(key, written): (&Key, &Option<Value>)| i64::from(written.is_some()) - i64::from(made_up(key));
        self.points.written.iter().map(more).sum()
    }

    fn made_up(&self, index: u64) -> Value {
        let mut point = self.points.point(index, &self.config);
        let place = super::shard::ranges(&self.shards).iter().position(|range| range.contains(&index));
        if let Some(key) = place.and_then(|place| self.shards.get(place)?.key.clone()) {
            point["shard_key"] = key;
        }
        point
    }
}
