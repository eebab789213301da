//! Imports snapshots of other tools, and exported ones. They become normal backups with the origin "imported".

mod adopt;
mod error;
mod examine;
mod exported;
pub mod name;

pub use adopt::{Adopted, Importer};
pub use error::ImportError;
pub use exported::{MANIFEST, shard_file_name};
pub use name::collection_of;
