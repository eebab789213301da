//! The download of a snapshot: chunks with a stall timeout, resumed after a broken connection.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::client::Client;
use super::error::Error;
use super::snapshot_name::SnapshotName;
use super::subject::Subject;
use super::transport::root_cause;

/// Limits for the progress that an interrupted download must make: otherwise a 64th of the whole.
const PROGRESS_MIN_BYTES: u64 = 16 << 10;
const PROGRESS_MAX_BYTES: u64 = 4 << 20;

/// The body of a snapshot download.
#[derive(Debug)]
pub struct Download {
    client: Client,
    url: Url,
    what: String,
    response: Response,
    file: Option<File>,
    received_bytes: u64,
    /// Attempts to resume since the last progress.
    retries: u32,
    /// Number of bytes received at that time.
    progressed_at_bytes: u64,
}

/// Data to check that the rest belongs to the same file.
#[derive(Debug)]
struct File {
    etag: HeaderValue,
    size_bytes: u64,
}

impl File {
    /// Whether `response` is the rest of this file after `received_bytes`.
    fn goes_on(&self, received_bytes: u64, response: &Response) -> bool {
        let header = |name| response.headers().get(name);
        let Self { etag, size_bytes } = self;
        let placed = if received_bytes == 0 {
            response.status() == StatusCode::OK && response.content_length() == Some(*size_bytes)
        } else {
            let range = format!("bytes {received_bytes}-{}/{size_bytes}", size_bytes.saturating_sub(1));
            response.status() == StatusCode::PARTIAL_CONTENT
                && header(CONTENT_RANGE).is_some_and(|given| given.as_bytes() == range.as_bytes())
        };
        placed && header(ETAG) == Some(etag)
    }
}

/// Why a download cannot be resumed.
#[derive(Debug)]
pub enum NoRest {
    /// A new download may succeed.
    BeginAgain(Error),
    /// It failed, or another attempt is useless.
    Failed(Error),
}

impl Client {
    /// Begins the download of a snapshot.
    ///
    /// # Errors
    /// As every request: see [`Error`].
    pub async fn download(&self, subject: &Subject, name: &SnapshotName) -> Result<Download, Error> {
        let what = format!("downloading the snapshot of {subject}");
        let url = self.path(&what, &subject.path(&[name.as_str()]))?;
        let response = self.ask_for_snapshot(&what, &url, 0).await?;
        let etag = response.headers().get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\"")).cloned();
        let file = etag.zip(response.content_length()).map(|(etag, size_bytes)| File { etag, size_bytes });
        let client = self.clone();
        Ok(Download {
            client,
            url,
            what,
            response,
            file,
            received_bytes: 0,
            retries: 0,
            progressed_at_bytes: 0,
        })
    }

    /// Requests a snapshot from byte `from` on. The answer is the whole (200) or, unless `from` is 0, a part (206) or an error
    /// that there is no such part (416).
    async fn ask_for_snapshot(&self, what: &str, url: &Url, from: u64) -> Result<Response, Error> {
        let stalled = || Error::Stalled { what: what.to_owned(), limit: self.limits.stall };
        let mut request = self.request(Method::GET, url.clone());
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        // Only the time to the headers is limited: a server may first have to fetch the file from S3.
        let send = timeout(self.limits.stall.duration, request.send());
        let response = match self.interrupt.run_until_cancelled(send).await {
            None => return Err(Error::Interrupted),
            Some(Err(_)) => return Err(stalled()),
            Some(Ok(response)) => {
                response.map_err(|error| self.send_error(what, &error, self.limits.stall))?
            }
        };
        let partial = [StatusCode::PARTIAL_CONTENT, StatusCode::RANGE_NOT_SATISFIABLE];
        if response.status() != StatusCode::OK && !(from > 0 && partial.contains(&response.status())) {
            let refusal = timeout(self.limits.stall.duration, self.refusal(what, response));
            return match self.interrupt.run_until_cancelled(refusal).await {
                None => Err(Error::Interrupted),
                Some(Err(_)) => Err(stalled()),
                Some(Ok(error)) => Err(error),
            };
        }
        if let Some(encoding) = response.headers().get(CONTENT_ENCODING) {
            let problem = format!("the download is encoded as {encoding:?}, which was not requested");
            return Err(Error::Unexpected { what: what.to_owned(), problem });
        }
        Ok(response)
    }
}

