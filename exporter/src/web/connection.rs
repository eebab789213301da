//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::answer::Pieces;
use super::gate::Gate;
use super::limits::Phase;
use super::queue::Client;

/// No head of a request is larger: 431 otherwise.
const HEAD_BYTES: usize = 16 << 10;

/// Serves `socket` until the client leaves, takes too long, or `stop` says that all has to end. Gives back `_place` then.
pub(super) async fn serve(
    gate: Arc<Gate>,
    socket: TcpStream,
    client: Client,
    _place: OwnedSemaphorePermit,
    stop: watch::Receiver<bool>,
) {
    let (phase, phases) = watch::channel(Phase::Asking);
    tokio::select! {
        result = converse(&gate, socket, client, Arc::new(phase), stop) => {
            if let Err(error) = result {
                debug!(err = error.as_str(), "Connection failed");
            }
        }
        () = gate.limits().overdue(phases) => debug!("Connection closed: the client is too slow"),
    }
}

async fn converse(
    gate: &Arc<Gate>,
    socket: TcpStream,
    client: Client,
    phase: Arc<watch::Sender<Phase>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    let Some(tls) = gate.tls().await else { return http(gate, socket, client, phase, stop).await };
    let stream = tokio::select! {
        agreed = TlsAcceptor::from(tls).accept(socket) => agreed.map_err(|error| format!("TLS handshake: {error}"))?,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    http(gate, stream, client, phase, stop).await
}

pub(super) async fn http(
    gate: &Arc<Gate>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    client: Client,
    phase: Arc<watch::Sender<Phase>>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let service = service_fn(|request: Request<Incoming>| {
        let (gate, phase) = (Arc::clone(gate), Arc::clone(&phase));
        phase.send_replace(Phase::Answering);
        // The body of a request says nothing to us; it is not even read.
        let (head, _) = request.into_parts();
        async move {
            let (answer, turn) = gate.answer(&head, client).await;
            Ok::<_, Infallible>(answer.map(|bytes| Pieces::new(bytes, turn, phase)))
        }
    });
    let connection = http1::Builder::new()
        // `limits` keeps the time: hyper would give an idle connection no more than a head.
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
