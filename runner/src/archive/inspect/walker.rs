//! The state of the walk, and the results of its steps.

use std::collections::HashSet;
use std::io::{self, BufRead};

use super::classify::SegmentKey;
use super::contents::Contents;
use super::findings::Findings;
use super::header::HeaderFault;
use super::source::Source;
use super::{FindingKind, Limits};

/// One archive: the snapshot, or a segment's archive in it.
#[derive(Default)]
pub(super) struct Frame {
    /// The name of the member that is this archive.
    pub(super) name: Option<String>,
    /// End in the stream, if it is a member.
    pub(super) end: Option<u64>,
    pub(super) segment: Option<SegmentKey>,
    /// Hashes of the names so far. The names themselves could need any amount of memory.
    pub(super) names: HashSet<u64>,
}

/// How the walk through an archive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Reached,
    /// Nothing more could be read; the reason is a finding.
    Broken,
}

/// The rest of the archive cannot be read; the reason is already a finding.
pub(super) struct Stop;

pub(super) type Step<T> = io::Result<Result<T, Stop>>;

/// The state of the walk. Members are processed in `member` and `data`.
pub(super) struct Walker<'r, 'l, R: ?Sized> {
    pub(super) source: Source<'r, R>,
    pub(super) limits: &'l Limits,
    pub(super) findings: Findings,
    pub(super) contents: Contents,
    pub(super) members: u64,
    /// Total size of all members so far with holes filled.
    pub(super) expanded_bytes: u64,
}

impl<R: BufRead + ?Sized> Walker<'_, '_, R> {
    /// The remaining bytes of this archive, according to its header.
    pub(super) fn left(&self, frame: &Frame) -> u64 {
        frame.end.map_or(u64::MAX, |end| end.saturating_sub(self.source.position()))
    }

    /// Adds a finding about a header's fault.
    pub(super) fn report(&mut self, fault: HeaderFault, shown: &str) {
        self.findings.add(fault.0, Some(shown), fault.1);
    }

    /// Adds a finding about an archive as a whole.
    pub(super) fn add(&mut self, kind: FindingKind, frame: &Frame, message: impl Into<String>) {
        self.findings.add(kind, frame.name.as_deref(), message);
    }
}
