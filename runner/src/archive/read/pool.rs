//! Buffers that are used again and again, so that an archive of any size is read in the memory of a few blocks.

use std::sync::{Arc, Mutex, PoisonError};

/// Where buffers lie while nobody needs them.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer, filled up to its length. When it is dropped, what it took goes back to its pool.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Never shortened: bytes behind `length` are left from former uses, and need not be zeroed again.
    bytes: Vec<u8>,
    length: usize,
    pool: Pool,
}

impl Pool {
    /// An empty buffer.
    pub(super) fn take(&self) -> Buffer {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Buffer { bytes, length: 0, pool: self.clone() }
    }
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What can be written to behind what is there, so that both together are `total` bytes.
    pub(super) fn room(&mut self, total: usize) -> &mut [u8] {
        if self.bytes.len() < total {
            self.bytes.resize(total, 0);
        }
        &mut self.bytes[self.length.min(total)..total]
    }

    /// Takes the first `count` bytes of the room for filled.
    pub(super) fn advance(&mut self, count: usize) {
        self.length = self.bytes.len().min(self.length + count);
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.room(self.length + bytes.len()).copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_taken_again_and_empty() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        buffer.extend(b"hello");
        buffer.extend(b" world");
        buffer.truncate(7);
        assert_eq!(buffer.as_ref(), b"hello w");
        drop(buffer);
        let mut again = pool.take();
        assert_eq!((again.len(), again.bytes.len()), (0, 11));
        again.room(3)[..2].copy_from_slice(b"ab");
        again.advance(2);
        assert_eq!(again.as_ref(), b"ab");
        assert!(pool.take().bytes.is_empty(), "there was only one");
    }
}
