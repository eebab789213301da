//! The upload of a snapshot: its length is known in advance, and its content comes in pieces.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use qdrant_backup_shared::Sha256Digest;
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::answers::Envelope;
use super::client::{ANSWER_MAX_BYTES, Client, SAYS_FALSE, decode, read_body};
use super::error::Error;
use super::piece::Piece;
use super::snapshot_name::SnapshotName;
use super::subject::Subject;

/// Interval of the stall check.
const WATCH: Duration = Duration::from_millis(100);

/// The file to upload.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The file name on the server.
    pub file_name: SnapshotName,
    /// The snapshot's length in bytes.
    pub size_bytes: u64,
    /// The snapshot's SHA-256. The server compares it before it changes anything.
    pub checksum: Sha256Digest,
}

/// Progress of an upload.
#[derive(Debug, Clone, Default)]
pub struct UploadProgress(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    sent_bytes: AtomicU64,
    complete: AtomicBool,
}

impl UploadProgress {
    /// Number of snapshot bytes sent.
    pub fn sent_bytes(&self) -> u64 {
        self.0.sent_bytes.load(Ordering::Relaxed)
    }

    /// Whether everything is sent, and the server is working.
    pub fn is_complete(&self) -> bool {
        self.0.complete.load(Ordering::Relaxed)
    }
}

/// An upload failed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct UploadError {
    /// Why the upload failed.
    pub error: Error,
    /// Whether the server may have received the whole file and started to restore it. It does not keep an incomplete file.
    pub arrived: bool,
}

impl UploadError {
    /// Whether the server reported the error. If not, and it has the file, it may still be working.
    pub fn is_answered(&self) -> bool {
        self.error.is_answered()
    }
}

impl Client {
    /// Uploads a snapshot and makes the node restore it: into a new collection, over the data of an existing one, or
    /// into a shard of an existing one.
    /// The `pieces` must be exactly `upload.size_bytes` long and end in [`Piece::End`]; if they just stop, the request is
    /// broken off and the server does nothing. Not repeated.
    ///
    /// The total time is not limited: a stall before the last byte lasts at most the stall timeout, and the server's work after
    /// it at most the timeout for snapshots.
    ///
    /// # Errors
    /// As every request, and whether the server may have the whole file.
    pub async fn upload_snapshot(
        &self,
        subject: &Subject,
        upload: &Upload,
        pieces: mpsc::Receiver<Piece>,
        progress: &UploadProgress,
    ) -> Result<(), UploadError> {
        let what = format!("uploading the snapshot to {subject}");
        let exchange = self.exchange(&what, subject, upload, pieces, progress);
        let watched = async {
            tokio::select! {
                answer = exchange => answer,
                error = self.watch(&what, progress) => Err(error),
            }
        };
        let result = self.interrupt.run_until_cancelled(watched).await.unwrap_or(Err(Error::Interrupted));
        result.map_err(|error| {
            let arrived = progress.is_complete() && !is_refused(&error);
            UploadError { error: with_advice(error, progress.is_complete()), arrived }
        })
    }

    async fn exchange(
        &self,
        what: &str,
        subject: &Subject,
        upload: &Upload,
        pieces: mpsc::Receiver<Piece>,
        progress: &UploadProgress,
    ) -> Result<(), Error> {
        let mut url = self.path(what, &subject.path(&["upload"]))?;
        // The snapshot's data counts, whatever replicas on other nodes hold.
        url.query_pairs_mut()
            .append_pair("priority", "snapshot")
            .append_pair("checksum", &upload.checksum.to_string());
        tracing::debug!("POST {}", url.path());
        let content = Body::wrap_stream(Content { pieces, progress: progress.clone() });
        let file =
            Part::stream_with_length(content, upload.size_bytes).file_name(upload.file_name.to_string());
        let response = self
            .request(Method::POST, url)
            .multipart(Form::new().part("snapshot", file))
            .send()
            .await
            .map_err(|error| self.send_error(what, &error, self.limits.create))?;
        if !response.status().is_success() {
            let error = self.refusal(what, response).await;
            return Err(error);
        }
        // For a shard there is no result.
        let done: Envelope<Option<bool>> = decode(what, &read_body(what, response, ANSWER_MAX_BYTES).await?)?;
        if done.result.unwrap_or(subject.shard_id.is_some()) {
            Ok(())
        } else {
            Err(Error::Unexpected { what: what.to_owned(), problem: SAYS_FALSE.to_owned() })
        }
    }

