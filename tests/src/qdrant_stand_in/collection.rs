//! A collection on the server: configuration, shards, points, and the content of its snapshots.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::change::{Change, Resharding, Transfer, When};
use super::content::Content;
use super::data::GenuineSnapshot;
use super::generated::GeneratedSnapshot;
use super::origin;
use super::plain::{plain_config, split};
use super::points::Points;
use super::shard::{Shard, ranges};
use super::shard_archive::{Bulk, ShardArchive, ShardOrigin};

/// A collection of the stand-in.
#[derive(Clone, Debug)]
pub struct Collection {
    /// Name without escapes.
    pub name: String,
    /// `config` in the answer to `GET /collections/{c}`.
    pub config: Value,
    /// Payload indexes: field → data type.
    pub payload_indexes: BTreeMap<String, String>,
    /// The parameters of payload indexes that have any.
    pub index_params: BTreeMap<String, Value>,
    /// `green`, `yellow`, ….
    pub status: String,
    /// Shards, ordered by id.
    pub shards: Vec<Shard>,
    /// The content of its points.
    pub points: Points,
    /// The content of its snapshots.
    pub content: Content,
    /// The content of snapshots made on a node, if the nodes of a cluster differ.
    pub content_on_node: BTreeMap<usize, Content>,
    /// The body of `GET …/shards/{id}/snapshot`. Generated if missing.
    pub shard_content: BTreeMap<u32, Content>,
    /// The content of snapshots of a shard. Generated if missing.
    pub shard_snapshots: BTreeMap<u32, Content>,
    /// Generated shard snapshots with the settings they were generated from.
    pub(crate) made: BTreeMap<u32, (ShardArchive, Content)>,
    /// The settings for generated shard snapshots.
    pub(crate) bulk: Bulk,
    /// The snapshot content must be generated again, because the shards' points have changed.
    pub(crate) content_is_stale: bool,
    /// Transfers in progress, as listed by `…/cluster`.
    pub(crate) transfers: Vec<Transfer>,
    /// Reshardings in progress.
    pub(crate) reshardings: Vec<Resharding>,
    /// Scheduled changes.
    pub(crate) timeline: Vec<(When, Change)>,
    /// The number of points that `"exact": false` and `GET /collections/{c}` return, if it is different.
    pub estimate: Option<u64>,
    /// `GET /collections/{c}` does not return the number of points.
    pub hides_points: bool,
    /// The remaining tokens of `read_rate_limit`, and since when.
    pub(crate) read_tokens: Option<(f64, Instant)>,
    /// For this many more cluster polls its replicas are `Dead` and it counts 0 points.
    pub dead_polls_left: u32,
    /// For this many more polls of the collection its queue contains updates and it counts half of its points.
    pub queued_polls_left: u32,
}

impl Collection {
    /// The genuine collection with this name (for example `minilm_general`) from a server of this version.
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

