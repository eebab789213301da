//! The runner: scaffold.
pub mod qdrant;
