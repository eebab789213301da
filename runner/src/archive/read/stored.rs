//! The stored bytes, tallied as they come from the disk.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use qdrant_backup_shared::manifest::SizeAndDigest;

use crate::archive::write::Tally;

/// A source of which every byte is tallied, if anybody wants to know.
pub(super) struct Stored {
    source: Box<dyn Read + Send>,
    tally: Option<Tally>,
    read_bytes: Arc<AtomicU64>,
}

impl Stored {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self { source, tally: Some(Tally::default()), read_bytes: Arc::default() }
    }

    /// The same without a tally.
    pub(super) fn untallied(self) -> Self {
        Self { tally: None, ..self }
    }

    /// How many bytes have come from the source, for others to watch.
    pub(super) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read_bytes)
    }

    /// The tally of everything that was read.
    pub(super) fn finish(self) -> Option<SizeAndDigest> {
        self.tally.map(Tally::finish)
    }
}

impl Read for Stored {
    /// Reads some bytes; none at the end. Interruptions are not passed on.
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.source.read(target) {
                Ok(count) => {
                    if let Some(tally) = &mut self.tally {
                        tally.update(&target[..count]);
                    }
                    self.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
