//! The small part of Markdown that the manual pages use.

use clap_mangen::roff::{Inline, bold, roman};

/// Text with code in bold.
pub(crate) fn inline(markdown: &str) -> Vec<Inline> {
    let parts = markdown.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { bold(part) } else { roman(part) }).collect()
}
