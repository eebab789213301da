//! The Qdrant that an end-to-end test uses: the stand-in, or a real one if `QDRANT_URL` is set.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::qdrant_stand_in::{Setup, StandIn};

/// A Qdrant with a few collections that belong to this test. They are removed at the end.
pub struct Server {
    kind: Kind,
    collections: Vec<String>,
}

enum Kind {
    StandIn(Box<StandIn>),
    Real { url: String, runtime: tokio::runtime::Runtime, client: reqwest::Client },
}

impl Server {
    /// A server with two collections of points and an empty one.
    pub fn with_samples() -> Self {
        match std::env::var("QDRANT_URL") {
            Ok(url) if !url.is_empty() => Self::real(&url),
            Ok(_) | Err(_) => Self {
                kind: Kind::StandIn(Box::new(StandIn::start(Setup::sample()))),
                collections: ["empty", "minilm_general", "mixtral_embeddings"].map(str::to_owned).to_vec(),
            },
        }
    }

    fn real(url: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let stem = format!("qb-e2e-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let server = Self {
            kind: Kind::Real {
                url: url.trim_end_matches('/').to_owned(),
                runtime: tokio::runtime::Runtime::new().expect("a runtime"),
                client: http_client(),
            },
            collections: ["empty", "small", "larger"].map(|name| format!("{stem}-{name}")).to_vec(),
        };
        for (name, points) in server.collections.iter().zip([0_u32, 100, 250]) {
            let body = json!({ "vectors": { "size": 8, "distance": "Cosine" } });
            server.ask(Method::PUT, &format!("/collections/{name}"), Some(&body));
            if points > 0 {
                let points: Vec<Value> = (0..points)
                    .map(|id| json!({ "id": id, "vector": [1, id, 2, 3, id % 7, 5, 6, 7], "payload": { "n": id } }))
                    .collect();
                let path = format!("/collections/{name}/points?wait=true");
                server.ask(Method::PUT, &path, Some(&json!({ "points": points })));
            }
        }
        server
    }

    /// Its URL.
    pub fn url(&self) -> String {
        match &self.kind {
            Kind::StandIn(stand_in) => stand_in.url(),
            Kind::Real { url, .. } => url.clone(),
        }
    }

    /// The names of this test's collections: an empty one, one with 100 points, one with 250.
    pub fn collections(&self) -> &[String] {
        &self.collections
    }

    /// `--collection NAME` for each collection of this test, because a real server may have others.
    pub fn selection(&self) -> Vec<&str> {
        self.collections.iter().flat_map(|name| ["--collection", name.as_str()]).collect()
    }

    /// The names of the snapshots that `collection` has on the server.
    pub fn snapshot_names(&self, collection: &str) -> Vec<String> {
        match &self.kind {
            Kind::StandIn(stand_in) => stand_in.snapshot_names(collection),
            Kind::Real { .. } => {
                let answer = self.ask(Method::GET, &format!("/collections/{collection}/snapshots"), None);
                let list = answer["result"].as_array().cloned().unwrap_or_default();
                list.iter().filter_map(|entry| Some(entry["name"].as_str()?.to_owned())).collect()
            }
        }
    }

    /// Every point of `collection` with payload and vectors, ordered by id.
    pub fn points(&self, collection: &str) -> Value {
        match &self.kind {
            Kind::StandIn(stand_in) => {
                stand_in.state(|state| Value::Array(state.collection_mut(collection).whole_points()))
            }
            Kind::Real { .. } => {
                let body = json!({ "limit": 10_000, "with_payload": true, "with_vector": true });
                let path = format!("/collections/{collection}/points/scroll");
                self.ask(Method::POST, &path, Some(&body))["result"]["points"].clone()
            }
        }
    }

