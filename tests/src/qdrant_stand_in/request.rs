//! A request as the endpoints get it, and the server that they answer for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::Notify;

use super::effect::Effect;
use super::faults::Faults;
use super::node::folder;
use super::request_log::RequestLog;
use super::route::Route;
use super::state::State;

/// Bodies that are not uploads; more than this is not read.
const MAX_BODY_BYTES: usize = 32 << 20;

/// What one server of the stand-in consists of. The nodes of a cluster share the state.
pub(crate) struct Core {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) node: usize,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) log: RequestLog,
    pub(crate) path_prefix: String,
    /// Told when the server is killed by one of its own requests.
    pub(crate) killed: Notify,
    /// What the server knew after each request that may change something, where that is remembered.
    pub(crate) history: Mutex<Option<Vec<Remembered>>>,
}

/// What the server knew from a moment on.
pub type Remembered = (DateTime<Utc>, State);

impl Core {
    /// A test that panicked while it held the state must not take the server down as well.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server is killed.
    pub(crate) fn die(&self) {
        let mut state = self.state();
        if let Some(node) = state.nodes.get_mut(self.node).filter(|node| !node.down) {
            node.down = true;
            self.killed.notify_one();
        }
    }

    /// Notes what the server knows now.
    pub(crate) fn remember(&self) {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(history) = history.as_mut() {
            let state = self.state();
            history.push((state.clock.now(), state.clone()));
        }
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request, read as far as every endpoint wants it.
pub(crate) struct Asked {
    pub(crate) route: Route,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Option<Value>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) started: Instant,
    pub(crate) node: usize,
    pub(crate) log_number: usize,
}

impl Asked {
    /// The collection's snapshot folder, or the shard's.
    pub(crate) fn folder(&self, state: &State) -> String {
        folder(&state.resolve(&self.route.collection), self.route.shard.parse().ok())
    }

    /// What the first effect that `pick` knows says.
    pub(crate) fn effect<T>(&self, pick: impl Fn(&Effect) -> Option<T>) -> Option<T> {
        self.effects.iter().find_map(pick)
    }
}

/// Reads a body to its end (within reason), so that the client can send it all before it reads the answer.
pub(crate) async fn drain(core: &Core, log_number: usize, mut body: Incoming) -> Option<Value> {
    let mut bytes = BytesMut::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > MAX_BODY_BYTES {
            break;
        }
    }
    let json: Option<Value> = serde_json::from_slice(&bytes).ok();
    core.log.body_read(log_number, bytes.len() as u64, json.clone().unwrap_or(Value::Null));
    json
}
