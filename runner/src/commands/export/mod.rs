//! `qdrant-backup export`: a backup as Qdrant and curl take it.

mod by_hand;
mod directory;
mod readme;
mod run;
mod target;

pub use run::export;
