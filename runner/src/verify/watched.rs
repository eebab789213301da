//! Reads an archive with progress reports and interruption.

use std::io::{self, BufRead, Read};

use crate::archive::read::ArchiveReader;

/// Callbacks for the progress and for the interruption.
pub(super) struct Watch<'a> {
    /// Receives the number of stored bytes read.
    pub(super) progress: &'a mut dyn FnMut(u64),
    /// Returns whether to stop.
    pub(super) interrupt: &'a dyn Fn() -> bool,
    /// Number of reported stored bytes of the current archive.
    pub(super) reported: u64,
}

/// There was too much data.
#[derive(Debug, thiserror::Error)]
#[error("it is larger than the manifest says")]
pub(super) struct TooLong;

impl TooLong {
    /// Whether a read ended for this reason.
    pub(super) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// A reader that reports progress, and fails after an interruption.
pub(super) struct Watched<'r, 'w, 'a> {
    reader: &'r mut ArchiveReader,
    watch: &'w mut Watch<'a>,
    /// The remaining number of bytes.
    left: u64,
}

impl<'r, 'w, 'a> Watched<'r, 'w, 'a> {
    /// Reads at most `most` bytes and fails if there are more, because a small file can decompress to very much data.
    pub(super) fn new(reader: &'r mut ArchiveReader, watch: &'w mut Watch<'a>, most: u64) -> Self {
        Self { reader, watch, left: most }
    }

    /// Reads to the end.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        loop {
            let count = self.fill_buf()?.len();
            if count == 0 {
                return Ok(());
            }
            self.consume(count);
        }
    }
}

impl BufRead for Watched<'_, '_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if (self.watch.interrupt)() {
            return Err(io::Error::other("interrupted"));
        }
        self.reader.fill_buf()?;
        let read = self.reader.read_bytes();
        if read > self.watch.reported {
            (self.watch.progress)(read - self.watch.reported);
            self.watch.reported = read;
        }
        // Buffered data is returned again without reading.
        let filled = self.reader.fill_buf()?;
        if filled.len() as u64 > self.left {
            return Err(io::Error::other(TooLong));
        }
        Ok(filled)
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount as u64);
        self.reader.consume(amount);
    }
}

impl Read for Watched<'_, '_, '_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(target)?;
        self.consume(count);
        Ok(count)
    }
}
