//! A cluster with collections of every kind: stand-ins, or the real cluster at `QDRANT_URL` and `QDRANT_NODES` if
//! these are set.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::nodes::Nodes;
use crate::qdrant_stand_in::{Collection, GeneratedSnapshot, Setup, StandInCluster};

/// The points of each collection.
pub const POINTS: u64 = 150;

/// A cluster with a few collections that belong to this test. They are removed at the end.
pub struct Cluster {
    stand_in: Option<StandInCluster>,
    /// Queries the cluster's nodes.
    pub nodes: Nodes,
    collections: Vec<String>,
    stem: String,
}

/// One kind of collection.
struct Kind {
    name: &'static str,
    /// The part of `config.params` that defines this kind. The request that creates the collection contains it too.
    params: Value,
    shards: u32,
    copies: u32,
}

fn kinds() -> Vec<Kind> {
    let plain = json!({ "vectors": { "size": 8, "distance": "Cosine" } });
    let kind = |name, params: &Value, shards, copies| Kind { name, params: params.clone(), shards, copies };
    let named = json!({ "vectors": { "a": { "size": 8, "distance": "Dot" }, "b": { "size": 4, "distance": "Euclid" } } });
    let sparse =
        json!({ "vectors": { "a": { "size": 4, "distance": "Dot" } }, "sparse_vectors": { "s": {} } });
    let many = json!({
        "vectors": { "m": { "size": 4, "distance": "Dot", "multivector_config": { "comparator": "max_sim" } } }
    });
    vec![
        kind("plain", &plain, 3, 1),
        kind("named", &named, 2, 1),
        kind("sparse", &sparse, 3, 1),
        kind("multivector", &many, 2, 1),
        kind("twice", &plain, 3, 2),
        kind("empty", &plain, 3, 2),
    ]
}

/// The collection with custom sharding, whose shard ids have a gap.
const KEYED: &str = "keyed";
const KEYS: [(&str, u32); 2] = [("eu", 2), ("us", 1)];

