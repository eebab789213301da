//! The stored bytes, tallied while they are read from disk.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use qdrant_backup_shared::manifest::SizeAndDigest;

use crate::archive::write::Tally;

/// A source that tallies every byte, if needed.
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

    /// Number of bytes read from the source, shared for progress display.
    pub(super) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read_bytes)
    }

    /// The tally of everything that was read.
    pub(super) fn finish(self) -> Option<SizeAndDigest> {
        self.tally.map(Tally::finish)
    }
}

impl Read for Stored {
    /// Reads some bytes, none at the end. Interrupted calls are repeated.
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
