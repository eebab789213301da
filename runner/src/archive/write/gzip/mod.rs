//! gzip on all cores, which never tries hard where trying is in vain.
//!
//! What a block consists of is judged by samples and stored or compressed, each stretch as a gzip member of its own, so
//! that gunzip, pigz and Python read the whole as they read any gzip file. Each member's header says how long the member
//! is, so that members can be found, and decompressed in parallel, without decompressing those before them.

mod deflater;
mod judge;
mod member;

pub use member::Members;
