//! Copies of backups in other places: encrypted and deduplicated, in restic repositories, by the program restic.
//!
//! Nothing here knows a storage, a cipher or an index: restic does. What is decided here is what is copied, what a copy is, and how
//! long it stays. Everything that comes back is proven by the digests of the manifest, as what is read from the disk.

mod check;
mod child;
mod copy;
mod elsewhere;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
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
