//! A collection on the server: configuration, shards and where their replicas are, points, and the
//! content its snapshots have.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::content::Content;
use super::data::GenuineSnapshot;
use super::generated::GeneratedSnapshot;
use super::origin;
use super::plain::{plain_config, split};
use super::points::Points;

/// One copy of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Which node has it: an index into `State::nodes`.
    pub node: usize,
    /// `Active`, `Dead`, `Partial`, `Initializing`, ….
    pub state: String,
}

/// A shard and its copies. One without replicas is answered by no node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0; with custom sharding from 1.
    pub id: u32,
    /// The key whose points it holds, with custom sharding.
    pub key: Option<Value>,
    /// The points in it.
    pub points_count: u64,
    /// Its copies.
    pub replicas: Vec<Replica>,
}

impl Shard {
    /// A shard with one active replica on that node.
    pub fn on_node(id: u32, points_count: u64, node: usize) -> Shard {
        Shard { id, key: None, points_count, replicas: vec![Replica { node, state: "Active".to_owned() }] }
    }

    pub(crate) fn has_replica_on(&self, node: usize) -> bool {
        self.replicas.iter().any(|replica| replica.node == node)
    }
}

/// A collection.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// `config` as `GET /collections/{c}` answers it.
    pub config: Value,
    /// Payload indexes: field → data type.
    pub payload_indexes: BTreeMap<String, String>,
    /// `green`, `yellow`, ….
    pub status: String,
    /// Its shards.
    pub shards: Vec<Shard>,
    /// Its points' content.
    pub points: Points,
    /// What a snapshot of it contains.
    pub content: Content,
    /// Where the nodes of a cluster differ: what a snapshot made on that node contains.
    pub content_on_node: BTreeMap<usize, Content>,
    /// What `GET …/shards/{id}/snapshot` streams; generated where nothing is given.
    pub shard_content: BTreeMap<u32, Content>,
    /// How many points `"exact": false` and `GET /collections/{c}` tell, where that is another number.
    pub estimate: Option<u64>,
    /// `GET /collections/{c}` does not tell how many points there are.
    pub hides_points: bool,
    /// What is left of `read_rate_limit`, and since when.
    pub(crate) read_tokens: Option<(f64, Instant)>,
    /// So many more cluster polls show its replicas as `Dead`, and until then it counts 0 points.
    pub dead_polls_left: u32,
    /// So many more polls of the collection show updates in its queue, and until then it counts half of its points.
    pub queued_polls_left: u32,
}

impl Collection {
    /// The genuine collection of that name, `minilm_general` for example, from a server of that version.
    ///
    /// # Errors
    /// When there is no genuine snapshot of it.
    pub fn genuine(version: &str, name: &str) -> io::Result<Collection> {
        let snapshot = GenuineSnapshot::find(version, &format!("{name}.snapshot"))?;
        let mut collection = Collection::from_snapshot(name, Content::bytes(snapshot.read()?))?;
        let stream = GenuineSnapshot::find(version, &format!("{name}.shard-0.snapshot"));
        if let Ok(stream) = stream {
            collection.shard_content.insert(0, Content::bytes(stream.read()?));
        }
        Ok(collection)
    }

    /// A collection whose snapshots are generated.
    pub fn generated(name: &str, snapshot: GeneratedSnapshot) -> Collection {
        let snapshot = GeneratedSnapshot { points_seed: name.to_owned(), ..snapshot };
        let content = Content::generated(&snapshot);
        let counts = split(snapshot.points(), snapshot.shards);
        let keys = snapshot.shard_keys.clone();
        let mut collection = Collection::new(name, snapshot.config, counts, content);
        if let Some(keys) = keys {
            let keyed = keys.iter().flat_map(|(key, ids)| ids.iter().map(move |id| (key, *id)));
            let counts: Vec<u64> = collection.shards.iter().map(|shard| shard.points_count).collect();
            collection.shards = keyed
                .zip(counts)
                .map(|((key, id), count)| Shard { key: Some(key.clone()), ..Shard::on_node(id, count, 0) })
                .collect();
        }
        collection
    }

    /// A collection whose snapshots are these bytes, whatever they are.
    pub fn with_bytes(name: &str, points_count: u64, bytes: impl Into<bytes::Bytes>) -> Collection {
        let content = Content::bytes(bytes);
        Collection::new(name, plain_config(8, 1), vec![points_count], content)
    }

    /// An empty collection as `PUT /collections/{c}` with this body makes it.
    pub fn created(name: &str, body: &Value) -> Collection {
        let shards = body.get("shard_number").and_then(Value::as_u64).unwrap_or(1).clamp(1, 64);
        let mut config = plain_config(8, shards as u32);
        config["params"]["vectors"] = body.get("vectors").cloned().unwrap_or_else(|| json!({}));
        let params = ["sparse_vectors", "replication_factor", "write_consistency_factor", "on_disk_payload"];
        for key in params {
            if let Some(value) = body.get(key) {
                config["params"][key] = value.clone();
            }
        }
        for (key, from) in [
            ("hnsw_config", "hnsw_config"),
            ("optimizer_config", "optimizers_config"),
            ("wal_config", "wal_config"),
            ("quantization_config", "quantization_config"),
        ] {
            match (config.get_mut(key), body.get(from)) {
                (Some(Value::Object(defaults)), Some(Value::Object(wanted))) => {
                    defaults.extend(wanted.clone());
                }
                (Some(default), Some(wanted)) => *default = wanted.clone(),
                _ => {}
            }
        }
        if let Some(strict) = body.get("strict_mode_config") {
            config["strict_mode_config"] = strict.clone();
        }
        let mut snapshot = GeneratedSnapshot::new(0).points_count(0).shards(shards as u32);
        snapshot.config = config;
        if body.get("sharding_method") == Some(&json!("custom")) {
            // Its shards come with its keys.
            snapshot = snapshot.shard_keys(&[]);
        }
        Collection::generated(name, snapshot)
    }

