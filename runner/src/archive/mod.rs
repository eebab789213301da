//! Reading stored archives: the snapshot inside, and the digests of what was read.
//!
//! One pass, bounded memory, nothing written. Verification, restore and export all read archives through this.

mod decompress;
mod error;
mod reader;
mod stored;

pub use error::ArchiveError;
pub use reader::{ArchiveReader, Digests, is_readable};
