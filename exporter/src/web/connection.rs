//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::answer::Pieces;
use super::gate::Gate;
use super::queue::Client;
use super::visitors::{Phase, Place, Visitor};

/// No head of a request is larger: 431 otherwise.
const HEAD_BYTES: u32 = 16 << 10;

/// Requests at once in one connection of HTTP/2.
const STREAMS: u32 = 16;

/// Serves `socket` until the client leaves, dawdles too long, or `stop` says that all has to end.
pub(super) async fn serve(
    gate: Arc<Gate>,
    socket: TcpStream,
    address: IpAddr,
    place: Place,
    stop: watch::Receiver<bool>,
) {
    let visitor = Arc::clone(&place.visitor);
    tokio::select! {
        result = converse(gate, socket, address, &visitor, stop) => {
            if let Err(error) = result {
                debug!(err = error.as_str(), "Connection failed");
            }
        }
        () = visitor.overdue() => debug!("Connection closed: too slow, or others needed its place"),
    }
}

async fn converse(
    gate: Arc<Gate>,
    socket: TcpStream,
    address: IpAddr,
    visitor: &Arc<Visitor>,
    stop: watch::Receiver<bool>,
) -> Result<(), String> {
    socket.set_nodelay(true).map_err(|error| error.to_string())?;
    let Some(tls) = gate.tls().await else {
        return http1(gate, socket, address, visitor, stop).await;
    };
    let mut stopping = stop.clone();
    let stream = tokio::select! {
        agreed = TlsAcceptor::from(tls).accept(socket) => {
            agreed.map_err(|error| format!("TLS handshake: {error}"))?
        }
        _ = stopping.wait_for(|stop| *stop) => return Ok(()),
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        http2(gate, stream, address, visitor, stop).await
    } else {
        http1(gate, stream, address, visitor, stop).await
    }
}

pub(super) async fn http1<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    gate: Arc<Gate>,
    stream: S,
    address: IpAddr,
    visitor: &Arc<Visitor>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    visitor.enter(Phase::Silent);
    let heard = Heard { stream, visitor: Arc::clone(visitor) };
    let connection = http1::Builder::new()
        // Time is kept by the visitors' phases, which also see a connection that is idle between two requests.
        .header_read_timeout(None)
        .timer(TokioTimer::new())
        .max_buf_size(HEAD_BYTES as usize)
        .serve_connection(TokioIo::new(heard), service(gate, address, visitor));
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result.map_err(|error| error.to_string()),
        _ = stop.wait_for(|stop| *stop) => {}
    }
    if visitor.wants_nothing() {
        return Ok(());
    }
    connection.as_mut().graceful_shutdown();
    connection.await.map_err(|error| error.to_string())
}

async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    gate: Arc<Gate>,
    stream: S,
    address: IpAddr,
    visitor: &Arc<Visitor>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    visitor.enter(Phase::Silent);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES)
        .max_send_buf_size(HEAD_BYTES as usize)
        .serve_connection(TokioIo::new(stream), service(gate, address, visitor));
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result.map_err(|error| error.to_string()),
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(|error| error.to_string())
}

/// Answers the requests of one visitor.
fn service(
    gate: Arc<Gate>,
    address: IpAddr,
    visitor: &Arc<Visitor>,
) -> impl hyper::service::Service<
    Request<Incoming>,
    Response = Response<Pieces>,
    Error = Infallible,
    Future: Send + 'static,
> + use<> {
    let visitor = Arc::clone(visitor);
    let client = Client { address, number: visitor.number() };
    service_fn(move |request: Request<Incoming>| {
        let (gate, answering) = (Arc::clone(&gate), visitor.answer());
        // The body of a request says nothing to us; it is not even read.
        let (head, _) = request.into_parts();
        async move {
            let (answer, turn) = gate.answer(&head, client).await;
            Ok(answer.map(|bytes| Pieces::new(bytes, answering, turn)))
        }
    })
}

/// A stream that tells its visitor when bytes come.
struct Heard<S> {
    stream: S,
    visitor: Arc<Visitor>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.visitor.heard();
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
