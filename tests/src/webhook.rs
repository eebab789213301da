//! A receiver of alerts: a server that accepts and remembers whatever Alertmanager posts.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// One message: the path that it was posted to, without the slash, and its body.
type Message = (String, Value);

/// A running server. It ends when it is dropped.
pub struct Webhook {
    address: SocketAddr,
    messages: Arc<Mutex<Vec<Message>>>,
    /// Its tasks end with it.
    _runtime: Runtime,
}

impl Webhook {
    /// A server on a free port of the loopback.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let messages = Arc::default();
        runtime.spawn(accept(listener, Arc::clone(&messages)));
        Self { address, messages, _runtime: runtime }
    }

    /// What messages are posted below.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bodies that were posted to `path` so far, in the order of their arrival.
    pub fn posted_to(&self, path: &str) -> Vec<Value> {
        self.messages().into_iter().filter(|(to, _)| to == path).map(|(_, body)| body).collect()
    }

    /// Everything so far, in the order of its arrival.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(listener: TcpListener, messages: Arc<Mutex<Vec<Message>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let messages = Arc::clone(&messages);
        tokio::spawn(async move {
            let service = service_fn(move |request| take(request, Arc::clone(&messages)));
            // A client may hang up.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn take(
    request: Request<Incoming>,
    messages: Arc<Mutex<Vec<Message>>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    // Anything else is kept as text, so that the test fails on it.
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
    messages.lock().unwrap_or_else(PoisonError::into_inner).push((path, body));
    // Slack's answer.
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}
