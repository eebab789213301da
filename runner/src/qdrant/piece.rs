//! What travels between the network and the threads that work on a snapshot.

use bytes::Bytes;

/// A part of a snapshot on its way, or the said end of it: a way that just stops is an error.
#[derive(Debug, Clone)]
pub enum Piece {
    /// The next bytes.
    Data(Bytes),
    /// That was all.
    End,
}
