//! Messages between the network and the worker threads.

use bytes::Bytes;

/// A part of a snapshot, or its explicit end. A channel that just stops is an error.
#[derive(Debug, Clone)]
pub enum Piece {
    /// The next bytes.
    Data(Bytes),
    /// Nothing follows.
    End,
}
