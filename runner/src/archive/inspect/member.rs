//! Checks a member's header (name, type and sizes), and finds its role in the snapshot.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufRead;

use tar::GnuExtSparseHeader;

use super::classify::{self, Role};
use super::extension::Extensions;
use super::header::{EntryKind, Head};
use super::source::BLOCK_BYTES;
use super::sparse::SparseMap;
use super::walker::{Frame, Step, Stop, Walker};
use super::{FindingKind, name};

/// A member with a valid header.
pub(super) struct Member {
    /// For messages.
    pub(super) shown: String,
    pub(super) role: Role,
    pub(super) stored_bytes: u64,
    /// The map of a sparse file, if it is valid.
    pub(super) map: Option<SparseMap>,
    /// Whether this is a plain file, without holes.
    pub(super) plain: bool,
}

impl<R: BufRead + ?Sized> Walker<'_, '_, R> {
    /// Reads and checks a member's header, and returns its role in the snapshot.
    pub(super) fn member(
        &mut self,
        frame: &mut Frame,
        head: &Head<'_>,
        mut extensions: Extensions,
    ) -> Step<Member> {
        let path = extensions.path().unwrap_or_else(|| head.path());
        let shown = shown_name(frame, &path);
        self.members += 1;
        if self.members > self.limits.max_members {
            let message = format!("more than {} members", self.limits.max_members);
            self.findings.add(FindingKind::TooManyMembers, Some(&shown), message);
            return Ok(Err(Stop));
        }
        // A name that points elsewhere has no role in the snapshot.
        let normalized = match name::fault(&path) {
            None => name::normalized(&path),
            Some((kind, message)) => {
                self.findings.add(kind, Some(&shown), message);
                Vec::new()
            }
        };
        let named_file = !normalized.is_empty() && head.kind != EntryKind::Directory;
        if named_file && !frame.names.insert(hash(&normalized)) {
            self.findings.add(FindingKind::DuplicateMember, Some(&shown), "the name occurs twice");
        }
        self.entry_type(head, &path, &shown, &mut extensions);
        let stored_bytes = extensions.stored_bytes().unwrap_or(head.stored_bytes);
        let mut real_bytes = stored_bytes;
        let mut map = None;
        if head.kind == EntryKind::Sparse {
            match self.sparse_map(frame, head, stored_bytes, &shown)? {
                Ok(Some((sound, real))) => (map, real_bytes) = (Some(sound), real),
                Ok(None) => {}
                Err(stop) => return Ok(Err(stop)),
            }
        }
        self.size(&shown, stored_bytes, real_bytes);
        let plain = head.kind == EntryKind::File;
        let role = self.role(frame, head.kind, &normalized, &shown);
        if frame.segment.is_none() {
            let is_file = plain || head.kind == EntryKind::Sparse;
            self.contents.note(&role, is_file, stored_bytes, self.limits, &mut self.findings);
        }
        Ok(Ok(Member { shown, role, stored_bytes, map, plain }))
    }

    fn role(&mut self, frame: &Frame, kind: EntryKind, normalized: &[u8], shown: &str) -> Role {
        let is_file = matches!(kind, EntryKind::File | EntryKind::Sparse);
        let text = String::from_utf8_lossy(normalized);
        let role = match &frame.segment {
            None => classify::in_snapshot(&text),
            Some(segment) => classify::in_segment(segment, &text),
        };
        if role == Role::SegmentNameInvalid {
            self.findings.add(FindingKind::SegmentNameInvalid, Some(shown), "not a valid name for a segment");
        }
        if frame.segment.is_some() && is_file && text.ends_with(".tar") {
            let message = "an archive nested inside the archive of a segment is not checked";
            self.findings.add(FindingKind::NestedTooDeep, Some(shown), message);
        }
        // An entry with the right name that is not a file has no content.
        if is_file || !role.is_kept() { role } else { Role::Other }
    }

    /// Reads and checks a sparse member's map. Returns it with the member's size, or reports the problem.
    fn sparse_map(
        &mut self,
        frame: &Frame,
        head: &Head<'_>,
        stored_bytes: u64,
        shown: &str,
    ) -> Step<Option<(SparseMap, u64)>> {
        let Some(fields) = head.sparse() else { return Ok(Ok(None)) };
        let mut map = SparseMap::default();
        let mut fault = map.add(fields.parts).err();
        let mut extended = fields.extended;
        // The continuation blocks of a long map have no checksum. An error in one is recorded, but the chain is followed to its
        // end, because the data begins there.
        while extended {
            let mut block = GnuExtSparseHeader::new();
            let left = self.left(frame);
            if self.source.read_block(block.as_mut_bytes(), left)? < BLOCK_BYTES {
                self.findings.add(FindingKind::Truncated, Some(shown), "the sparse map is truncated");
                return Ok(Err(Stop));
            }
            if fault.is_none() {
                fault = map.add(block.sparse()).err();
            }
            extended = block.is_extended();
        }
        let checked = match fault {
            Some(fault) => Err(fault),
            None => fields.real_bytes.and_then(|real| map.check(real, stored_bytes).map(|()| real)),
        };
        match checked {
            Ok(real) => Ok(Ok(Some((map, real)))),
            Err(fault) => {
                self.report(fault, shown);
                Ok(Ok(None))
            }
        }
    }

    fn entry_type(&mut self, head: &Head<'_>, path: &[u8], shown: &str, extensions: &mut Extensions) {
        match head.kind {
            EntryKind::HardLink | EntryKind::SymbolicLink => {
                let target = extensions.link().unwrap_or_else(|| head.link());
                let symbolic = head.kind == EntryKind::SymbolicLink;
                let (kind, where_to) = if name::link_leaves_archive(path, &target, symbolic) {
                    (FindingKind::LinkOutside, "a link that points outside the archive, to")
                } else {
                    (FindingKind::Link, "a link, to")
                };
                self.findings.add(kind, Some(shown), format!("{where_to} {}", name::printable(&target)));
            }
            EntryKind::Special => {
                self.findings.add(FindingKind::SpecialFile, Some(shown), "a device or a named pipe");
            }
            EntryKind::Unknown(flag) => {
                let message = format!("an entry of unknown type `{}`", name::printable(&[flag]));
                self.findings.add(FindingKind::UnknownEntryType, Some(shown), message);
            }
            EntryKind::File | EntryKind::Directory | EntryKind::Sparse | EntryKind::Extension(_) => {}
        }
        if extensions.sparse() {
            let message = "a sparse member in a format that Qdrant does not read";
            self.findings.add(FindingKind::SparseUnsupported, Some(shown), message);
        }
    }

    fn size(&mut self, shown: &str, stored_bytes: u64, real_bytes: u64) {
        self.expanded_bytes = self.expanded_bytes.saturating_add(real_bytes);
        let absurd = if stored_bytes > self.limits.max_member_bytes {
            Some(format!("the member declares {stored_bytes} stored bytes"))
        } else if real_bytes > stored_bytes && real_bytes > self.limits.max_sparse_bytes {
            Some(format!("the sparse member declares a size of {real_bytes} bytes"))
        } else if self.expanded_bytes > self.limits.max_expanded_bytes {
            Some(format!("all members together declare {} bytes", self.expanded_bytes))
        } else {
            None
        };
        if let Some(message) = absurd {
            self.findings.add(FindingKind::SizeAbsurd, Some(shown), message);
        }
    }
}

/// The name for messages, after the name of its archive.
fn shown_name(frame: &Frame, path: &[u8]) -> String {
    let path = name::printable(path);
    frame.name.as_ref().map_or_else(|| path.clone(), |archive| format!("{archive}/{path}"))
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
