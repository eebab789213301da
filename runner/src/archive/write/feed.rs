//! Passes the pieces of a download to the worker threads.
//!
//! The end is sent explicitly, so that a thread never treats an interrupted feed as a whole snapshot.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use qdrant_backup_shared::manifest::SizeAndDigest;
use tokio::sync::mpsc;

use crate::qdrant::Piece;

use super::hashing::Tally;

/// Queue length per thread. A piece is at most about 512 KiB.
const QUEUE_PIECES: usize = 4;

/// The sending ends.
#[derive(Debug)]
pub struct Feed {
    queues: [mpsc::Sender<Piece>; 2],
}

/// A thread accepted no more pieces: it failed, and its result contains the reason.
#[derive(Debug)]
pub struct Refused;

/// A feed for two threads.
pub fn feed() -> (Feed, mpsc::Receiver<Piece>, mpsc::Receiver<Piece>) {
    let (first, first_end) = mpsc::channel(QUEUE_PIECES);
    let (second, second_end) = mpsc::channel(QUEUE_PIECES);
    (Feed { queues: [first, second] }, first_end, second_end)
}

impl Feed {
    /// Sends `piece` to both threads, waiting while they are busy.
    ///
    /// # Errors
    /// When one of them has ended.
    pub async fn send(&self, piece: Piece) -> Result<(), Refused> {
        for queue in &self.queues {
            queue.send(piece.clone()).await.map_err(|_| Refused)?;
        }
        Ok(())
    }
}

/// The next bytes of `pieces`, or none at the explicit end.
///
/// # Errors
/// When the feed stopped without an end.
pub fn next(pieces: &mut mpsc::Receiver<Piece>) -> io::Result<Option<Bytes>> {
    match pieces.blocking_recv() {
        Some(Piece::Data(bytes)) => Ok(Some(bytes)),
        Some(Piece::End) => Ok(None),
        None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the download ended early")),
    }
}

/// A feed as a reader that tallies all bytes.
#[derive(Debug)]
pub struct FeedReader {
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
    tally: Tally,
}

impl FeedReader {
    /// Reads from `pieces`.
    pub fn new(pieces: mpsc::Receiver<Piece>) -> Self {
        Self { pieces, current: Bytes::new(), ended: false, tally: Tally::default() }
    }

    /// Reads the rest, and returns the tally of everything.
    ///
    /// # Errors
    /// When the feed stopped without an end.
    pub fn finish(mut self) -> io::Result<SizeAndDigest> {
        while !self.fill_buf()?.is_empty() {
            self.current.clear();
        }
        Ok(self.tally.finish())
    }
}

impl BufRead for FeedReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            match next(&mut self.pieces)? {
                Some(bytes) => {
                    self.tally.update(&bytes);
                    self.current = bytes;
                }
                None => self.ended = true,
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount);
    }
}

impl Read for FeedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.fill_buf()?.read(buffer)?;
        self.consume(taken);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fed(pieces: &[&'static [u8]], end: bool) -> io::Result<(String, SizeAndDigest)> {
        let (feed, one, other) = feed();
        let reader = tokio::task::spawn_blocking(move || {
            let mut reader = FeedReader::new(one);
            let mut start = [0; 3];
            reader.read_exact(&mut start)?;
            Ok((String::from_utf8_lossy(&start).into_owned(), reader.finish()?))
        });
        drop(other);
        for piece in pieces {
            // The second receiver has been dropped, so only the first is served.
            feed.queues[0].send(Piece::Data(Bytes::from_static(piece))).await.unwrap();
        }
        if end {
            feed.queues[0].send(Piece::End).await.unwrap();
        }
        drop(feed);
        reader.await.unwrap()
    }

    #[tokio::test]
    async fn everything_is_tallied_also_what_was_not_read() {
        let (start, tally) = fed(&[b"he", b"", b"llo ", b"world"], true).await.unwrap();
        assert_eq!(start, "hel");
        assert_eq!(tally.size_bytes, 11);
        assert_eq!(
            tally.sha256.to_string(),
            "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
        );
    }

    #[tokio::test]
    async fn a_feed_that_just_stops_is_an_error_not_an_end() {
        let error = fed(&[b"hello"], false).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
