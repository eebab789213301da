//! A snapshot on its way: chunks, and nothing between them for too long.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::transport::root_cause;

/// The body of a snapshot download.
#[derive(Debug)]
pub struct Download {
    pub(super) response: reqwest::Response,
    pub(super) what: String,
    pub(super) stall_timeout: Duration,
    pub(super) interrupt: CancellationToken,
}

impl Download {
    /// The length that the server announced, in bytes; servers with snapshots in S3 announce none.
    pub fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next bytes, or nothing at the end of the body.
    ///
    /// # Errors
    /// When the connection breaks (also before the announced length), stands still for the stall time-out, or
    /// the run is interrupted.
    pub async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let next = timeout(self.stall_timeout, self.response.chunk());
        match self.interrupt.run_until_cancelled(next).await {
            None => Err(Error::Interrupted),
            Some(Err(_)) => Err(Error::Stalled { what: self.what.clone(), limit: self.stall_timeout }),
            Some(Ok(Err(error))) => Err(Error::Broken { what: self.what.clone(), cause: root_cause(&error) }),
            Some(Ok(Ok(chunk))) => Ok(chunk),
        }
    }
}
