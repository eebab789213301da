//! Adopting snapshots that this program did not make, or has exported: they become backups like any other, with origin "imported".

mod adopt;
mod error;
mod examine;
mod exported;
pub mod name;

pub use adopt::{Adopted, Importer};
pub use error::ImportError;
pub use exported::{MANIFEST, shard_file_name};
