//! The map of a sparse member: the parts of the file that are in the archive. It is checked while it is read, and only kept for
//! small members.

use tar::GnuSparseHeader;

use super::FindingKind;
use super::header::{HeaderFault, number};
use super::source::BLOCK_BYTES;

/// Maximum number of parts kept. A small JSON file has one.
const REMEMBERED_PARTS: usize = 64;

/// A map under construction.
#[derive(Debug, Default)]
pub(super) struct SparseMap {
    /// End of the last part in the file.
    file_end: u64,
    /// Size of the parts so far in the archive.
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

    /// Size of the member with its holes filled, according to the parts.
    pub(super) fn file_bytes(&self) -> u64 {
        self.file_end
    }

    /// Compares the whole map with the header. The `tar` crate, which Qdrant uses to restore, has the same checks.
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

    /// Builds a small member from its stored bytes. None if it has too many parts. The caller has checked the map and limited
    /// `file_end`.
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
