//! Checks the contents of a Qdrant snapshot while it is streamed.
//!
//! One pass, bounded memory, nothing written: the tar and the segment archives in it are read header by header, and only the few
//! small JSON members are kept. Missing files and damage become a [`Finding`]; only a failing reader is an error. A backup calls
//! it on the response body, a verification on the archive.

mod classify;
mod completeness;
mod contents;
mod data;
mod drafts;
mod extension;
mod findings;
mod header;
mod inspection;
mod limits;
mod member;
mod name;
mod source;
mod sparse;
mod walk;
mod walker;

pub use findings::{Finding, FindingKind};
pub use inspection::{
    Inspection, ReplicaState, SegmentContents, SegmentOperations, ShardContents, SnapshotKind,
    config_params_differ,
};
pub use limits::Limits;
pub use walk::inspect;

#[cfg(test)]
mod tests;
