//! Reads forward only: blocks and small members. Everything else is skipped without a copy.

use std::io::{BufRead, Error, ErrorKind, Result};

/// The block size of tar. A header is one block, data is padded to a multiple.
pub(super) const BLOCK_BYTES: u64 = 512;

/// One block.
pub(super) type Block = [u8; 512];

/// The bytes of the snapshot, and the current position.
pub(super) struct Source<'r, R: ?Sized> {
    reader: &'r mut R,
    position: u64,
}

impl<'r, R: BufRead + ?Sized> Source<'r, R> {
    pub(super) fn new(reader: &'r mut R) -> Self {
        Self { reader, position: 0 }
    }

    /// Bytes consumed since the beginning.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Reads up to `wanted` bytes into the block, less only at the end of the stream. Returns their number.
    pub(super) fn read_block(&mut self, block: &mut Block, wanted: u64) -> Result<u64> {
        let mut rest = block.as_mut_slice();
        self.pass(wanted.min(BLOCK_BYTES), |piece| {
            let target = std::mem::take(&mut rest);
            // `pass` never returns more than `wanted`, so the split is always within the block.
            let (now, later) = target.split_at_mut(piece.len().min(target.len()));
            if let Some(piece) = piece.get(..now.len()) {
                now.copy_from_slice(piece);
            }
            rest = later;
        })
    }

    /// Reads `wanted` bytes into memory, fewer only at the end of the stream. The caller bounds `wanted`.
    pub(super) fn read_bytes(&mut self, wanted: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.pass(wanted, |piece| bytes.extend_from_slice(piece))?;
        Ok(bytes)
    }

    /// Skips `wanted` bytes. Returns their number, less only at the end of the stream.
    pub(super) fn skip(&mut self, wanted: u64) -> Result<u64> {
        self.pass(wanted, |_| ())
    }

    /// Skips `wanted` bytes, and returns whether they were all zero.
    pub(super) fn skip_zeros(&mut self, wanted: u64) -> Result<bool> {
        let mut zeros = true;
        self.pass(wanted, |piece| zeros = zeros && piece.iter().all(|byte| *byte == 0))?;
        Ok(zeros)
    }

    fn pass(&mut self, wanted: u64, mut see: impl FnMut(&[u8])) -> Result<u64> {
        let mut passed = 0;
        while passed < wanted {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let left = usize::try_from(wanted - passed).unwrap_or(usize::MAX);
            let piece = available.get(..left).unwrap_or(available);
            if piece.is_empty() {
                break;
            }
            see(piece);
            let seen = piece.len();
            self.reader.consume(seen);
            passed += seen as u64;
            self.position =
                self.position.checked_add(seen as u64).ok_or_else(|| Error::other("endless stream"))?;
        }
        Ok(passed)
    }
}

/// The padding of a member's last block.
pub(super) fn padding(size: u64) -> u64 {
    (BLOCK_BYTES - size % BLOCK_BYTES) % BLOCK_BYTES
}
