//! Downloads into a temporary file, and hashes, checks and compresses the data at the same time.

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

/// Minimum size of a write to the file.
const WRITE_BYTES: usize = 1 << 20;

/// A complete download, according to the connection. Not synced yet.
#[derive(Debug)]
pub struct Received {
    /// Size and digest of the snapshot.
    pub snapshot: SizeAndDigest,
    /// Size and digest of the written file.
    pub stored: SizeAndDigest,
    /// The contents of the snapshot.
    pub inspection: Inspection,
    /// The file, still under its temporary name.
    pub file: AtomicFile,
}

/// A download failed. The temporary file is removed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The server or the connection failed, and the download could not be resumed.
    #[error(transparent)]
    Download(qdrant::Error),
    /// The same, but a new download may help: the server cannot resume, or has another file.
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

/// The target of a download.
#[derive(Debug)]
pub struct Target {
    /// The file, still under its temporary name.
    pub file: AtomicFile,
    /// How it is stored.
    pub compression: Compression,
    /// Expected size in bytes.
    pub expected_bytes: u64,
    /// Size of the snapshot according to the server. Reading stops after that, because the data may be endless.
    pub snapshot_bytes: u64,
}

/// Progress of a download.
#[derive(Debug)]
pub enum Progress<'a> {
    /// Number of new bytes.
    Arrived(u64),
    /// It was interrupted for this reason and is resumed.
    Resumed(&'a str),
}

/// Receives `download` into `target`, limited by `throttle`, and reports to `progress`. An interrupted download resumes where it
/// stopped; processed data is not requested again.
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

    // Both threads end now, because their feed has ended or was dropped.
    let looked = looking.await.map_err(|error| internal(&error))?;
    let stored = storing.await.map_err(|error| internal(&error))?;
    // A broken connection is the cause of errors in the threads. If a piece was refused, the thread's error is the cause.
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
    // The caller compares the lengths and reports the excess.
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
    // Refused: a thread has failed, and its result contains the reason.
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
