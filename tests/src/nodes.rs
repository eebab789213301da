//! The nodes of a cluster, each queried directly over HTTP, as Qdrant clients do.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{http_client, look, send};

/// Points per answer: fewer than most tests have, so that there are several answers.
const PAGE: u32 = 64;

/// Queries the nodes of a cluster: the stand-in's or a real one's.
pub struct Nodes {
    urls: Vec<String>,
    key: Option<String>,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Nodes {
    /// Nodes at these URLs.
    pub fn at(urls: &[String]) -> Self {
        Self {
            urls: urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect(),
            key: std::env::var("QDRANT_API_KEY").ok(),
            runtime: tokio::runtime::Runtime::new().expect("a runtime"),
            client: http_client(),
        }
    }

    /// Like [`Nodes::at`], with this key unless the environment has one.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        Self { key: self.key.or(Some(key.to_owned())), ..self }
    }

    /// The number of nodes.
    pub fn count(&self) -> usize {
        self.urls.len()
    }

    /// The nodes' URLs.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// The `result` of a request to one node. The request must succeed.
    #[track_caller]
    pub fn ask(&self, node: usize, method: Method, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}{path}", self.urls[node]);
        self.runtime.block_on(send(&self.client, method, &url, body, self.key.as_deref()))["result"].take()
    }

    /// The `result` of a GET request, or None if that does not exist.
    #[track_caller]
    pub fn find(&self, node: usize, path: &str) -> Option<Value> {
        let url = format!("{}{path}", self.urls[node]);
        let mut answer = self.runtime.block_on(look(&self.client, &url, self.key.as_deref()))?;
        Some(answer["result"].take())
    }

    /// The names of the collections.
    pub fn collections(&self) -> Vec<String> {
        let all = self.ask(0, Method::GET, "/collections", None)["collections"].take();
        let names = all.as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// The names of the snapshots at a path; empty if the path does not exist.
    pub fn snapshots(&self, node: usize, path: &str) -> Vec<String> {
        let list = self.find(node, &format!("{path}/snapshots")).unwrap_or_default();
        let names = list.as_array().into_iter().flatten().filter_map(|entry| entry["name"].as_str());
        names.map(str::to_owned).collect()
    }

    /// Every point of `collection` with payload and vectors, by scrolling on that node.
    #[track_caller]
    pub fn points(&self, node: usize, collection: &str) -> Vec<Value> {
        let path = format!("/collections/{collection}/points/scroll");
        let (mut points, mut offset) = (Vec::new(), Value::Null);
        loop {
            let body = json!({ "limit": PAGE, "offset": offset, "with_payload": true, "with_vector": true });
            let mut page = self.ask(node, Method::POST, &path, Some(&body));
            points.extend(page["points"].as_array().expect("points").iter().cloned());
            offset = page["next_page_offset"].take();
            if offset.is_null() {
                return points;
            }
        }
    }

    /// Fails the test unless every node returns exactly these points.
    #[track_caller]
    pub fn assert_points(&self, collection: &str, expected: &[Value]) {
        for node in 0..self.count() {
            let points = self.points(node, collection);
            assert_eq!(points.len(), expected.len(), "{collection} on {}", self.urls[node]);
            for (point, expected) in points.iter().zip(expected) {
                assert_eq!(point, expected, "{collection} on {}", self.urls[node]);
            }
        }
    }

    /// Every replica of every shard: id, key and state, in ascending order of ids.
    pub fn replicas(&self, collection: &str) -> Vec<(u64, Value, String)> {
        let cluster = self.ask(0, Method::GET, &format!("/collections/{collection}/cluster"), None);
        let parts = ["local_shards", "remote_shards"];
        let all = parts.iter().flat_map(|part| cluster[part].as_array().cloned().unwrap_or_default());
        let mut replicas: Vec<(u64, Value, String)> = all
            .map(|shard| {
                let state = shard["state"].as_str().expect("a state").to_owned();
                (shard["shard_id"].as_u64().expect("an id"), shard["shard_key"].clone(), state)
            })
            .collect();
        replicas.sort_by_key(|(id, _, _)| *id);
        replicas
    }
}
