//! One download into one temporary file, hashed, looked into and compressed on the way.

use std::io::{self, BufWriter, IntoInnerError, Write};
use std::time::Instant;

use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::atomic::AtomicFile;
use qdrant_backup_shared::manifest::SizeAndDigest;
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};

use super::disk::DiskWriter;
use super::encoder::{Compression, Encoder};
use super::feed::{self, Feed, FeedReader};
use super::hashing::TallyWriter;
use super::throttle::Throttle;
use crate::archive::inspect::{Inspection, Limits, inspect};
use crate::qdrant::Piece;
use crate::qdrant::{self, Download, NoRest};

/// Bytes that are written to the file at once, at least.
const WRITE_BYTES: usize = 1 << 20;

/// A download that arrived whole, as far as the connection can tell. Nothing is durable yet.
#[derive(Debug)]
pub struct Received {
    /// The snapshot as it came.
    pub snapshot: SizeAndDigest,
    /// What was written.
    pub stored: SizeAndDigest,
    /// What is in it.
    pub inspection: Inspection,
    /// The file, still under its temporary name.
    pub file: AtomicFile,
}

/// A download failed on its way to the file. The temporary file is gone.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The server or the connection failed, and the rest could not be had.
    #[error(transparent)]
    Download(qdrant::Error),
    /// The same, but beginning again may help: the server gives no rests, or not of the same file.
    #[error(transparent)]
    BeginAgain(qdrant::Error),
    /// The file could not be written.
    #[error("writing the archive: {0}")]
    Write(#[source] io::Error),
    /// One of our threads failed.
    #[error("the backup stream failed: {0}; this is a bug in qdrant-backup")]
    Internal(String),
}

impl StreamError {
    /// The kind for the status file and the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Download(error) | Self::BeginAgain(error) => error.kind(),
            Self::Write(error) => io_kind(error),
            Self::Internal(_) => FailureKind::Internal,
        }
    }
}

/// The kind of a failure to read or write a file.
pub fn io_kind(error: &io::Error) -> FailureKind {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        FailureKind::NoSpace
    } else {
        FailureKind::Io
    }
}

/// Where a download goes.
#[derive(Debug)]
pub struct Target {
    /// The file, still under its temporary name.
    pub file: AtomicFile,
    /// How it is stored.
    pub compression: Compression,
    /// Bytes that it will probably take.
    pub expected_bytes: u64,
    /// Bytes of the snapshot, as the server announced them. What comes beyond is not waited for: it might not end.
    pub snapshot_bytes: u64,
}

/// What is told of a download on its way.
#[derive(Debug)]
pub enum Progress<'a> {
    /// So many more bytes have come.
    Arrived(u64),
    /// It had broken off, as this says, and is gone on with.
    Resumed(&'a str),
}

/// Receives `download` into `target` no faster than `throttle` allows, and reports to `progress`. A download that breaks off is gone on
/// with where it stopped: nothing that has been hashed and compressed is asked for again.
///
/// # Crash safety
/// Writes only under the temporary name. On an error, an interruption, or when the future is dropped, the
/// temporary file is removed; after a kill the next run removes it.
///
/// # Errors
/// As [`StreamError`] says.
pub async fn receive(
    mut download: Download,
    target: Target,
    throttle: &Throttle,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Received, StreamError> {
    let (feed, for_inspection, for_storage) = feed::feed();
    let most = target.snapshot_bytes;
    let looking = spawn_blocking(move || look(for_inspection));
    let storing = spawn_blocking(move || store(for_storage, target));

    let transfer = transfer(&mut download, most, feed, throttle, progress).await;

    // Both threads end now: their feed has ended or was dropped.
    let looked = looking.await.map_err(|error| internal(&error))?;
    let stored = storing.await.map_err(|error| internal(&error))?;
    // A broken connection explains the threads' complaints; a refused piece is explained by theirs.
    transfer?;
    let (file, stored) = stored.map_err(StreamError::Write)?;
    let (inspection, snapshot) = looked.map_err(|error| StreamError::Internal(error.to_string()))?;
    Ok(Received { snapshot, stored: stored.unwrap_or(snapshot), inspection, file })
}

async fn transfer(
    download: &mut Download,
    most: u64,
    feed: Feed,
    throttle: &Throttle,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(), StreamError> {
    let mut arrived = 0_u64;
    // The caller compares the lengths, and finds the one that is too long.
    while arrived <= most {
        match download.next_chunk().await {
            Ok(Some(bytes)) => {
                let count = bytes.len() as u64;
                if feed.send(Piece::Data(bytes)).await.is_err() {
                    return Ok(());
                }
                arrived = arrived.saturating_add(count);
                progress(Progress::Arrived(count));
                let wait = throttle.after(count, Instant::now());
                if !wait.is_zero() {
                    download.pause(wait).await.map_err(StreamError::Download)?;
                }
            }
            Ok(None) => break,
            Err(error) => {
                let told = error.to_string();
                download.resume(error).await.map_err(|no_rest| match no_rest {
                    NoRest::BeginAgain(error) => StreamError::BeginAgain(error),
                    NoRest::Failed(error) => StreamError::Download(error),
                })?;
                progress(Progress::Resumed(&told));
            }
        }
    }
    // Refused: a thread has failed, and its result says so.
    drop(feed.send(Piece::End).await);
    Ok(())
}

fn look(pieces: mpsc::Receiver<Piece>) -> io::Result<(Inspection, SizeAndDigest)> {
    let mut reader = FeedReader::new(pieces);
    let inspection = inspect(&mut reader, &Limits::default())?;
    Ok((inspection, reader.finish()?))
}

/// Writes the archive. Without compression its digest is the snapshot's, which the other thread computes.
fn store(
    mut pieces: mpsc::Receiver<Piece>,
    target: Target,
) -> io::Result<(AtomicFile, Option<SizeAndDigest>)> {
    let Target { mut file, compression, expected_bytes, .. } = target;
    let disk = DiskWriter::new(file.file(), expected_bytes)?;
    let stored = match compression {
        Compression::None => {
            let writer = write_all(&mut pieces, BufWriter::with_capacity(WRITE_BYTES, disk))?;
            writer.into_inner().map_err(IntoInnerError::into_error)?.finish()?;
            None
        }
        Compression::Gzip | Compression::Zstd => {
            // Compressed blocks are large enough to be written as they come.
            let encoder = Encoder::new(compression, TallyWriter::new(disk))?;
            let (disk, stored) = write_all(&mut pieces, encoder)?.finish()?.finish();
            disk.finish()?;
            Some(stored)
        }
    };
    Ok((file, stored))
}

fn write_all<W: Write>(pieces: &mut mpsc::Receiver<Piece>, mut writer: W) -> io::Result<W> {
    while let Some(bytes) = feed::next(pieces)? {
        writer.write_all(&bytes)?;
    }
    Ok(writer)
}

fn internal(error: &JoinError) -> StreamError {
    StreamError::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_an_exhausted_quota_are_both_no_space() {
        use rustix::io::Errno;
        let kind = |errno: Errno| io_kind(&io::Error::from(errno));
        assert_eq!(kind(Errno::NOSPC), FailureKind::NoSpace);
        assert_eq!(kind(Errno::DQUOT), FailureKind::NoSpace);
        assert_eq!(kind(Errno::ROFS), FailureKind::Io);
    }
}
