//! Reading stored archives: the snapshot inside, and the digests of what was read.
//!
//! One pass, bounded memory, all cores, nothing written. Verification, restore and export all read archives through this.

mod ahead;
mod cutter;
mod error;
mod lanes;
mod parts;
mod pool;
mod reader;
mod sequential;
mod source;
mod stored;

pub use error::{ArchiveError, Stopped};
pub use reader::{ArchiveReader, Digests, Prove, is_readable};
pub use source::{Elsewhere, Source};

/// Message if a thread died. The archive is not the cause.
fn thread_died() -> std::io::Error {
    std::io::Error::other("a reader thread died; this is a bug in qdrant-backup")
}