    /// Resolves when the upload stalls for too long, or the server takes too long.
    async fn watch(&self, what: &str, progress: &UploadProgress) -> Error {
        let mut last = (0, Instant::now());
        loop {
            sleep(WATCH).await;
            if progress.is_complete() {
                break;
            }
            let sent = progress.sent_bytes();
            if sent != last.0 {
                last = (sent, Instant::now());
            } else if last.1.elapsed() >= self.limits.stall.duration {
                return Error::Stalled { what: what.to_owned(), limit: self.limits.stall };
            }
        }
        sleep(self.limits.create.duration).await;
        Error::Timeout { what: what.to_owned(), limit: self.limits.create }
    }
}

/// Whether the server reports that it kept nothing of the file. Most refusals come earlier. Some come later: if the
/// configuration does not match (400), or if the collection was created in the meantime (409).
fn is_refused(error: &Error) -> bool {
    if let Error::Status { status: 400 | 500, message, .. } = error {
        let before_it_is_kept =
            ["Checksum mismatch", "Multipart", "Content type", "Field 'snapshot'", "processing field"];
        return before_it_is_kept.iter().any(|words| message.contains(words));
    }
    matches!(
        error,
        Error::Unauthorized { .. } | Error::Status { status: 404 | 405 | 411 | 413..=415 | 422 | 429, .. }
    )
}

/// Adds the frequent cause of an upload error, if Qdrant's message does not contain it.
fn with_advice(mut error: Error, complete: bool) -> Error {
    if let Error::Broken { cause, .. } = &mut error
        && !complete
    {
        cause.push_str("; if Qdrant closed it, check that the API key may restore: that needs global manage");
    }
    if let Error::Status { message, .. } = &mut error
        && (message.contains("No space left") || message.contains("processing field"))
    {
        message.push_str("; is its disk full? It needs space for the uploaded file and for the collection");
    }
    error
}

/// The snapshot's content, produced as the connection consumes it.
#[derive(Debug)]
struct Content {
    pieces: mpsc::Receiver<Piece>,
    progress: UploadProgress,
}

impl Stream for Content {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(match ready!(self.pieces.poll_recv(context)) {
            Some(Piece::Data(bytes)) => {
                self.progress.0.sent_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Some(Ok(bytes))
            }
            Some(Piece::End) => {
                self.progress.0.complete.store(true, Ordering::Relaxed);
                None
            }
            // The server rejects a body without its end, which is intended.
            None => Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ended early"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn collect(pieces: Vec<Piece>) -> (Vec<Option<Bytes>>, UploadProgress) {
        let (sender, receiver) = mpsc::channel(8);
        for piece in pieces {
            sender.send(piece).await.unwrap();
        }
        drop(sender);
        let progress = UploadProgress::default();
        let mut content = Content { pieces: receiver, progress: progress.clone() };
        let mut items = Vec::new();
        while let Some(item) = std::future::poll_fn(|context| Pin::new(&mut content).poll_next(context)).await
        {
            items.push(item.ok());
            if items.last().is_some_and(Option::is_none) {
                break;
            }
        }
        (items, progress)
    }

    #[tokio::test]
    async fn an_upload_is_complete_at_the_said_end() {
        let data = |text: &'static str| Piece::Data(Bytes::from_static(text.as_bytes()));
        let (items, progress) = collect(vec![data("hel"), data("lo"), Piece::End]).await;
        assert_eq!(items, [Some(Bytes::from_static(b"hel")), Some(Bytes::from_static(b"lo"))]);
        assert_eq!((progress.sent_bytes(), progress.is_complete()), (5, true));
    }

    #[test]
    fn what_an_upload_often_fails_by_is_said() {
        let broken = || Error::Broken { what: "uploading".to_owned(), cause: "Broken pipe".to_owned() };
        let text = with_advice(broken(), false).to_string();
        assert!(
            text.contains("the connection to Qdrant broke: Broken pipe") && text.contains("global manage"),
            "{text}"
        );
        assert!(!with_advice(broken(), true).to_string().contains("manage"), "it had everything");
        let status = |message: &str| {
            let (what, message) = ("uploading".to_owned(), message.to_owned());
            with_advice(Error::Status { what, status: 500, message, retry_after: None }, true).to_string()
        };
        let room = "space for the uploaded file and for the collection";
        assert!(status("An error occurred processing field: snapshot").contains(room));
        assert!(status("failed to unpack: No space left on device (os error 28)").contains(room));
        assert!(!status("Malformed tar archive").contains(room));
    }

    #[tokio::test]
    async fn pieces_that_just_stop_break_the_request_off() {
        let (items, progress) = collect(vec![Piece::Data(Bytes::from_static(b"hel"))]).await;
        assert_eq!(items.last(), Some(&None));
        assert!(!progress.is_complete());
    }
}
