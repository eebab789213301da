//! gzip on all cores, without wasting time on data that does not compress.
//!
//! Samples decide which stretches of a block are stored or compressed. Each stretch is a separate gzip member, so that gunzip,
//! pigz and Python can read the file. Each member's header contains its length, so that members can be found and decompressed in
//! parallel.

mod deflater;
mod judge;
mod member;

pub use member::Members;
