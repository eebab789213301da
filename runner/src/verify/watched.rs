//! An archive that is read with somebody looking on: progress goes out, and an interruption comes in.

use std::io::{self, BufRead, Read};

use crate::archive::ArchiveReader;

/// Who looks on.
pub(super) struct Watch<'a> {
    /// Is told how many more stored bytes were read.
    pub(super) progress: &'a mut dyn FnMut(u64),
    /// Says whether to stop.
    pub(super) interrupt: &'a dyn Fn() -> bool,
    /// How many stored bytes of the current archive it was told of.
    pub(super) reported: u64,
}

/// A reader that reports what it has read, and fails once it is to stop.
pub(super) struct Watched<'r, 'w, 'a> {
    reader: &'r mut ArchiveReader,
    watch: &'w mut Watch<'a>,
}

impl<'r, 'w, 'a> Watched<'r, 'w, 'a> {
    pub(super) fn new(reader: &'r mut ArchiveReader, watch: &'w mut Watch<'a>) -> Self {
        Self { reader, watch }
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
        // What is there is given again without reading.
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
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
