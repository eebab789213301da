//! The threads that read an archive ahead of its consumer.
//!
//! ```text
//! read, count, SHA-256, cut ─► decompress (all cores) ─► put in order ─► count, SHA-256 ─► consumer
//! ```
//! They are connected by bounded queues, so that the slowest one sets the pace, and memory does not depend on the size. Each
//! thread ends when its results are no longer needed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use qdrant_backup_shared::manifest::SizeAndDigest;

use super::cutter::{Cut, Cutter};
use super::error::ArchiveError;
use super::lanes::{self, Done, Outlet};
use super::parts::Format;
use super::pool::{Buffer, Pool};
use super::sequential::{Fault, Rest, Sequential};
use super::stored::Stored;
use crate::archive::write::Tally;

/// Pieces that may wait in one queue.
const QUEUE_PIECES: usize = 2;

/// A part of a snapshot's stream.
pub(super) enum Next {
    /// Bytes, at least one.
    Piece(Bytes),
    /// The end, with the tally, unless it equals that of the stored bytes.
    End(Option<SizeAndDigest>),
    /// An error; there is no more data.
    Failed(ArchiveError),
}

/// An archive that is being read.
pub(super) struct Ahead {
    /// Decoded pieces, in order.
    pub(super) snapshot: Receiver<Next>,
    /// Returns the stored bytes when all are read, or when no more are needed.
    pub(super) reading: JoinHandle<Stored>,
}

/// Starts reading `stored`, which is compressed in `format`, if at all.
///
/// # Errors
/// When there is no memory for a decoder, or no thread can be started.
pub(super) fn start(stored: Stored, format: Option<Format>, path: &Path) -> io::Result<Ahead> {
    let pool = Pool::default();
    let cutter = Cutter::new(stored, format, pool.clone());
    let (hashed, snapshot) = sync_channel(QUEUE_PIECES);
    let path = path.to_owned();
    let Some(format) = format else {
        let reading = spawn("read", move || read_plain(cutter, &hashed, path))?;
        return Ok(Ahead { snapshot, reading });
    };
    let (mut entry, outlet) = lanes::start(format, &pool)?;
    let (ordered, in_order) = sync_channel(QUEUE_PIECES);
    spawn("order", move || InOrder { path, format, pool, ordered }.run(outlet))?;
    spawn("hash", move || hash(&in_order, &hashed))?;
    let reading = spawn("read", move || {
        let mut cutter = cutter;
        loop {
            let cut = cutter.next();
            let last = matches!(cut, Cut::End | Cut::Failed(_));
            if !entry.send(cut) || last {
                return cutter.into_stored();
            }
        }
    })?;
    Ok(Ahead { snapshot, reading })
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(work)
}

/// Passes on the stored bytes unchanged.
fn read_plain(mut cutter: Cutter, pieces: &SyncSender<Next>, path: PathBuf) -> Stored {
    loop {
        let next = match cutter.next() {
            Cut::Part(bytes) | Cut::Loose(bytes) => Next::Piece(Bytes::from_owner(bytes)),
            Cut::End => Next::End(None),
            Cut::Failed(source) => Next::Failed(ArchiveError::Io { path: path.clone(), source }),
        };
        let last = !matches!(next, Next::Piece(_));
        if pieces.send(next).is_err() || last {
            return cutter.into_stored();
        }
    }
}

/// Tallies the data.
fn hash(pieces: &Receiver<Next>, hashed: &SyncSender<Next>) {
    let mut tally = Tally::default();
    while let Ok(next) = pieces.recv() {
        let next = match next {
            Next::Piece(bytes) => {
                tally.update(&bytes);
                Next::Piece(bytes)
            }
            Next::End(_) => Next::End(Some(std::mem::take(&mut tally).finish())),
            Next::Failed(error) => Next::Failed(error),
        };
        if hashed.send(next).is_err() {
            return;
        }
    }
}

/// Orders the decoded parts, and decodes those that could not be decoded independently.
struct InOrder {
    path: PathBuf,
    format: Format,
    pool: Pool,
    ordered: SyncSender<Next>,
}

impl InOrder {
    fn run(&self, mut outlet: Outlet) {
        let mut position = 0;
        let last = loop {
            match outlet.next() {
                Done::Decoded { stored, plain } => {
                    position += stored.len() as u64;
                    if !self.send(plain) {
                        return;
                    }
                }
                Done::Raw(stored) => {
                    position += stored.len() as u64;
                    break self.sequentially(Rest::new(outlet, stored, position, false));
                }
                // An empty file is not an archive.
                Done::End if position == 0 => {
                    break self.sequentially(Rest::new(outlet, self.pool.take(), 0, true));
                }
                Done::End => break Next::End(None),
                Done::Failed(source) => break self.failed(Fault::Io(source)),
            }
        };
        // The receiver has been dropped and does not need the result.
        drop(self.ordered.send(last));
    }

    fn sequentially(&self, rest: Rest) -> Next {
        let mut decoder = match Sequential::new(self.format, rest) {
            Ok(decoder) => decoder,
            Err(error) => return self.failed(Fault::Io(error)),
        };
        loop {
            match decoder.next(&self.pool) {
                Ok(plain) if plain.is_empty() => return Next::End(None),
                Ok(plain) => {
                    if !self.send(plain) {
                        return self.failed(Fault::Io(io::ErrorKind::BrokenPipe.into()));
                    }
                }
                Err(fault) => return self.failed(fault),
            }
        }
    }

    fn failed(&self, fault: Fault) -> Next {
        let path = self.path.clone();
        Next::Failed(match fault {
            Fault::Io(source) => ArchiveError::Io { path, source },
            Fault::Corrupt { position, reason } => {
                ArchiveError::Corrupt { path, position, reason: reason.to_string() }
            }
        })
    }

    /// Sends a decoded piece, unless it is empty. False if it is no longer needed.
    fn send(&self, plain: Buffer) -> bool {
        plain.is_empty() || self.ordered.send(Next::Piece(Bytes::from_owner(plain))).is_ok()
    }
}