impl Download {
    /// Size according to the server, in bytes. Servers with snapshots in S3 do not report it.
    pub fn content_length(&self) -> Option<u64> {
        self.file.as_ref().map(|file| file.size_bytes).or_else(|| self.response.content_length())
    }

    /// The next bytes, or nothing at the end of the body.
    ///
    /// # Errors
    /// When the connection breaks (even before the announced length), no data arrives for the stall timeout, or
    /// the run is interrupted.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let limit = self.client.limits.stall;
        let next = timeout(limit.duration, self.response.chunk());
        let chunk = match self.client.interrupt.run_until_cancelled(next).await {
            None => return Err(Error::Interrupted),
            Some(Err(_)) => return Err(Error::Stalled { what: self.what.clone(), limit }),
            Some(Ok(Err(error))) => return Err(self.broken(root_cause(&error))),
            Some(Ok(Ok(chunk))) => chunk,
        };
        if let Some(bytes) = &chunk {
            self.received_bytes += bytes.len() as u64;
            if self.received_bytes - self.progressed_at_bytes >= self.progress_bytes() {
                self.progressed_at_bytes = self.received_bytes;
                self.retries = 0;
            }
        }
        Ok(chunk)
    }

    /// Minimum progress in bytes. With less, a connection that breaks after every few bytes would be resumed forever.
    fn progress_bytes(&self) -> u64 {
        let size_bytes = self.file.as_ref().map_or(0, |file| file.size_bytes);
        (size_bytes / 64).clamp(PROGRESS_MIN_BYTES, PROGRESS_MAX_BYTES)
    }

    /// Waits, but not beyond an interruption.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub async fn pause(&self, duration: Duration) -> Result<(), Error> {
        self.client.pause(duration).await
    }

    /// After [`Download::next_chunk`] has failed with `cause`, requests the missing rest. The number of attempts without progress
    /// is limited.
    ///
    /// Qdrant ignores `If-Range`, so the ETag, the range and the total size are compared to make sure that it is the same file.
    ///
    /// # Errors
    /// As [`NoRest`] says.
    pub async fn resume(&mut self, mut cause: Error) -> Result<(), NoRest> {
        loop {
            if !cause.is_transient() {
                return Err(NoRest::Failed(cause));
            }
            if self.file.is_none() {
                return Err(NoRest::BeginAgain(cause));
            }
            if self.retries >= self.client.limits.retries {
                return Err(NoRest::Failed(cause));
            }
            self.client.pause_before_retry(self.retries, &cause).await.map_err(NoRest::Failed)?;
            self.retries += 1;
            match self.client.ask_for_snapshot(&self.what, &self.url, self.received_bytes).await {
                Ok(response) => return self.go_on_with(response),
                Err(error) => cause = error,
            }
        }
    }

    fn go_on_with(&mut self, response: Response) -> Result<(), NoRest> {
        if self.file.as_ref().is_some_and(|file| file.goes_on(self.received_bytes, &response)) {
            self.response = response;
            return Ok(());
        }
        let cause = match response.status() {
            StatusCode::PARTIAL_CONTENT => "the server's remaining bytes are of another file",
            StatusCode::RANGE_NOT_SATISFIABLE => "the server no longer has the remaining bytes",
            _ => "the server cannot send the remaining bytes alone",
        };
        Err(NoRest::BeginAgain(self.broken(format!("requesting the remaining bytes: {cause}"))))
    }

    fn broken(&self, cause: String) -> Error {
        Error::Broken { what: self.what.clone(), cause }
    }
}
