//! How an archive is stored.

use crate::open_enum::open_enum;

open_enum! {
    /// One step that turned a snapshot into the stored archive.
    pub enum Encoding {
        /// gzip (RFC 1952), one or more members.
        Gzip = "gzip",
        /// Zstandard (RFC 8878).
        Zstd = "zstd",
    }
}
