//! gzip on all cores, which never tries hard where trying is in vain.
//!
//! Each block is judged by a sample and stored, Huffman-coded or compressed fully, and becomes a gzip member of its own, so
//! that gunzip, pigz and Python read the whole as they read any gzip file. Each member's header says how long the member
//! is, so that members can be found, and decompressed in parallel, without decompressing those before them.

mod judge;
mod member;

pub use member::Member;