impl Cluster {
    /// A cluster with a collection of each kind.
    pub fn with_samples() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        match (variable("QDRANT_URL"), variable("QDRANT_NODES")) {
            (Some(url), Some(nodes)) => Self::real(&url, &nodes),
            _ => Self::stand_in(),
        }
    }

    fn stand_in() -> Self {
        let mut setup = Setup::cluster(3);
        let mut collections = Vec::new();
        for Kind { name, params, shards, copies } in kinds() {
            let points = if name == "empty" { 0 } else { POINTS };
            let mut snapshot = GeneratedSnapshot::new(100 << 10).points_count(points).shards(shards);
            snapshot.config["params"]
                .as_object_mut()
                .expect("parameters")
                .extend(params.as_object().expect("parameters").clone());
            setup = setup.spread(Collection::generated(name, snapshot), copies);
            collections.push(name.to_owned());
        }
        let keys = [(json!("eu"), vec![1, 2]), (json!("us"), vec![4])];
        let snapshot = GeneratedSnapshot::new(100 << 10).points_count(POINTS).shard_keys(&keys);
        setup = setup.spread(Collection::generated(KEYED, snapshot), 2);
        collections.push(KEYED.to_owned());
        let cluster = StandInCluster::start_with(setup);
        let nodes = Nodes::at(&cluster.urls());
        Self { stand_in: Some(cluster), nodes, collections, stem: String::new() }
    }

    fn real(url: &str, nodes: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let trimmed = |url: &str| url.trim().trim_end_matches('/').to_owned();
        let mut urls: Vec<String> = nodes.split(',').map(trimmed).collect();
        // The node that receives the request comes first.
        urls.retain(|node| *node != trimmed(url));
        urls.insert(0, trimmed(url));
        let stem = format!("qb-e2e-{}-c{}-", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let mut cluster = Self { stand_in: None, nodes: Nodes::at(&urls), collections: Vec::new(), stem };
        for kind in kinds() {
            let name = format!("{}{}", cluster.stem, kind.name);
            let mut body = kind.params.clone();
            body["shard_number"] = json!(kind.shards);
            body["replication_factor"] = json!(kind.copies);
            cluster.make(&name, &body);
            if kind.name != "empty" {
                cluster.fill(&name, 0..POINTS, &kind.params, None);
            }
        }
        let name = format!("{}{KEYED}", cluster.stem);
        let params = json!({ "vectors": { "size": 8, "distance": "Cosine" } });
        let mut body = params.clone();
        body["sharding_method"] = json!("custom");
        body["replication_factor"] = json!(2);
        cluster.make(&name, &body);
        let shards = format!("/collections/{name}/shards");
        let mut from = 0;
        for (key, number) in KEYS {
            let body = json!({ "shard_key": key, "shards_number": number });
            cluster.nodes.ask(0, Method::PUT, &shards, Some(&body));
            cluster.fill(&name, from..from + POINTS / 2, &params, Some(key));
            from += POINTS / 2;
            if key == "eu" {
                // It uses up an id and is dropped again.
                let gap = json!({ "shard_key": "gone" });
                cluster.nodes.ask(0, Method::PUT, &shards, Some(&gap));
                cluster.nodes.ask(0, Method::POST, &format!("{shards}/delete"), Some(&gap));
            }
        }
        cluster
    }

    fn make(&mut self, name: &str, body: &Value) {
        self.collections.push(name.to_owned());
        self.nodes.ask(0, Method::PUT, &format!("/collections/{name}"), Some(body));
        let index = json!({ "field_name": "n", "field_schema": "integer" });
        self.nodes.ask(0, Method::PUT, &format!("/collections/{name}/index?wait=true"), Some(&index));
    }

    fn fill(&self, name: &str, ids: std::ops::Range<u64>, params: &Value, key: Option<&str>) {
        let points: Vec<Value> = ids.map(|id| point(id, params)).collect();
        let mut body = json!({ "points": points });
        if let Some(key) = key {
            body["shard_key"] = json!(key);
        }
        let path = format!("/collections/{name}/points?wait=true&ordering=strong");
        self.nodes.ask(0, Method::PUT, &path, Some(&body));
    }

    /// The URL that is configured.
    pub fn url(&self) -> &str {
        &self.nodes.urls()[0]
    }

    /// The URLs of all nodes, as in the configuration.
    pub fn list(&self) -> String {
        format!("[{}]", self.nodes.urls().join(", "))
    }

    /// The names of this test's collections.
    pub fn collections(&self) -> &[String] {
        &self.collections
    }

    /// Whether the collection uses shard keys.
    pub fn is_keyed(&self, collection: &str) -> bool {
        collection.ends_with(KEYED)
    }

    /// `--collection NAME` for each collection of this test, because a real cluster may have others.
    pub fn selection(&self) -> Vec<&str> {
        self.collections.iter().flat_map(|name| ["--collection", name.as_str()]).collect()
    }

    /// Every snapshot of a shard of `collection` on any node.
    pub fn snapshots(&self, collection: &str) -> Vec<String> {
        let mut found = Vec::new();
        for node in 0..self.nodes.count() {
            let path = format!("/collections/{collection}/cluster");
            let shards = self.nodes.ask(node, Method::GET, &path, None)["local_shards"].take();
            for shard in shards.as_array().into_iter().flatten() {
                let path = format!("/collections/{collection}/shards/{}/snapshots", shard["shard_id"]);
                let list = self.nodes.ask(node, Method::GET, &path, None);
                let names = list.as_array().cloned().unwrap_or_default();
                found.extend(names.iter().map(|entry| entry["name"].to_string()));
            }
        }
        found
    }

    /// Removes a collection that a test created.
    pub fn delete(&self, collection: &str) {
        self.nodes.ask(0, Method::DELETE, &format!("/collections/{collection}"), None);
    }

    /// The collections of this test, including those restored beside them.
    pub fn names(&self) -> Vec<String> {
        self.nodes.collections().into_iter().filter(|name| name.contains(&self.stem)).collect()
    }
}

/// A point with the vectors that `params` require.
fn point(id: u64, params: &Value) -> Value {
    // Halves, because Qdrant parses two rows of whole numbers as a sparse vector.
    let numbers = |size: u64, salt: u64| -> Vec<f64> {
        (0..size).map(|at| 1.5 + ((id * 7 + at * 3 + salt) % 23) as f64).collect()
    };
    let dense = |vector: &Value, salt: u64| {
        let size = vector["size"].as_u64().expect("a size");
        if vector["multivector_config"].is_null() {
            json!(numbers(size, salt))
        } else {
            (0..=id % 3).map(|row| json!(numbers(size, salt + row))).collect()
        }
    };
    let vectors = &params["vectors"];
    let vector = if vectors["size"].is_null() {
        let mut named = serde_json::Map::new();
        for ((name, vector), salt) in vectors.as_object().into_iter().flatten().zip(0..) {
            named.insert(name.clone(), dense(vector, salt));
        }
        for name in params["sparse_vectors"].as_object().into_iter().flatten().map(|(name, _)| name) {
            let sparse = json!({ "indices": [id % 5, 10 + id % 7, 40], "values": numbers(3, 1) });
            named.insert(name.clone(), sparse);
        }
        Value::Object(named)
    } else {
        dense(vectors, 0)
    };
    json!({ "id": id, "vector": vector, "payload": { "n": id, "text": format!("point {id}"), "deep": { "list": [id, null, "ü"] } } })
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Also cleans up a real cluster after a failed test.
        if self.stand_in.is_none() {
            for name in self.names() {
                self.delete(&name);
            }
        }
    }
}
