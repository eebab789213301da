//! Accepts and serves connections until the program must stop, then waits for requests in progress.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::answer::Pieces;
use super::config::Live;
use super::gate::Gate;
use super::limits::{Limits, Phase};
use super::routes::Routes;
use crate::observe::Observer;
use crate::stop::Stop;

/// Maximum number of connections: enough for more than a thousand simultaneous clients, with little memory.
const MOST_CONNECTIONS: u64 = 1280;

/// File descriptors reserved for other uses: directories, files, listeners, the log.
const OTHER_DESCRIPTORS: u64 = 64;

/// Maximum time for requests in progress when the program must stop.
const GRACE: Duration = Duration::from_secs(15);

/// Maximum size of a request's head. Larger ones get 431.
const HEAD_BYTES: usize = 16 << 10;

/// Listens on `address` in Prometheus' notation: `127.0.0.1:19854`, `[::1]:19854`, `localhost:19854`, or `:19854` for
/// every address of the machine.
///
/// # Errors
/// When it is not an address, or the system refuses.
pub async fn listen(address: &str) -> Result<TcpListener, Stop> {
    let refuse = |why: String| Stop::Failure(format!("--web.listen-address: {why}"));
    let port = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let listener = match port {
        None => return Err(refuse(format!("{address:?} is not HOST:PORT or :PORT"))),
        Some(("", port)) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            // IPv6 including IPv4. If the machine has no IPv6, IPv4 only.
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) =>
            {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
            }
            result => result,
        },
        Some(_) => TcpListener::bind(address).await,
    };
    listener.map_err(|error| refuse(format!("cannot listen on {address}: {error}")))
}

/// The web server.
pub struct Server(Arc<Gate>);

impl Server {
    /// A server that answers with the observations of `observer`, at most `max_requests` at once, with the metrics at
    /// `telemetry_path`.
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

    /// Accepts connections on `listeners` until `stop` resolves, then closes idle connections and waits for the
    /// others for some time. Returns whether all of them ended on their own.
    pub async fn run(&self, listeners: Vec<TcpListener>, stop: impl Future<Output = ()>) -> bool {
        let (stopping, stopped) = watch::channel(false);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(accept(listener, Arc::clone(&self.0), stopped.clone()));
        }
        stop.await;
        accepting.shutdown().await;
        stopping.send_replace(true);
        timeout(GRACE, self.0.limits.all_gone()).await.is_ok()
    }
}

async fn accept(listener: TcpListener, gate: Arc<Gate>, stop: watch::Receiver<bool>) {
    // If the limit is reached, new connections wait in the system's queue. If that is full too, the system refuses
    // them.
    while let Some(place) = gate.limits.place().await {
        match listener.accept().await {
            Ok((socket, peer)) => {
                let (gate, stop) = (Arc::clone(&gate), stop.clone());
                tokio::spawn(async move {
                    serve(&gate, socket, peer.ip(), stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Usually too many open files, which is temporary. An immediate retry would only waste CPU time.
                warn!(err = %error, "Unable to accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves `socket` until the client disconnects or takes too long, or until `stop` requires all connections to end.
async fn serve(gate: &Arc<Gate>, socket: TcpStream, client: IpAddr, mut stop: watch::Receiver<bool>) {
    let (phase, phases) = watch::channel(Phase::Asking);
    let conversation = async {
        socket.set_nodelay(true).map_err(|error| error.to_string())?;
        let Some(tls) = gate.tls().await else { return http(gate, socket, client, phase, stop).await };
        let agreed = tokio::select! {
            agreed = TlsAcceptor::from(tls).accept(socket) => agreed,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let stream = agreed.map_err(|error| format!("TLS handshake: {error}"))?;
        http(gate, stream, client, phase, stop).await
    };
    tokio::select! {
        result = conversation => if let Err(error) = result {
            debug!(err = error.as_str(), "Connection failed");
        },
        () = gate.limits.overdue(phases) => debug!("Closed a connection: the client is too slow"),
    }
}

pub(super) async fn http(
    gate: &Arc<Gate>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    client: IpAddr,
    phase: watch::Sender<Phase>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let service = service_fn(|request: Request<Incoming>| {
        let (gate, phase) = (Arc::clone(gate), phase.clone());
        phase.send_replace(Phase::Answering);
        // The exporter ignores the body of a request without reading it.
        let (head, _) = request.into_parts();
        async move {
            let (answer, turn) = gate.answer(&head, client).await;
            Ok::<_, Infallible>(answer.map(|bytes| Pieces::new(bytes, turn, phase)))
        }
    });
    let connection = http1::Builder::new()
        // `limits` handles timeouts. hyper's own timeout would apply the limit for a head to idle connections.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result.map_err(|error| error.to_string()),
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(|error| error.to_string())
}

/// The maximum number of connections that the system allows, after raising its limit.
fn most_connections() -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // If it cannot be raised, the current limit has to do.
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let most = current.unwrap_or(u64::MAX).saturating_sub(OTHER_DESCRIPTORS).clamp(16, MOST_CONNECTIONS);
    u32::try_from(most).unwrap_or(16)
}
