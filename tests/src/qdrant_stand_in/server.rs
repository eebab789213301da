//! The running stand-in: a listener with its own thread, and the interface for tests.

use std::io;
use std::net::{self, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio_rustls::TlsAcceptor;

use super::content::Content;
use super::faults::Faults;
use super::handler::handle;
use super::node::{Node, StoredSnapshot, folder};
use super::request::{Core, Remembered};
use super::request_log::{LoggedRequest, RequestLog};
use super::setup::Setup;
use super::state::State;
use super::tls::{ClientIdentity, Tls};

/// Maximum time for the server's tasks to end when it is stopped.
const STOPPING: Duration = Duration::from_millis(200);

/// A server that runs until it is dropped.
pub struct StandIn {
    core: Arc<Core>,
    address: SocketAddr,
    authority_pem: Option<String>,
    client_identity: Option<ClientIdentity>,
    acceptor: Option<TlsAcceptor>,
    running: Mutex<Option<Running>>,
}

/// The parts of a running server, which stop when dropped.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts a server.
    ///
    /// # Panics
    /// When it cannot be started; see [`StandIn::try_start`].
    pub fn start(setup: Setup) -> StandIn {
        match StandIn::try_start(setup) {
            Ok(stand_in) => stand_in,
            Err(error) => panic!("the stand-in did not start: {error}"),
        }
    }

    /// Starts a server.
    ///
    /// # Errors
    /// When the port is in use, or certificates or threads cannot be created.
    pub fn try_start(setup: Setup) -> io::Result<StandIn> {
        let state = Arc::new(Mutex::new(setup.state.clone()));
        let tls = setup.tls.as_ref().map(Tls::make).transpose()?;
        StandIn::start_node(setup, tls, state, 0)
    }

    /// Starts the server with the genuine collections: [`Setup::sample`].
    pub fn sample() -> StandIn {
        StandIn::start(Setup::sample())
    }

    /// Starts one node with a shared state.
    pub(crate) fn start_node(
        setup: Setup,
        tls: Option<Tls>,
        state: Arc<Mutex<State>>,
        node: usize,
    ) -> io::Result<StandIn> {
        let core = Arc::new(Core {
            state,
            node,
            faults: Mutex::new(setup.faults),
            log: RequestLog::default(),
            path_prefix: setup.path_prefix,
            killed: Notify::new(),
            history: Mutex::default(),
        });
        let (acceptor, authority_pem, client_identity) = match tls {
            Some(tls) => (Some(tls.acceptor), Some(tls.authority_pem), tls.client),
            None => (None, None, None),
        };
        let host = core.state().nodes.get(node).map_or(Ipv4Addr::LOCALHOST, |node| node.host);
        let (address, running) = Running::start((host, setup.port).into(), core.clone(), acceptor.clone())?;
        let running = Mutex::new(Some(running));
        Ok(StandIn { core, address, authority_pem, client_identity, acceptor, running })
    }

    /// Kills the server: connections are closed, new ones are refused, and unfinished creations are lost. Files on
    /// its disk stay. Other nodes of the cluster cannot connect to it.
    pub fn go_down(&self) {
        drop(self.running().take());
        let node = self.core.node;
        if let Some(node) = self.core.state().nodes.get_mut(node) {
            node.down = true;
        }
    }

    /// Restarts it at the same address and port as a new process.
    ///
    /// # Panics
    /// When the port is in use.
    pub fn come_up(&self) {
        let mut running = self.running();
        if !self.core.state().nodes.get(self.core.node).is_some_and(|node| node.down) {
            return;
        }
        drop(running.take());
        self.core.state().node_started(self.core.node);
        match Running::start(self.address, self.core.clone(), self.acceptor.clone()) {
            Ok((_, started)) => *running = Some(started),
            Err(error) => panic!("the stand-in did not restart at {}: {error}", self.address),
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its URL without a trailing slash: `http://127.0.0.1:40123/qdrant`.
    pub fn url(&self) -> String {
        let scheme = if self.authority_pem.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, self.core.path_prefix)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate that clients must trust, if this is HTTPS.
    pub fn authority_pem(&self) -> Option<&str> {
        self.authority_pem.as_deref()
    }

    /// The certificate that clients must present, if this server requires one.
    pub fn client_identity(&self) -> Option<&ClientIdentity> {
        self.client_identity.as_ref()
    }

    /// Reads or changes the server's state.
    pub fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.core.state())
    }

    /// Reads or changes the faults.
    pub fn faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.core.faults())
    }

    /// The requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.core.log.all()
    }

    /// The requests with this method whose path and query contain this text.
    pub fn requests_matching(&self, method: &str, text: &str) -> Vec<LoggedRequest> {
        let matching =
            |request: &LoggedRequest| request.method == method && request.path_and_query.contains(text);
        self.requests().into_iter().filter(matching).collect()
    }

    /// Clears the request log.
    pub fn clear_requests(&self) {
        self.core.log.clear();
    }

    /// Records the server's state now and after each request that may change something.
    pub fn remember(&self) {
        *self.history() = Some(Vec::new());
        self.core.remember();
    }

    /// Returns the recorded states and stops recording.
    pub fn remembered(&self) -> Vec<Remembered> {
        self.history().take().unwrap_or_default()
    }

    fn history(&self) -> MutexGuard<'_, Option<Vec<Remembered>>> {
        self.core.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshots of this collection on the server, even if the collection was deleted.
    pub fn snapshots(&self, collection: &str) -> Vec<StoredSnapshot> {
        self.core.state().snapshots(self.core.node, collection)
    }

    /// Their names, sorted.
    pub fn snapshot_names(&self, collection: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.snapshots(collection).into_iter().map(|snapshot| snapshot.name).collect();
        names.sort();
        names
    }

    /// The sorted names of this shard's snapshots on the server.
    pub fn shard_snapshot_names(&self, collection: &str, shard: u32) -> Vec<String> {
        self.snapshot_names(&folder(collection, Some(shard)))
    }

    /// Every snapshot on this server's disk, as `folder: name`, sorted.
    pub fn all_snapshots(&self) -> Vec<String> {
        let state = self.core.state();
        state.nodes.get(self.core.node).map(Node::all_snapshots).unwrap_or_default()
    }

    /// The server's peer id.
    pub fn peer_id(&self) -> u64 {
        self.core.state().nodes.get(self.core.node).map_or(0, |node| node.peer_id)
    }

    /// Adds a snapshot as another tool would, or replaces one with the same name.
    pub fn add_snapshot(&self, collection: &str, name: &str, content: Content) {
        let sha256 = content.sha256();
        let mut state = self.core.state();
        let checksum = (!state.s3).then_some(sha256);
        state.store(self.core.node, collection, name, content, checksum);
    }

    /// Changes the peer id, as if another server used the same address.
    pub fn set_peer_id(&self, peer_id: u64) {
        let mut state = self.core.state();
        if let Some(node) = state.nodes.get_mut(self.core.node) {
            node.peer_id = peer_id;
        }
    }
}

