//! Backs up Qdrant collections through the snapshot API.

pub mod inspect;
