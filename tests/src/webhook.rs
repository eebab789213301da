//! A receiver for alerts: a server that accepts and stores everything that Alertmanager posts.

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

/// One message: the path without the leading slash, and the body.
type Message = (String, Value);

/// A running server, stopped when it is dropped.
pub struct Webhook {
    address: SocketAddr,
    messages: Arc<Mutex<Vec<Message>>>,
    /// Runs the server's tasks and stops them when it is dropped.
    _runtime: Runtime,
}

impl Webhook {
    /// Starts a server on a free loopback port.
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

    /// The base URL for messages.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bodies posted to `path` so far, in order of arrival.
    pub fn posted_to(&self, path: &str) -> Vec<Value> {
        self.messages().into_iter().filter(|(to, _)| to == path).map(|(_, body)| body).collect()
    }

    /// All messages so far, in order of arrival.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(listener: TcpListener, messages: Arc<Mutex<Vec<Message>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let messages = Arc::clone(&messages);
        tokio::spawn(async move {
            let service = service_fn(move |request| take(request, Arc::clone(&messages)));
            // A client may close the connection.
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
    // Anything else is stored as text, so that the test fails on it.
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into());
    messages.lock().unwrap_or_else(PoisonError::into_inner).push((path, body));
    // Slack's answer.
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}
