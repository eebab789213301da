//! The walk's state, and what its steps tell each other.

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
    /// Where in the stream it ends, if it is a member.
    pub(super) end: Option<u64>,
    pub(super) segment: Option<SegmentKey>,
    /// Hashes of the names so far; the names themselves could take any amount of memory.
    pub(super) names: HashSet<u64>,
}

/// How the walk through an archive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Reached,
    /// A finding says why nothing further could be read in it.
    Broken,
}

/// The rest of the archive cannot be read; why is already a finding.
pub(super) struct Stop;

pub(super) type Step<T> = io::Result<Result<T, Stop>>;

/// The walk's state. What is done with a member is in `member` and `data`.
pub(super) struct Walker<'r, 'l, R: ?Sized> {
    pub(super) source: Source<'r, R>,
    pub(super) limits: &'l Limits,
    pub(super) findings: Findings,
    pub(super) contents: Contents,
    pub(super) members: u64,
    /// What all members so far take when holes are filled.
    pub(super) expanded_bytes: u64,
}

impl<R: BufRead + ?Sized> Walker<'_, '_, R> {
    /// The bytes that remain of this archive, as far as its own member says.
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
