//! What the end-to-end tests stand on: a Qdrant stand-in that answers as recorded servers did.

pub mod qdrant_stand_in;