    /// A collection with generated snapshots.
    pub fn generated(name: &str, snapshot: GeneratedSnapshot) -> Collection {
        let snapshot = GeneratedSnapshot { points_seed: name.to_owned(), ..snapshot };
        let content = Content::generated(&snapshot);
        let counts = split(snapshot.points(), snapshot.shards);
        let keys = snapshot.shard_keys.clone();
        let bulk = Bulk {
            size_bytes: snapshot.size_bytes / u64::from(snapshot.shards.max(1)),
            kind: snapshot.kind,
            seed: snapshot.seed,
        };
        let mut collection = Collection::new(name, snapshot.config, counts, content);
        collection.bulk = bulk;
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

    /// A collection whose snapshots are these bytes, valid or not.
    pub fn with_bytes(name: &str, points_count: u64, bytes: impl Into<bytes::Bytes>) -> Collection {
        let content = Content::bytes(bytes);
        Collection::new(name, plain_config(8, 1), vec![points_count], content)
    }

    /// Uses up `read_rate_limit`.
    pub fn exhaust_reads(&mut self) {
        self.read_tokens = Some((0.0, Instant::now()));
    }

    /// Whether it uses shard keys.
    pub(crate) fn is_custom(&self) -> bool {
        self.config["params"]["sharding_method"] == "custom"
    }

    /// The shard keys with their shards, ordered by shard.
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

    /// Generates the snapshot content again after a change of its shards.
    pub(crate) fn generate_content(&mut self) {
        let mut snapshot = GeneratedSnapshot::new(0).points_count(self.points_count());
        snapshot.config = self.config.clone();
        snapshot = snapshot.shard_keys(&self.shard_keys());
        snapshot.points_seed.clone_from(&self.points.seed);
        self.content = Content::generated(&snapshot);
    }

    /// The collection that a restore of this snapshot creates.
    ///
    /// # Errors
    /// When the content is not a snapshot.
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
            index_params: BTreeMap::new(),
            status: "green".to_owned(),
            shards,
            points: Points::new(name),
            content,
            content_on_node: BTreeMap::new(),
            shard_content: BTreeMap::new(),
            shard_snapshots: BTreeMap::new(),
            made: BTreeMap::new(),
            bulk: Bulk::default(),
            content_is_stale: false,
            transfers: Vec::new(),
            reshardings: Vec::new(),
            timeline: Vec::new(),
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

    /// Changes the number of points, by changing the first shards.
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

    /// Makes all replicas active, with all points of their shards.
    pub fn heal(&mut self) {
        for replica in self.shards.iter_mut().flat_map(|shard| &mut shard.replicas) {
            "Active".clone_into(&mut replica.state);
            replica.holds = None;
        }
    }

    pub(crate) fn shard_mut(&mut self, id: u32) -> Option<&mut Shard> {
        self.shards.iter_mut().find(|shard| shard.id == id)
    }

    /// The origin of that shard's points.
    pub(crate) fn shard_origin(&self, id: u32) -> Option<ShardOrigin> {
        let place = self.shards.iter().position(|shard| shard.id == id)?;
        let range = ranges(&self.shards).swap_remove(place);
        let points_count = range.end - range.start;
        Some(ShardOrigin { points: self.points.clone(), first_index: range.start, points_count })
    }

    pub(crate) fn shard_stream(&self, shard: u32) -> Content {
        self.shard_content.get(&shard).cloned().unwrap_or_else(|| {
            Content::bytes(GeneratedSnapshot::new(0).seed(u64::from(shard) + 1).shard_stream(shard))
        })
    }

    /// How many points clients see, if not all: none while the replicas are dead, half while updates are queued.
    pub(crate) fn hidden_but(&self, points: u64) -> Option<u64> {
        match (self.dead_polls_left, self.queued_polls_left) {
            (0, 0) => None,
            (0, _) => Some(points / 2),
            _ => Some(0),
        }
    }

    /// `result` of `GET /collections/{c}`, where clients see this many points.
    pub(crate) fn info(&self, visible: u64) -> Value {
        let points = self.estimate.unwrap_or(visible);
        let described = |(field, data_type): (&String, &String)| {
            let mut index = json!({ "data_type": data_type, "points": points });
            if let Some(params) = self.index_params.get(field) {
                index["params"] = params.clone();
            }
            (field.clone(), index)
        };
        let schema: Map<String, Value> = self.payload_indexes.iter().map(described).collect();
        let segments = self.config["optimizer_config"]["default_segment_number"].as_u64().unwrap_or(2);
        json!({
            "status": self.status, "optimizer_status": "ok", "indexed_vectors_count": 0,
            "points_count": if self.hides_points { Value::Null } else { json!(points) }, "segments_count": segments.max(1) * self.shards.len() as u64,
            "config": self.config, "payload_schema": schema, "update_queue": { "length": self.queued_polls_left },
        })
    }
}
