//! gzip on all cores, which never tries hard where trying is in vain.
//!
//! The stream is cut into blocks. Each is judged by a sample and stored, Huffman-coded or compressed fully, on whichever
//! core is free, and becomes a gzip member of its own, so that gunzip, pigz and Python read the whole as they
//! read any gzip file. Each member's header says how long the member is, so that members can be found, and
//! decompressed in parallel, without decompressing those before them.

mod judge;
mod member;
mod writer;

pub use writer::GzipWriter;
