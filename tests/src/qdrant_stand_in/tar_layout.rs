//! Builds a tar as a list of pieces, whose bytes come from elsewhere.

use bytes::Bytes;
use tar::{EntryType, Header};

const BLOCK_BYTES: u64 = 512;
/// The end of a tar: two zero blocks.
pub(crate) const END_BYTES: u64 = 2 * BLOCK_BYTES;

/// A range of bytes of the archive.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// This many bytes of the generator's filling.
    Fill(u64),
    /// This many zeros.
    Zeros(u64),
}

impl Piece {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::Fill(len) | Piece::Zeros(len) => *len,
        }
    }
}

/// The total size of all pieces.
pub(crate) fn total(pieces: &[Piece]) -> u64 {
    pieces.iter().map(Piece::len).sum()
}

/// A member with these bytes.
pub(crate) fn file(pieces: &mut Vec<Piece>, path: &str, bytes: impl Into<Bytes>) {
    member(pieces, path, vec![Piece::Bytes(bytes.into())]);
}

/// A member made of pieces, for example a nested tar.
pub(crate) fn member(pieces: &mut Vec<Piece>, path: &str, body: Vec<Piece>) {
    let len = total(&body);
    pieces.push(header(path, len, EntryType::Regular, None));
    pieces.extend(body);
    pad(pieces, len);
}

/// A GNU sparse member: `data` at the start, followed by a hole up to `real_size_bytes`.
pub(crate) fn sparse_file(pieces: &mut Vec<Piece>, path: &str, data: &[u8], real_size_bytes: u64) {
    sparse_member(pieces, path, Piece::Bytes(Bytes::copy_from_slice(data)), real_size_bytes);
}

/// Like [`sparse_file`], with a piece as data.
pub(crate) fn sparse_member(pieces: &mut Vec<Piece>, path: &str, data: Piece, real_size_bytes: u64) {
    let len = data.len();
    pieces.push(header(path, len, EntryType::GNUSparse, Some(real_size_bytes)));
    pieces.push(data);
    pad(pieces, len);
}

/// A directory. Its path ends with a slash.
pub(crate) fn directory(pieces: &mut Vec<Piece>, path: &str) {
    pieces.push(header(path, 0, EntryType::Directory, None));
}

/// The end marker.
pub(crate) fn end(pieces: &mut Vec<Piece>) {
    pieces.push(Piece::Zeros(END_BYTES));
}

/// The size of a member of this length in the archive, including its header.
pub(crate) fn member_bytes(len: u64) -> u64 {
    BLOCK_BYTES + len.next_multiple_of(BLOCK_BYTES)
}

fn pad(pieces: &mut Vec<Piece>, len: u64) {
    let padding = len.next_multiple_of(BLOCK_BYTES) - len;
    if padding > 0 {
        pieces.push(Piece::Zeros(padding));
    }
}

fn header(path: &str, len: u64, entry_type: EntryType, real_size_bytes: Option<u64>) -> Piece {
    let mut header = Header::new_gnu();
    // Paths here are short and relative. Any other path would only leave the name empty.
    let named = header.set_path(path);
    debug_assert!(named.is_ok(), "{path} does not fit a tar header");
    header.set_size(len);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(entry_type);
    if let (Some(real_size_bytes), Some(gnu)) = (real_size_bytes, header.as_gnu_mut()) {
        gnu.set_real_size(real_size_bytes);
        gnu.sparse[0].set_offset(0);
        gnu.sparse[0].set_length(len);
        // Tools that write sparse archives end the map with an empty entry at the end of the file.
        gnu.sparse[1].set_offset(real_size_bytes);
        gnu.sparse[1].set_length(0);
    }
    header.set_cksum();
    Piece::Bytes(Bytes::copy_from_slice(header.as_bytes()))
}
