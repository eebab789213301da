//! The map of a sparse member: which parts of the file the archive holds. It is checked as it is read and
//! never kept, except the few parts of a member that is small enough to be put together.

use tar::GnuSparseHeader;

use super::FindingKind;
use super::header::{HeaderFault, number};
use super::source::BLOCK_BYTES;

/// The most parts that are remembered; a small file of JSON has one.
const REMEMBERED_PARTS: usize = 64;

/// A map under construction.
#[derive(Debug, Default)]
pub(super) struct SparseMap {
    /// Where the last part ended in the file.
    file_end: u64,
    /// How many bytes the parts so far take in the archive.
    stored: u64,
    parts: Vec<(u64, u64)>,
    more_parts: bool,
}

impl SparseMap {
    /// Adds the parts of one header block.
    pub(super) fn add(&mut self, parts: &[GnuSparseHeader]) -> Result<(), HeaderFault> {
        for part in parts.iter().filter(|part| !part.is_empty()) {
            self.add_part(number(&part.offset)?, number(&part.numbytes)?)?;
        }
        Ok(())
    }

    fn add_part(&mut self, offset: u64, length: u64) -> Result<(), HeaderFault> {
        if length != 0 && !self.stored.is_multiple_of(BLOCK_BYTES) {
            return Err(invalid("a part of the sparse member does not start on a block boundary"));
        }
        if offset < self.file_end {
            return Err(invalid("parts of the sparse member overlap or are out of order"));
        }
        let overflow = (FindingKind::SizeAbsurd, "the parts of the sparse member do not fit into 64 bits");
        self.file_end = offset.checked_add(length).ok_or(overflow)?;
        self.stored = self.stored.checked_add(length).ok_or(overflow)?;
        if self.parts.len() < REMEMBERED_PARTS {
            self.parts.push((offset, length));
        } else {
            self.more_parts = true;
        }
        Ok(())
    }

    /// The member's size when its holes are filled, as far as the parts tell.
    pub(super) fn file_bytes(&self) -> u64 {
        self.file_end
    }

    /// Compares the whole map with what the header says of the member. The `tar` crate, with which Qdrant
    /// restores, refuses a file on the same grounds.
    pub(super) fn check(&self, real_bytes: u64, stored_bytes: u64) -> Result<(), HeaderFault> {
        if self.file_end > real_bytes {
            return Err(invalid("a part of the sparse member is beyond its end"));
        }
        if self.file_end != real_bytes {
            return Err(invalid("the sparse map does not reach the member's end"));
        }
        if self.stored != stored_bytes {
            return Err(invalid("the parts of the sparse member do not add up to its stored size"));
        }
        Ok(())
    }

    /// Puts a small member together from its stored bytes; none if it has too many parts. The caller has
    /// checked the map and bounded `file_end`.
    pub(super) fn expand(&self, stored: &[u8]) -> Option<Vec<u8>> {
        if self.more_parts {
            return None;
        }
        let mut file = vec![0; usize::try_from(self.file_end).ok()?];
        let mut rest = stored;
        for (offset, length) in &self.parts {
            let (offset, length) = (usize::try_from(*offset).ok()?, usize::try_from(*length).ok()?);
            let (part, later) = rest.split_at_checked(length)?;
            file.get_mut(offset..offset.checked_add(length)?)?.copy_from_slice(part);
            rest = later;
        }
        Some(file)
    }
}

fn invalid(message: &'static str) -> HeaderFault {
    (FindingKind::SparseMapInvalid, message)
}