    /// Writes whole points, as a client would.
    pub fn write(&self, collection: &str, points: &[Value]) {
        match &self.kind {
            Kind::StandIn(stand_in) => stand_in.state(|state| {
                let collection = state.collection_mut(collection);
                points.iter().for_each(|point| collection.write_point(point.clone()));
            }),
            Kind::Real { .. } => {
                let path = format!("/collections/{collection}/points?wait=true");
                self.ask(Method::PUT, &path, Some(&json!({ "points": points })));
            }
        }
    }

    /// Deletes points by their ids, as a client would.
    pub fn delete_points(&self, collection: &str, ids: &[Value]) {
        match &self.kind {
            Kind::StandIn(stand_in) => stand_in.state(|state| {
                let collection = state.collection_mut(collection);
                ids.iter().for_each(|id| collection.delete_point(id));
            }),
            Kind::Real { .. } => {
                let path = format!("/collections/{collection}/points/delete?wait=true");
                self.ask(Method::POST, &path, Some(&json!({ "points": ids })));
            }
        }
    }

    /// The names of scratch collections on the server.
    pub fn scratch_collections(&self) -> Vec<String> {
        let names: Vec<String> = match &self.kind {
            Kind::StandIn(stand_in) => stand_in.state(|state| state.collections.keys().cloned().collect()),
            Kind::Real { .. } => {
                let answer = self.ask(Method::GET, "/collections", None);
                let list = answer["result"]["collections"].as_array().cloned().unwrap_or_default();
                list.iter().filter_map(|entry| Some(entry["name"].as_str()?.to_owned())).collect()
            }
        };
        let ours =
            |name: &String| self.collections.iter().any(|own| name.starts_with(&format!("{own}__drill_")));
        names.into_iter().filter(ours).collect()
    }

    /// Removes a collection that a test created.
    pub fn delete(&self, collection: &str) {
        match &self.kind {
            Kind::StandIn(stand_in) => stand_in.state(|state| drop(state.collections.remove(collection))),
            Kind::Real { .. } => drop(self.ask(Method::DELETE, &format!("/collections/{collection}"), None)),
        }
    }

    fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let Kind::Real { url, runtime, client } = &self.kind else {
            panic!("only real servers get requests")
        };
        let key = std::env::var("QDRANT_API_KEY").ok();
        runtime.block_on(send(client, method, &format!("{url}{path}"), body, key.as_deref()))
    }
}

/// A client for plain HTTP.
pub(crate) fn http_client() -> reqwest::Client {
    // One connection per request, so that a request never uses a connection that the server is closing as idle.
    let builder = reqwest::Client::builder().pool_max_idle_per_host(0);
    builder.tls_backend_preconfigured(plain_tls()).build().expect("a client")
}

/// The answer to a request, which must succeed.
pub(crate) async fn send(
    client: &reqwest::Client,
    method: Method,
    url: &str,
    body: Option<&Value>,
    key: Option<&str>,
) -> Value {
    let mut request = client.request(method, url);
    if let Some(key) = key {
        request = request.header("api-key", key);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.expect("Qdrant answers");
    let status = response.status();
    let text = response.text().await.expect("an answer");
    assert!(status.is_success(), "{url}: {status}: {text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The answer to a request, or None if it was 404.
pub(crate) async fn look(client: &reqwest::Client, url: &str, key: Option<&str>) -> Option<Value> {
    let request = client.get(url);
    let request = if let Some(key) = key { request.header("api-key", key) } else { request };
    let response = request.send().await.expect("Qdrant answers");
    if response.status() == 404 {
        return None;
    }
    assert!(response.status().is_success(), "{url}: {}", response.status());
    Some(serde_json::from_str(&response.text().await.expect("an answer")).expect("JSON"))
}

fn plain_tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Kind::Real { .. } = self.kind {
            for name in self.collections.clone() {
                for snapshot in self.snapshot_names(&name) {
                    self.ask(Method::DELETE, &format!("/collections/{name}/snapshots/{snapshot}"), None);
                }
                self.ask(Method::DELETE, &format!("/collections/{name}"), None);
            }
        }
    }
}
