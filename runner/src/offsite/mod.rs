//! Offsite copies of backups: encrypted and deduplicated, in restic repositories, made with restic.
//!
//! restic handles storage, encryption and indexes. This module decides what is copied, what counts as a copy, and how
//! long it
//! is kept. Data read back is checked with the digests of the manifest, like data from disk.

mod check;
mod child;
mod copy;
mod elsewhere;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod holds;
mod listing;
mod locks;
mod records;
mod restic;
mod retention;
mod run;
mod tags;

pub use elsewhere::{Copies, Wanted, only_repository};
pub use error::OffsiteError;
pub use listing::Listing;
pub use restic::Restic;
pub use run::{Check, Offsite, OffsiteContext, Work, offsite};
