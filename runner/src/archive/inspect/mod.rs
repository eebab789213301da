//! Looks inside a Qdrant snapshot while its bytes stream past.
//!
//! One pass, bounded memory, nothing written: the tar is walked header by header, segment archives
//! inside it likewise, and only the few small JSON members are kept. What a snapshot should hold and
//! does not, and every way in which the archive is not sound, becomes a [`Finding`]; only a reader
//! that fails is an error. Backing up calls it on the response body, verification on the archive.

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
