//! `qdrant-backup export`: writes a backup in a form for Qdrant and curl.

mod by_hand;
mod directory;
mod readme;
mod run;
mod target;

pub use run::export;
