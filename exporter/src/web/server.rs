//! Accepts connections until it is told to stop, and then waits for those that are being answered.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::config::Live;
use super::connection;
use super::gate::Gate;
use super::routes::{Paths, Routes};
use super::turns::Turns;
use super::visitors::Visitors;
use crate::observe::Observer;

/// Connections at once: more than a thousand clients in one instant, and still little memory.
const MOST_CONNECTIONS: u64 = 1280;

/// File descriptors that are not connections: directories, files, listeners, the log.
const OTHER_DESCRIPTORS: u64 = 64;

/// How long requests that are being answered may take when the program has to end.
const GRACE: Duration = Duration::from_secs(15);

/// What is served.
pub struct Site {
    /// TLS, users, headers.
    pub live: Live,
    /// Where things are.
    pub paths: Paths,
    /// The most requests that are answered at once.
    pub max_requests: u32,
    /// Who looks at the files.
    pub observer: Arc<Observer>,
    /// What time it is.
    pub clock: fn() -> DateTime<Utc>,
}

/// The web server.
pub struct Server {
    gate: Arc<Gate>,
    visitors: Arc<Visitors>,
}

impl Server {
    /// A server of `site`.
    pub fn new(site: Site) -> Self {
        let visitors = Arc::new(Visitors::new(most_connections()));
        let routes = Routes::new(site.paths, site.observer, site.clock);
        let gate = Gate::new(site.live, Turns::new(site.max_requests), Arc::clone(&visitors), routes);
        Self { gate: Arc::new(gate), visitors }
    }

    /// Accepts on `listeners` until `stop` ends, then closes what is idle and waits a while for what is not. Says
    /// whether everything ended by itself.
    pub async fn run(&self, listeners: Vec<TcpListener>, stop: impl Future<Output = ()>) -> bool {
        let (stopping, stopped) = watch::channel(false);
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                let (gate, visitors, stopped) =
                    (Arc::clone(&self.gate), Arc::clone(&self.visitors), stopped.clone());
                tokio::spawn(accept(listener, gate, visitors, stopped))
            })
            .collect();
        stop.await;
        stopping.send_replace(true);
        for accepting in accepting {
            // A task that panicked accepts nothing more either.
            accepting.await.unwrap_or(());
        }
        timeout(GRACE, self.visitors.gone()).await.is_ok()
    }
}

async fn accept(
    listener: TcpListener,
    gate: Arc<Gate>,
    visitors: Arc<Visitors>,
    stop: watch::Receiver<bool>,
) {
    let mut stopping = stop.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok((socket, peer)) => match visitors.admit() {
                Some(place) => {
                    let gate = Arc::clone(&gate);
                    tokio::spawn(connection::serve(gate, socket, peer.ip(), place, stop.clone()));
                }
                None => debug!("Connection refused: every place is taken by a request under way"),
            },
            Err(error) => {
                // Mostly too many open files, which passes; asking again at once would only burn time.
                warn!(err = %error, "Unable to accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// As many connections as the system lets us have, after asking for all that it would.
fn most_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it cannot be raised, what there is has to do.
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let most = current.unwrap_or(u64::MAX).saturating_sub(OTHER_DESCRIPTORS).clamp(16, MOST_CONNECTIONS);
    usize::try_from(most).unwrap_or(16)
}
