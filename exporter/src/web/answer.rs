//! Answers, sent in small pieces, so that a client that does not read uses little memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::limits::Phase;

/// The size of a piece.
const PIECE_BYTES: usize = 8 << 10;

/// An answer before it is bound to its connection.
pub(super) type Answer = Response<Bytes>;

/// A text answer, including the newline.
pub(super) fn plain(status: StatusCode, text: &str) -> Answer {
    let mut answer = Response::new(Bytes::from(format!("{text}\n")));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// The usual text for a status, as in Go's servers, with its headers.
pub(super) fn refusal(status: StatusCode, headers: &[(HeaderName, &'static str)]) -> Answer {
    let mut answer = plain(status, status.canonical_reason().unwrap_or("refused"));
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// The body of an answer while it is sent. It keeps the request's turn until the client has received all but the last
/// pieces.
pub(super) struct Pieces {
    left: Bytes,
    _turn: Option<OwnedSemaphorePermit>,
    phase: watch::Sender<Phase>,
}

impl Pieces {
    pub(super) fn new(left: Bytes, turn: Option<OwnedSemaphorePermit>, phase: watch::Sender<Phase>) -> Self {
        phase.send_replace(Phase::Taking);
        Self { left, _turn: turn, phase }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.phase.send_replace(Phase::Idle);
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.left.len().min(PIECE_BYTES);
        let piece = self.left.split_to(length);
        // A copy, because a slice would keep the whole answer in memory until the last byte is sent.
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(&piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