impl Running {
    fn start(
        address: SocketAddr,
        core: Arc<Core>,
        acceptor: Option<TlsAcceptor>,
    ) -> io::Result<(SocketAddr, Running)> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        // Binds without the runtime, so that asynchronous tests can start a server too.
        let listener = net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("qdrant-stand-in".to_owned())
            .spawn(move || run(runtime, listener, core, acceptor, stopped))?;
        Ok((address, Running { stop: Some(stop), thread: Some(thread) }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server's thread has already been printed.
            drop(thread.join());
        }
    }
}

fn run(
    runtime: Runtime,
    listener: TcpListener,
    core: Arc<Core>,
    acceptor: Option<TlsAcceptor>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        let served = core.clone();
        tokio::select! {
            () = accept(listener, served, acceptor) => {}
            _ = stopped => {}
            () = core.killed.notified() => {}
        }
    });
    runtime.shutdown_timeout(STOPPING);
}

async fn accept(listener: TcpListener, core: Arc<Core>, acceptor: Option<TlsAcceptor>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Probably out of file descriptors. Some will be free again soon.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Headers and the first bytes of a body are separate writes.
        drop(stream.set_nodelay(true));
        let core = core.clone();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, core).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, core).await;
                    }
                }
            }
        });
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, core: Arc<Core>) {
    let service = service_fn(move |request| handle(core.clone(), request));
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // Closed and deliberately cut connections end here.
    drop(connection.await);
}
