//! One header block: its checksum, numbers, type and names. The layout is the `tar` crate's.

use tar::{GnuSparseHeader, Header};

use super::FindingKind;
use super::source::Block;

/// Position of the checksum in a header. It counts as spaces in the computation.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    Directory,
    /// A sparse file in the old GNU format, which Qdrant writes.
    Sparse,
    HardLink,
    SymbolicLink,
    Special,
    /// Not a member: it describes the next one.
    Extension(ExtensionKind),
    Unknown(u8),
}

/// Extensions before a member's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtensionKind {
    LongName,
    LongLink,
    Pax,
    /// For all members that follow.
    PaxGlobal,
}

/// A header that passed its checksum.
pub(super) struct Head<'b> {
    header: &'b Header,
    pub(super) kind: EntryKind,
    /// Size of the data in the archive, without padding.
    pub(super) stored_bytes: u64,
}

/// Additional header fields of a sparse member.
pub(super) struct SparseFields<'h> {
    pub(super) parts: &'h [GnuSparseHeader],
    /// Whether the map continues in the next block.
    pub(super) extended: bool,
    /// Size of the member with its holes filled.
    pub(super) real_bytes: Result<u64, HeaderFault>,
}

/// Why a header cannot be used.
pub(super) type HeaderFault = (FindingKind, &'static str);

/// Reads a header block.
pub(super) fn read(block: &Block) -> Result<Head<'_>, HeaderFault> {
    let header = Header::from_byte_slice(block);
    if header.cksum().ok() != Some(checksum(block)) {
        return Err((FindingKind::HeaderChecksum, "the header's checksum does not match"));
    }
    let old = header.as_old();
    let [flag] = old.linkflag;
    let kind = match flag {
        b'0' | 0 => EntryKind::File,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::SymbolicLink,
        b'3' | b'4' | b'6' => EntryKind::Special,
        b'5' => EntryKind::Directory,
        b'L' => EntryKind::Extension(ExtensionKind::LongName),
        b'K' => EntryKind::Extension(ExtensionKind::LongLink),
        b'x' => EntryKind::Extension(ExtensionKind::Pax),
        b'g' => EntryKind::Extension(ExtensionKind::PaxGlobal),
        b'S' if header.as_gnu().is_some() => EntryKind::Sparse,
        b'S' => return Err((FindingKind::HeaderInvalid, "a sparse entry without a GNU header")),
        other => EntryKind::Unknown(other),
    };
    Ok(Head { header, kind, stored_bytes: number(&old.size)? })
}

impl Head<'_> {
    /// The name in this header alone; an extension may override it.
    pub(super) fn path(&self) -> Vec<u8> {
        self.header.path_bytes().into_owned()
    }

    /// The link target in this header alone; an extension may override it.
    pub(super) fn link(&self) -> Vec<u8> {
        self.header.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default()
    }

    /// The sparse fields, if this is a GNU header.
    pub(super) fn sparse(&self) -> Option<SparseFields<'_>> {
        let gnu = self.header.as_gnu()?;
        Some(SparseFields {
            parts: &gnu.sparse,
            extended: gnu.is_extended(),
            real_bytes: number(&gnu.realsize),
        })
    }
}

fn checksum(block: &Block) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let spaces = u32::from(b' ') * 8;
    sum(block) - sum(block.get(CHECKSUM).unwrap_or_default()) + spaces
}

/// A number of twelve bytes: octal text or, with the top bit set, binary. The `tar` crate truncates numbers to 64 bits and
/// accepts signs; here both are errors.
pub(super) fn number(field: &[u8; 12]) -> Result<u64, HeaderFault> {
    const UNREADABLE: HeaderFault = (FindingKind::HeaderInvalid, "a number in the header cannot be read");
    let [first, high @ .., _, _, _, _, _, _, _, _] = field;
    if first & 0x80 != 0 {
        let low: &[u8; 8] = field.last_chunk().ok_or(UNREADABLE)?;
        if *first != 0x80 || high.iter().any(|byte| *byte != 0) {
            return Err((FindingKind::SizeAbsurd, "a declared size does not fit into 64 bits"));
        }
        return Ok(u64::from_be_bytes(*low));
    }
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    if text.is_empty() || !text.iter().all(|byte| matches!(byte, b'0'..=b'7')) {
        return Err(UNREADABLE);
    }
    // Twelve octal digits are 36 bits, so this cannot overflow.
    Ok(text.iter().fold(0, |sum, digit| sum * 8 + u64::from(digit - b'0')))
}