    /// Nothing is left of `read_rate_limit`.
    pub fn exhaust_reads(&mut self) {
        self.read_tokens = Some((0.0, Instant::now()));
    }

    /// Whether its shards go by keys.
    pub(crate) fn is_custom(&self) -> bool {
        self.config["params"]["sharding_method"] == "custom"
    }

    /// The keys with their shards, in the order of these.
    pub(crate) fn shard_keys(&self) -> Vec<(Value, Vec<u32>)> {
        let mut keys: Vec<(Value, Vec<u32>)> = Vec::new();
        for shard in &self.shards {
            let Some(key) = &shard.key else { continue };
            match keys.iter_mut().find(|(known, _)| known == key) {
                Some((_, ids)) => ids.push(shard.id),
                None => keys.push((key.clone(), vec![shard.id])),
            }
        }
        keys
    }

    /// Makes anew what snapshots contain, after its shards have changed.
    pub(crate) fn generate_content(&mut self) {
        let mut snapshot = GeneratedSnapshot::new(0).points_count(self.points_count());
        snapshot.config = self.config.clone();
        snapshot = snapshot.shard_keys(&self.shard_keys());
        snapshot.points_seed.clone_from(&self.points.seed);
        self.content = Content::generated(&snapshot);
    }

    /// The collection that restoring this snapshot yields.
    ///
    /// # Errors
    /// When the content is no snapshot.
    pub fn from_snapshot(name: &str, content: Content) -> io::Result<Collection> {
        let origin = origin::inspect(&content)
            .map_err(|failure| io::Error::new(io::ErrorKind::InvalidData, failure.message(name)))?;
        Ok(origin.into_collection(name, content))
    }

    pub(crate) fn new(name: &str, config: Value, counts: Vec<u64>, content: Content) -> Collection {
        let shards = counts.iter().zip(0..).map(|(count, id)| Shard::on_node(id, *count, 0)).collect();
        Collection {
            name: name.to_owned(),
            config,
            payload_indexes: BTreeMap::new(),
            status: "green".to_owned(),
            shards,
            points: Points::new(name),
            content,
            content_on_node: BTreeMap::new(),
            shard_content: BTreeMap::new(),
            estimate: None,
            hides_points: false,
            read_tokens: None,
            dead_polls_left: 0,
            queued_polls_left: 0,
        }
    }

    /// All shards' points.
    pub fn points_count(&self) -> u64 {
        self.shards.iter().map(|shard| shard.points_count).sum()
    }

    /// Changes the count (by way of the first shard, or the first ones that have points).
    pub fn set_points_count(&mut self, points_count: u64) {
        let mut more = points_count.saturating_sub(self.points_count());
        let mut fewer = self.points_count().saturating_sub(points_count);
        for shard in &mut self.shards {
            let taken = fewer.min(shard.points_count);
            shard.points_count = shard.points_count - taken + more;
            fewer -= taken;
            more = 0;
        }
    }

    /// Sets the state of every replica of the shard.
    pub fn set_shard_state(&mut self, shard_id: u32, state: &str) {
        for shard in self.shards.iter_mut().filter(|shard| shard.id == shard_id) {
            for replica in &mut shard.replicas {
                state.clone_into(&mut replica.state);
            }
        }
    }

    pub(crate) fn content_on(&self, node: usize) -> Content {
        self.content_on_node.get(&node).unwrap_or(&self.content).clone()
    }

    pub(crate) fn shard_stream(&self, shard: u32) -> Content {
        self.shard_content.get(&shard).cloned().unwrap_or_else(|| {
            Content::bytes(GeneratedSnapshot::new(0).seed(u64::from(shard) + 1).shard_stream(shard))
        })
    }

    /// The points a client sees: none while the replicas are still dead, half while updates wait.
    pub(crate) fn visible_points(&self) -> u64 {
        match (self.dead_polls_left, self.queued_polls_left) {
            (0, 0) => self.points_count(),
            (0, _) => self.points_count() / 2,
            _ => 0,
        }
    }

    /// `result` of `GET /collections/{c}`.
    pub(crate) fn info(&self) -> Value {
        let points = self.estimate.unwrap_or_else(|| self.visible_points());
        let schema: Map<String, Value> = self
            .payload_indexes
            .iter()
            .map(|(field, data_type)| (field.clone(), json!({ "data_type": data_type, "points": points })))
            .collect();
        let segments = self.config["optimizer_config"]["default_segment_number"].as_u64().unwrap_or(2);
        json!({
            "status": self.status, "optimizer_status": "ok", "indexed_vectors_count": 0,
            "points_count": if self.hides_points { Value::Null } else { json!(points) }, "segments_count": segments.max(1) * self.shards.len() as u64,
            "config": self.config, "payload_schema": schema, "update_queue": { "length": self.queued_polls_left },
        })
    }
}
