//! Decodes parts on all cores: distributes them to threads, and returns the results in order.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::cutter::Cut;
use super::parts::{Format, PartDecoder};
use super::pool::{Buffer, Pool};

/// Queue length in front of and behind each thread.
const WAITING_PARTS: usize = 1;

/// More threads would need too much memory for a check.
const THREADS_MAX: usize = 8;

/// The result for one piece.
pub(super) enum Done {
    /// A valid part with its contents.
    Decoded { stored: Buffer, plain: Buffer },
    /// Bytes that must be decoded after those before them.
    Raw(Buffer),
    /// The disk failed.
    Failed(io::Error),
    /// The file's end.
    End,
}

/// Inputs, used round-robin.
pub(super) struct Entry {
    lanes: Vec<SyncSender<Cut>>,
    next: usize,
}

/// Outputs, in the same order.
pub(super) struct Outlet {
    lanes: Vec<Receiver<Done>>,
    next: usize,
}

/// One thread per core. They end when the input or the output is dropped.
///
/// # Errors
/// When a decoder or a thread cannot be created.
pub(super) fn start(format: Format, pool: &Pool) -> io::Result<(Entry, Outlet)> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let (mut entries, mut outlets) = (Vec::new(), Vec::new());
    for _ in 0..threads {
        let (cuts, incoming) = sync_channel(WAITING_PARTS);
        let (outgoing, done) = sync_channel(WAITING_PARTS);
        let (mut decoder, pool) = (PartDecoder::new(format)?, pool.clone());
        let work = move || {
            while let Ok(cut) = incoming.recv() {
                if outgoing.send(decode(&mut decoder, cut, &pool)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("decompress".to_owned()).spawn(work)?;
        entries.push(cuts);
        outlets.push(done);
    }
    Ok((Entry { lanes: entries, next: 0 }, Outlet { lanes: outlets, next: 0 }))
}

fn decode(decoder: &mut PartDecoder, cut: Cut, pool: &Pool) -> Done {
    match cut {
        Cut::Part(stored) => match decoder.decode(stored.as_ref(), pool) {
            Some(plain) => Done::Decoded { stored, plain },
            None => Done::Raw(stored),
        },
        Cut::Loose(stored) => Done::Raw(stored),
        Cut::Failed(failure) => Done::Failed(failure),
        Cut::End => Done::End,
    }
}

impl Entry {
    /// Sends a piece to the next thread. False if the result is no longer needed.
    pub(super) fn send(&mut self, cut: Cut) -> bool {
        let sent = self.lanes.get(self.next).is_some_and(|lane| lane.send(cut).is_ok());
        self.next = (self.next + 1) % self.lanes.len().max(1);
        sent
    }
}

impl Outlet {
    /// The next result in order, or a failure if a thread died.
    pub(super) fn next(&mut self) -> Done {
        let done = self.lanes.get(self.next).and_then(|lane| lane.recv().ok());
        self.next = (self.next + 1) % self.lanes.len().max(1);
        done.unwrap_or_else(|| Done::Failed(super::thread_died()))
    }
}
