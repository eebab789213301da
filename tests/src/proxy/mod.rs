//! A proxy between the program and a Qdrant (stand-in or real) that applies a fault to one request of a run.
//!
//! It speaks plain HTTP/1.1, counts requests in order of arrival, and forwards bodies as they arrive. `fault` lists
//! the faults, and `script` defines the answers they cause.

mod fault;
mod message;
mod plan;
mod relay;
mod script;
mod trap;

use std::net::{self, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

pub use self::fault::{Fault, Point, STATUSES, What};
pub use self::plan::{Aim, Seen};
use self::plan::{Plan, Shared};
pub use self::trap::Trap;

/// Attempts to bind the port again that was closed to refuse connections.
const REBINDINGS: u32 = 200;
const BETWEEN_REBINDINGS: Duration = Duration::from_millis(25);

/// All proxies of a test program run on this runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
});

/// Proxies in front of the nodes of one server, with a common count of requests.
pub struct Proxy {
    doors: Mutex<Vec<Door>>,
    shared: Arc<Shared>,
}

/// The proxy of one node.
struct Door {
    address: SocketAddr,
    upstream: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Proxies in front of the nodes at `urls`, which must be plain HTTP without a path prefix. No fault is active
    /// yet.
    ///
    /// # Panics
    /// When a URL is invalid or no port is available.
    pub fn before(urls: &[String]) -> Self {
        let shared = Arc::new(Shared::new());
        let doors = urls
            .iter()
            .map(|url| {
                let upstream = upstream(url);
                let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
                let address = listener.local_addr().expect("an address");
                Door { address, upstream, accepting: Some(accept(listener, upstream, &shared)) }
            })
            .collect();
        Self { doors: Mutex::new(doors), shared }
    }

    /// The URL of the first node's proxy.
    pub fn url(&self) -> String {
        self.urls().remove(0)
    }

    /// The URLs of all proxies.
    pub fn urls(&self) -> Vec<String> {
        self.doors().iter().map(|door| format!("http://{}", door.address)).collect()
    }

    /// Restarts the count. `fault` applies to the request that `aim` is for, and to all later ones if it lasts.
    pub fn spoil(&self, aim: Aim, fault: Fault) {
        self.begin(Some((aim, fault)));
    }

    /// Restarts the count without a fault.
    pub fn heal(&self) {
        self.begin(None);
    }

    fn begin(&self, fault: Option<(Aim, Fault)>) {
        *self.shared.plan() = Plan { fault, ..Plan::default() };
        if !self.shared.refusing.send_replace(false) {
            return;
        }
        for door in self.doors().iter_mut() {
            if let Some(accepting) = door.accepting.take() {
                accepting.abort();
                // The listener is closed once this task has ended.
                drop(RUNTIME.block_on(accepting));
            }
            door.accepting = Some(accept(rebind(door.address), door.upstream, &self.shared));
        }
    }

    fn doors(&self) -> MutexGuard<'_, Vec<Door>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests since the count was restarted.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.plan().seen.clone()
    }

    /// The number of requests with the fault.
    pub fn struck(&self) -> usize {
        self.shared.plan().struck
    }

    /// The target of redirects, which must not be followed.
    pub fn trap(&self) -> &Trap {
        &self.shared.trap
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.refusing.send_replace(true);
        self.doors().iter_mut().filter_map(|door| door.accepting.take()).for_each(|task| task.abort());
    }
}

fn upstream(url: &str) -> SocketAddr {
    let url = url::Url::parse(url).expect("a URL");
    assert_eq!(url.scheme(), "http", "{url}");
    url.socket_addrs(|| None).expect("an address").remove(0)
}

fn rebind(address: SocketAddr) -> net::TcpListener {
    for _ in 0..REBINDINGS {
        if let Ok(listener) = net::TcpListener::bind(address) {
            return listener;
        }
        std::thread::sleep(BETWEEN_REBINDINGS);
    }
    panic!("{address} is in use")
}

fn accept(listener: net::TcpListener, upstream: SocketAddr, shared: &Arc<Shared>) -> JoinHandle<()> {
    listener.set_nonblocking(true).expect("a listener");
    let shared = Arc::clone(shared);
    RUNTIME.spawn(async move {
        let listener = TcpListener::from_std(listener).expect("a listener");
        let mut refusing = shared.refusing.subscribe();
        loop {
            let (client, _) = tokio::select! {
                _ = refusing.wait_for(|refusing| *refusing) => return,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(_) => continue,
                },
            };
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let mut refusing = shared.refusing.subscribe();
                tokio::select! {
                    _ = refusing.wait_for(|refusing| *refusing) => {}
                    // Broken connections are expected here.
                    _ = relay::serve(client, upstream, &shared) => {}
                }
            });
        }
    })
}
