//! The data of a member: small files and segment archives are read, everything else is skipped.

use std::collections::HashSet;
use std::io::BufRead;

use super::FindingKind;
use super::classify::{Role, SegmentKey};
use super::member::Member;
use super::source::padding;
use super::sparse::SparseMap;
use super::walker::{End, Frame, Step, Stop, Walker};

impl<R: BufRead + ?Sized> Walker<'_, '_, R> {
    /// Processes a member's data and moves to the next header.
    pub(super) fn content(&mut self, frame: &Frame, member: &Member) -> Step<()> {
        let size = member.stored_bytes;
        if size > self.left(frame) {
            return Ok(Err(self.exceeds(frame, &member.shown, size)));
        }
        if member.role.is_kept() {
            return self.small_file(frame, member);
        }
        if let Role::SegmentArchive(segment) = &member.role {
            if member.plain {
                return self.segment_archive(frame, member, segment);
            }
            let message = "the archive of a segment must be a regular file";
            self.findings.add(FindingKind::SparseUnsupported, Some(&member.shown), message);
            self.contents.mark_broken(segment);
        }
        self.pass_data(frame, &member.shown, size)
    }

    fn small_file(&mut self, frame: &Frame, member: &Member) -> Step<()> {
        let (shown, size) = (&member.shown, member.stored_bytes);
        let limit = self.limits.max_kept_member_bytes;
        let fits = size.max(member.map.as_ref().map_or(0, SparseMap::file_bytes)) <= limit;
        let mut unread = size;
        let mut content = None;
        if !fits {
            let message = format!("the file is too large to check (more than {limit} bytes)");
            self.findings.add(FindingKind::MemberTooLarge, Some(shown), message);
        } else if member.plain || member.map.is_some() {
            let stored = self.source.read_bytes(size)?;
            unread -= stored.len() as u64;
            if unread > 0 {
                self.cut_inside(shown);
                return Ok(Err(Stop));
            }
            content = match &member.map {
                None => Some(stored),
                Some(map) => map.expand(&stored),
            };
            if content.is_none() {
                let message = "the file has too many parts to check";
                self.findings.add(FindingKind::SparseUnsupported, Some(shown), message);
            }
        }
        // A file that could not be read counts as present; the reason is already a finding.
        self.contents.keep(&member.role, content.as_deref(), shown, self.limits, &mut self.findings);
        self.pass_rest(frame, shown, unread, padding(size))
    }

    fn segment_archive(&mut self, frame: &Frame, member: &Member, segment: &SegmentKey) -> Step<()> {
        let (shown, size) = (&member.shown, member.stored_bytes);
        let mut nested = Frame {
            name: Some(shown.clone()),
            end: Some(self.source.position().saturating_add(size)),
            segment: Some(segment.clone()),
            names: HashSet::new(),
        };
        if self.archive(&mut nested)? == End::Broken {
            self.contents.mark_broken(segment);
        }
        if self.members > self.limits.max_members {
            return Ok(Err(Stop));
        }
        let left = self.left(&nested);
        self.pass_rest(frame, shown, left, padding(size))
    }

    /// Skips a member's data and padding.
    pub(super) fn pass_data(&mut self, frame: &Frame, shown: &str, size: u64) -> Step<()> {
        if size > self.left(frame) {
            return Ok(Err(self.exceeds(frame, shown, size)));
        }
        self.pass_rest(frame, shown, size, padding(size))
    }

    /// Skips the rest of a member's data, and its padding.
    pub(super) fn pass_rest(&mut self, frame: &Frame, shown: &str, data: u64, padding: u64) -> Step<()> {
        let data_missing = self.source.skip(data)? < data;
        let room = self.left(frame).min(padding);
        if data_missing || self.source.skip(room)? < padding {
            self.cut_inside(shown);
            return Ok(Err(Stop));
        }
        Ok(Ok(()))
    }

    /// Reports a member that is larger than the rest of its archive.
    pub(super) fn exceeds(&mut self, frame: &Frame, shown: &str, size: u64) -> Stop {
        let message =
            format!("the header declares {size} bytes, but the archive has only {} left", self.left(frame));
        self.findings.add(FindingKind::MemberExceedsArchive, Some(shown), message);
        Stop
    }

    fn cut_inside(&mut self, shown: &str) {
        self.findings.add(FindingKind::Truncated, Some(shown), "the archive is truncated inside this member");
    }
}
