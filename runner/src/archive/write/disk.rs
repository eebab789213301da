//! Writes the archive to disk.
//!
//! Written data is synced in the background, so that the last sync is short. Then it is dropped from the page cache, which
//! Qdrant's own files may need more, and so that a later verification really reads the disk.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use rustix::io::Errno;

/// Number of bytes synced at once.
const SYNC_BYTES: u64 = 64 << 20;

/// Writes to a file, with sync in the background.
pub struct DiskWriter<'a> {
    file: &'a mut File,
    reserved_bytes: u64,
    written_bytes: u64,
    /// End of the data that was passed to the sync thread.
    handed_bytes: u64,
    syncer: Option<Syncer>,
}

/// The sync thread. It receives the written length.
struct Syncer {
    written: SyncSender<u64>,
    thread: JoinHandle<io::Result<()>>,
}

impl<'a> DiskWriter<'a> {
    /// Writes to `file`, which is empty. Allocates `expected_bytes` first if the file system can, so that a full disk is noticed
    /// before the transfer.
    ///
    /// # Errors
    /// When there is not enough space.
    pub fn new(file: &'a mut File, expected_bytes: u64) -> io::Result<Self> {
        let reserved_bytes = reserve(file, expected_bytes)?;
        Ok(Self { file, reserved_bytes, written_bytes: 0, handed_bytes: 0, syncer: None })
    }

    /// Waits for the pending syncs and frees unused space. The caller must sync the last part.
    ///
    /// # Errors
    /// When a sync failed. The kernel reports this only once, so a later sync of the whole file may not fail.
    pub fn finish(mut self) -> io::Result<()> {
        self.stop_syncing()?;
        if self.reserved_bytes > self.written_bytes {
            self.file.set_len(self.written_bytes)?;
        }
        Ok(())
    }

    fn stop_syncing(&mut self) -> io::Result<()> {
        let Some(Syncer { written, thread }) = self.syncer.take() else { return Ok(()) };
        drop(written);
        thread.join().map_err(|_| io::Error::other("the sync thread died; this is a bug in qdrant-backup"))?
    }

    /// Starts a sync of everything so far, unless one is in progress.
    fn sync_behind(&mut self) -> io::Result<()> {
        if self.syncer.is_none() {
            self.syncer = Some(Syncer::start(self.file.try_clone()?)?);
        }
        match self.syncer.as_ref().map(|syncer| syncer.written.try_send(self.written_bytes)) {
            Some(Ok(())) => {
                self.handed_bytes = self.written_bytes;
                Ok(())
            }
            // The disk is slower than the writer and is busy.
            Some(Err(TrySendError::Full(_))) | None => Ok(()),
            Some(Err(TrySendError::Disconnected(_))) => self.stop_syncing(),
        }
    }
}

impl Write for DiskWriter<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.file.write(buffer)?;
        self.written_bytes += count as u64;
        if self.written_bytes - self.handed_bytes >= SYNC_BYTES {
            self.sync_behind()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Syncer {
    fn start(file: File) -> io::Result<Self> {
        let (written, incoming) = sync_channel(0);
        let thread =
            thread::Builder::new().name("sync".to_owned()).spawn(move || sync_all(&file, &incoming))?;
        Ok(Self { written, thread })
    }
}

fn sync_all(file: &File, written: &Receiver<u64>) -> io::Result<()> {
    while let Ok(bytes) = written.recv() {
        file.sync_data()?;
        // Only a hint: a failure only affects the cache.
        if let Err(error) = fadvise(file, 0, NonZeroU64::new(bytes), Advice::DontNeed) {
            tracing::debug!("cannot drop the archive from the page cache: {error}");
        }
    }
    Ok(())
}

/// Allocates space on disk without changing the file size. Returns the allocated size.
fn reserve(file: &File, bytes: u64) -> io::Result<u64> {
    if bytes == 0 {
        return Ok(0);
    }
    reserved(fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes), bytes)
}

fn reserved(result: Result<(), Errno>, bytes: u64) -> io::Result<u64> {
    match result {
        Ok(()) => Ok(bytes),
        Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(error.into()),
        // Not supported by the file system or kernel; space is then allocated as needed.
        Err(_) => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn everything_is_written_and_room_that_was_not_needed_is_given_back() {
        let mut file = tempfile::tempfile().unwrap();
        let data: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let pieces = SYNC_BYTES / data.len() as u64 * 2 + 1;
        let mut writer = DiskWriter::new(&mut file, 256 << 20).unwrap();
        for _ in 0..pieces {
            writer.write_all(&data).unwrap();
        }
        assert!(writer.syncer.is_some());
        writer.finish().unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.len(), pieces * data.len() as u64);
        assert!(metadata.blocks() * 512 < 200 << 20, "{} blocks", metadata.blocks());
        file.rewind().unwrap();
        let mut read = vec![0; data.len()];
        for _ in 0..pieces {
            file.read_exact(&mut read).unwrap();
            assert!(read == data);
        }
    }

    #[test]
    fn only_a_disk_without_the_room_is_an_error() {
        for full in [Errno::NOSPC, Errno::DQUOT] {
            let kind = reserved(Err(full), 1).unwrap_err().kind();
            assert!(matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded), "{kind}");
        }
        for cannot in [Errno::OPNOTSUPP, Errno::NOSYS, Errno::FBIG, Errno::INVAL] {
            assert_eq!(reserved(Err(cannot), 1).unwrap(), 0);
        }
        assert_eq!(reserved(Ok(()), 7).unwrap(), 7);
        // Longer than any file can be.
        let mut file = tempfile::tempfile().unwrap();
        DiskWriter::new(&mut file, u64::MAX).unwrap().finish().unwrap();
    }
}
