//! Accepts connections until it is told to stop, and then waits for those that are being answered.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::config::Live;
use super::connection;
use super::gate::Gate;
use super::limits::Limits;
use super::queue::Client;
use super::routes::Routes;
use crate::observe::Observer;

/// Connections at once: more than a thousand clients in one instant, and still little memory.
const MOST_CONNECTIONS: u64 = 1280;

/// File descriptors that are not connections: directories, files, listeners, the log.
const OTHER_DESCRIPTORS: u64 = 64;

/// How long requests that are being answered may take when the program has to end.
const GRACE: Duration = Duration::from_secs(15);

/// The web server.
pub struct Server(Arc<Gate>);

impl Server {
    /// A server that answers by what `observer` sees, as many as `max_requests` at once, with the metrics at `telemetry_path`.
    pub fn new(
        live: Live,
        telemetry_path: String,
        max_requests: u32,
        observer: Observer,
        clock: fn() -> DateTime<Utc>,
    ) -> Self {
        let limits = Limits::new(most_connections(), max_requests);
        Self(Arc::new(Gate::new(live, limits, Routes::new(telemetry_path, observer, clock))))
    }

    /// Accepts on `listeners` until `stop` ends, then closes what is idle and waits a while for what is not. Says
    /// whether everything ended by itself.
    pub async fn run(&self, listeners: Vec<TcpListener>, stop: impl Future<Output = ()>) -> bool {
        let (stopping, stopped) = watch::channel(false);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(accept(listener, Arc::clone(&self.0), stopped.clone()));
        }
        stop.await;
        accepting.shutdown().await;
        stopping.send_replace(true);
        timeout(GRACE, self.0.limits().all_gone()).await.is_ok()
    }
}

async fn accept(listener: TcpListener, gate: Arc<Gate>, stop: watch::Receiver<bool>) {
    // Who comes when every place is taken waits in the system's own queue, and is refused there when that is full.
    while let Some(place) = gate.limits().place().await {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let client = Client { address: peer.ip(), since: Instant::now() };
                tokio::spawn(connection::serve(Arc::clone(&gate), socket, client, place, stop.clone()));
            }
            Err(error) => {
                // Mostly too many open files, which passes; asking again at once would only burn time.
                warn!(err = %error, "Unable to accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// As many connections as the system lets us have, after asking for all that it would.
fn most_connections() -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it cannot be raised, what there is has to do.
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let most = current.unwrap_or(u64::MAX).saturating_sub(OTHER_DESCRIPTORS).clamp(16, MOST_CONNECTIONS);
    u32::try_from(most).unwrap_or(16)
}
