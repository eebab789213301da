//! Reusable buffers, so that reading an archive of any size needs the memory of only a few blocks.

use std::sync::{Arc, Mutex, PoisonError};

/// The unused buffers.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer, filled up to its length. When dropped, it returns to its pool.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Never shortened: bytes after `length` are from earlier uses, and need not be zeroed again.
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

    /// The free space after the contents, for a total of `total` bytes.
    pub(super) fn room(&mut self, total: usize) -> &mut [u8] {
        if self.bytes.len() < total {
            self.bytes.resize(total, 0);
        }
        &mut self.bytes[self.length.min(total)..total]
    }

    /// Marks the first `count` bytes of the free space as filled.
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
