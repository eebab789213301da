//! Adopting snapshots that this program did not make: they become backups like any other, with origin "imported".

mod adopt;
mod error;
mod examine;
mod name;

pub use adopt::{Adopted, Importer};
pub use error::ImportError;
