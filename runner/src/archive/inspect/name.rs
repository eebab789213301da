//! Names of members: untrusted bytes that are checked, and escaped for messages.

use super::FindingKind;

/// Maximum number of printed characters of a name.
const PRINTED_CHARS: usize = 160;

/// A name for display: control and invisible characters escaped, long names shortened in the middle.
pub(super) fn printable(name: &[u8]) -> String {
    // A name can be tens of kilobytes long, so only its two ends are converted.
    let head = name.get(..PRINTED_CHARS * 4).unwrap_or(name);
    let tail = name.get(head.len()..).unwrap_or_default();
    let tail = tail.get(tail.len().saturating_sub(PRINTED_CHARS * 4)..).unwrap_or_default();
    let mut text: Vec<char> = String::from_utf8_lossy(head).chars().collect();
    text.extend(String::from_utf8_lossy(tail).chars());
    if text.len() <= PRINTED_CHARS && tail.is_empty() {
        return escape(text.into_iter());
    }
    let (first, last) = (text.iter().take(PRINTED_CHARS / 2), text.iter().rev().take(PRINTED_CHARS / 2));
    let last: Vec<char> = last.copied().collect();
    format!("{}…{}", escape(first.copied()), escape(last.into_iter().rev()))
}

fn escape(characters: impl Iterator<Item = char>) -> String {
    let mut escaped = String::new();
    for character in characters {
        match character {
            // Harmless in a line of text, and common, so they stay readable.
            '"' | '\'' => escaped.push(character),
            other => escaped.extend(other.escape_debug()),
        }
    }
    escaped
}

/// The problem of a name, if any: nothing may be unpacked outside the target directory.
pub(super) fn fault(name: &[u8]) -> Option<(FindingKind, &'static str)> {
    if name.is_empty() {
        return Some((FindingKind::EmptyName, "the member has no name"));
    }
    if name.starts_with(b"/") {
        return Some((FindingKind::AbsolutePath, "the name is an absolute path"));
    }
    if components(name).any(|component| component == b"..") {
        return Some((FindingKind::ParentPath, "the name points outside the archive through `..`"));
    }
    None
}

/// Whether a link target leaves the archive. The target of a hard link is relative to the archive's root, that of a
/// symbolic link to the link's directory.
pub(super) fn link_leaves_archive(name: &[u8], target: &[u8], symbolic: bool) -> bool {
    if target.starts_with(b"/") {
        return true;
    }
    let mut depth = if symbolic { components(name).count().saturating_sub(1) } else { 0 };
    for component in components(target) {
        if component != b".." {
            depth += 1;
        } else if depth == 0 {
            return true;
        } else {
            depth -= 1;
        }
    }
    false
}

/// The name without the `./` and doubled or trailing slashes that other tools may add.
pub(super) fn normalized(name: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(name.len());
    for component in components(name) {
        if !joined.is_empty() {
            joined.push(b'/');
        }
        joined.extend_from_slice(component);
    }
    joined
}

fn components(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| *byte == b'/').filter(|component| !component.is_empty() && *component != b".")
}
