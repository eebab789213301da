//! A request as passed to the endpoints, and the server that handles it.

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

/// Maximum size of a body that is not an upload. No more than this is read.
const MAX_BODY_BYTES: usize = 32 << 20;

/// The parts of one server of the stand-in. The nodes of a cluster share the state.
pub(crate) struct Core {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) node: usize,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) log: RequestLog,
    pub(crate) path_prefix: String,
    /// Notified when a request kills the server.
    pub(crate) killed: Notify,
    /// The server's state after each request that may change something, if recording is on.
    pub(crate) history: Mutex<Option<Vec<Remembered>>>,
}

/// The server's state from a point in time on.
pub type Remembered = (DateTime<Utc>, State);

impl Core {
    /// A test that panics while it holds the lock must not break the server too.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the server.
    pub(crate) fn die(&self) {
        let mut state = self.state();
        if let Some(node) = state.nodes.get_mut(self.node).filter(|node| !node.down) {
            node.down = true;
            self.killed.notify_one();
        }
    }

    /// Records the server's state.
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

/// A request, read as far as every endpoint needs it.
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
    /// The snapshot folder of the collection or shard.
    pub(crate) fn folder(&self, state: &State) -> String {
        folder(&state.resolve(&self.route.collection), self.route.shard.parse().ok())
    }

    /// The result of `pick` for the first effect that it accepts.
    pub(crate) fn effect<T>(&self, pick: impl Fn(&Effect) -> Option<T>) -> Option<T> {
        self.effects.iter().find_map(pick)
    }
}

/// Reads a body to its end (within a limit), because clients may send it all before they read the answer.
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
