//! Compresses blocks on all cores: distributes them to threads, and writes the results in order.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Size of a block. Smaller blocks compress worse, larger ones need more memory.
const BLOCK_BYTES: usize = 512 << 10;

/// Maximum number of blocks per thread, including waiting ones.
const BLOCKS_A_THREAD: usize = 2;

/// More threads would need too much memory for a backup.
const THREADS_MAX: usize = 8;

/// Size of the samples of a block.
pub const PIECE_BYTES: usize = 4 << 10;

/// Encodes a block as a part of the archive that can be decompressed independently. Each thread has its own encoder.
pub trait BlockEncoder: Send {
    /// Writes `block`, encoded, to `encoded`, which is emptied first.
    ///
    /// # Errors
    /// When the compressor fails.
    fn encode(&mut self, block: &[u8], encoded: &mut Vec<u8>) -> io::Result<()>;
}

/// A job for a thread. Both buffers are reused.
#[derive(Default)]
struct Job {
    block: Vec<u8>,
    encoded: Vec<u8>,
    failure: Option<io::Error>,
}

/// One thread: jobs go in and come out in the same order.
struct Worker {
    jobs: SyncSender<Job>,
    done: Receiver<Job>,
}

/// Compresses the written data on several threads, and writes it to `inner`.
pub struct BlockWriter<W> {
    inner: W,
    workers: Vec<Worker>,
    /// The thread for the next block. Blocks are distributed round-robin, and results are collected in the same order.
    next: usize,
    /// The thread with the next result.
    oldest: usize,
    in_flight: usize,
    filling: Job,
    spare: Vec<Job>,
    written_any: bool,
}

impl<W: Write> BlockWriter<W> {
    /// A writer with one thread per core, each with an encoder from `encoder`.
    ///
    /// # Errors
    /// When an encoder or a thread cannot be created.
    pub fn new<E: BlockEncoder + 'static>(
        inner: W,
        mut encoder: impl FnMut() -> io::Result<E>,
    ) -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let workers = (0..threads).map(|_| start_worker(encoder()?)).collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            inner,
            workers,
            next: 0,
            oldest: 0,
            in_flight: 0,
            filling: Job::default(),
            spare: Vec::new(),
            written_any: false,
        })
    }

    /// Writes all pending data. Without this call, the file is truncated without an error.
    ///
    /// # Errors
    /// When compressing or writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        // Empty input becomes one empty block, so that the file is valid.
        if !self.filling.block.is_empty() || !self.written_any {
            self.dispatch()?;
        }
        while self.in_flight > 0 {
            self.collect()?;
        }
        Ok(self.inner)
    }

    /// Sends the filled block to the next thread, and starts a new one.
    fn dispatch(&mut self) -> io::Result<()> {
        if self.in_flight == self.workers.len() * BLOCKS_A_THREAD {
            self.collect()?;
        }
        let job = std::mem::replace(&mut self.filling, self.spare.pop().unwrap_or_default());
        let worker = self.workers.get(self.next).ok_or_else(thread_died)?;
        worker.jobs.send(job).map_err(|_| thread_died())?;
        self.next = (self.next + 1) % self.workers.len();
        self.in_flight += 1;
        self.written_any = true;
        Ok(())
    }

    /// Waits for the oldest block and writes it.
    fn collect(&mut self) -> io::Result<()> {
        let worker = self.workers.get(self.oldest).ok_or_else(thread_died)?;
        let mut job = worker.done.recv().map_err(|_| thread_died())?;
        self.oldest = (self.oldest + 1) % self.workers.len();
        self.in_flight -= 1;
        if let Some(failure) = job.failure.take() {
            return Err(failure);
        }
        self.inner.write_all(&job.encoded)?;
        job.block.clear();
        self.spare.push(job);
        Ok(())
    }
}

impl<W: Write> Write for BlockWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let block = &mut self.filling.block;
        if block.capacity() < BLOCK_BYTES {
            block.reserve_exact(BLOCK_BYTES - block.len());
        }
        let taken = buffer.len().min(BLOCK_BYTES - block.len());
        block.extend_from_slice(&buffer[..taken]);
        if block.len() == BLOCK_BYTES {
            self.dispatch()?;
        }
        Ok(taken)
    }

    /// Passes on compressed data; a block ends only when it is full, or at the end of the data.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn start_worker(mut encoder: impl BlockEncoder + 'static) -> io::Result<Worker> {
    let (jobs, incoming) = sync_channel::<Job>(BLOCKS_A_THREAD);
    let (outgoing, done) = sync_channel::<Job>(BLOCKS_A_THREAD);
    // The thread ends when the writer is dropped. It need not be joined.
    thread::Builder::new().name("compress".to_owned()).spawn(move || {
        while let Ok(mut job) = incoming.recv() {
            job.failure = encoder.encode(&job.block, &mut job.encoded).err();
            if outgoing.send(job).is_err() {
                return;
            }
        }
    })?;
    Ok(Worker { jobs, done })
}

fn thread_died() -> io::Error {
    io::Error::other("a compression thread died; this is a bug in qdrant-backup")
}

/// `count` samples, spread evenly over the block. The whole block if it is short.
pub fn pieces(block: &[u8], count: usize) -> impl Iterator<Item = &[u8]> {
    let stride = (block.len() / count).max(PIECE_BYTES);
    block.chunks(stride).take(count).map(|chunk| &chunk[..chunk.len().min(PIECE_BYTES)])
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::archive::write::{Compression, Encoder};

    const BOTH: [Compression; 2] = [Compression::Gzip, Compression::Zstd];

    fn decoded(compression: Compression, stored: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        match compression {
            Compression::Gzip => flate2::read::MultiGzDecoder::new(stored).read_to_end(&mut plain).unwrap(),
            Compression::Zstd => zstd::Decoder::new(stored).unwrap().read_to_end(&mut plain).unwrap(),
            Compression::None => panic!("nothing to decode"),
        };
        plain
    }

    fn round_trip(compression: Compression, data: &[u8], piece: usize) -> Vec<u8> {
        let mut writer = Encoder::new(compression, Vec::new()).unwrap();
        for chunk in data.chunks(piece) {
            writer.write_all(chunk).unwrap();
        }
        decoded(compression, &writer.finish().unwrap())
    }

    #[expect(clippy::cast_possible_truncation, reason = "test data")]
    #[test]
    fn blocks_come_out_in_order_however_they_went_in() {
        // Blocks of very different difficulty, so that threads finish out of order.
        let data: Vec<u8> = (0..12_u32)
            .flat_map(|block| {
                (0..400_000_u32).map(move |i| {
                    if block % 2 == 0 {
                        block as u8
                    } else {
                        (i.wrapping_mul(2_654_435_761 + block) >> 13) as u8
                    }
                })
            })
            .collect();
        for compression in BOTH {
            for piece in [1 << 20, BLOCK_BYTES, 65_521, 10_007] {
                assert!(round_trip(compression, &data, piece) == data, "{compression:?}, pieces of {piece}");
            }
        }
    }

    #[test]
    fn nothing_at_all_is_a_file_of_its_format_too() {
        for compression in BOTH {
            let stored = Encoder::new(compression, Vec::new()).unwrap().finish().unwrap();
            assert!(!stored.is_empty());
            assert_eq!(decoded(compression, &stored), Vec::<u8>::new());
        }
    }

    #[test]
    fn an_error_of_the_disk_comes_through() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for compression in BOTH {
            let mut writer = Encoder::new(compression, Full).unwrap();
            writer.write_all(&[1; 10]).unwrap();
            assert_eq!(writer.finish().map(drop).unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
    }
}
