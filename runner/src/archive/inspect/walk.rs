//! Reads the archive, and the segment archives in it, header by header.

use std::io::{self, BufRead};

use super::completeness::{self, Walked};
use super::contents::Contents;
use super::extension::Extensions;
use super::findings::Findings;
use super::header::{self, EntryKind, ExtensionKind};
use super::source::{BLOCK_BYTES, Block, Source, padding};
use super::walker::{End, Frame, Step, Walker};
use super::{FindingKind, Inspection, Limits};

/// Checks an uncompressed snapshot in one pass. The reader is always read to its end, so that a caller that hashes the bytes has
/// hashed all of them.
///
/// # Errors
/// Only those of the reader. Problems of the snapshot are findings.
pub fn inspect(reader: &mut (impl BufRead + ?Sized), limits: &Limits) -> io::Result<Inspection> {
    let mut walker = Walker {
        source: Source::new(reader),
        limits,
        findings: Findings::new(limits.max_findings),
        contents: Contents::default(),
        members: 0,
        expanded_bytes: 0,
    };
    let end = walker.archive(&mut Frame::default())?;
    walker.source.skip(u64::MAX)?;
    let walked = Walked {
        members: walker.members,
        uncompressed_bytes: walker.source.position(),
        end_marker_reached: end == End::Reached,
    };
    Ok(completeness::finish(walker.contents, walked, walker.findings))
}

impl<R: BufRead + ?Sized> Walker<'_, '_, R> {
    /// Reads one archive to its end, or until it cannot be read further.
    pub(super) fn archive(&mut self, frame: &mut Frame) -> io::Result<End> {
        let mut extensions = Extensions::default();
        let mut last: Option<String> = None;
        loop {
            let mut block: Block = [0; 512];
            let left = self.left(frame);
            let got = self.source.read_block(&mut block, left)?;
            if got < BLOCK_BYTES.min(left) || (got > 0 && got < BLOCK_BYTES) {
                // The stream, or the segment's archive, ended inside a block.
                return Ok(self.cut_between_members(frame, got, last.as_deref()));
            }
            if got == 0 || block == [0; 512] {
                if extensions.pending() {
                    let message = "an extended header belongs to no member";
                    self.add(FindingKind::ExtensionInvalid, frame, message);
                }
                // Qdrant writes the archives of segments without an end marker.
                return if got == 0 { Ok(End::Reached) } else { self.end_marker(frame) };
            }
            let head = match header::read(&block) {
                Ok(head) => head,
                Err(fault) => {
                    let after = last.map(|last| format!(" (after {last})")).unwrap_or_default();
                    self.add(fault.0, frame, format!("{}{after}", fault.1));
                    return Ok(End::Broken);
                }
            };
            let step = if let EntryKind::Extension(kind) = head.kind {
                self.extension(frame, kind, head.stored_bytes, &mut extensions)?
            } else {
                match self.member(frame, &head, std::mem::take(&mut extensions))? {
                    Ok(member) => {
                        let done = self.content(frame, &member)?;
                        last = Some(member.shown);
                        done
                    }
                    Err(stop) => Err(stop),
                }
            };
            if step.is_err() {
                return Ok(End::Broken);
            }
        }
    }

    fn cut_between_members(&mut self, frame: &Frame, got: u64, last: Option<&str>) -> End {
        let after = last.map_or_else(|| "before its first member".to_owned(), |last| format!("after {last}"));
        if got == 0 && frame.end.is_none() {
            self.add(
                FindingKind::EndMarkerMissing,
                frame,
                format!("the archive ends without a marker {after}"),
            );
        } else {
            self.add(FindingKind::Truncated, frame, format!("the archive is truncated {after}"));
        }
        End::Broken
    }

    /// After a first zero block: another must follow, and then nothing but zeros.
    fn end_marker(&mut self, frame: &Frame) -> io::Result<End> {
        let mut block: Block = [0; 512];
        let left = self.left(frame);
        let got = self.source.read_block(&mut block, left)?;
        if got < BLOCK_BYTES || block != [0; 512] {
            let message = "the end marker is incomplete: one block of zeros instead of two";
            self.add(FindingKind::EndMarkerMissing, frame, message);
            return Ok(End::Broken);
        }
        let left = self.left(frame);
        if !self.source.skip_zeros(left)? {
            self.add(FindingKind::TrailingData, frame, "data follows the end marker");
        } else if frame.end.is_some() && self.left(frame) > 0 {
            self.add(FindingKind::Truncated, frame, "the archive is truncated after its end marker");
            return Ok(End::Broken);
        }
        Ok(End::Reached)
    }

    fn extension(
        &mut self,
        frame: &Frame,
        kind: ExtensionKind,
        size: u64,
        extensions: &mut Extensions,
    ) -> Step<()> {
        if size > self.limits.max_extension_bytes {
            let message = format!("an extended header of {size} bytes");
            self.add(FindingKind::ExtensionInvalid, frame, message);
            return self.pass_data(frame, "an extended header", size);
        }
        if size > self.left(frame) {
            return Ok(Err(self.exceeds(frame, "an extended header", size)));
        }
        let content = self.source.read_bytes(size)?;
        if let Err(message) = extensions.add(kind, &content) {
            self.add(FindingKind::ExtensionInvalid, frame, message);
        }
        self.pass_rest(frame, "an extended header", size - content.len() as u64, padding(size))
    }
}
