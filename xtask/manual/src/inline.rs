//! A little Markdown as the manual pages write it.

use clap_mangen::roff::{Inline, bold, roman};

/// Text whose code is bold.
pub(crate) fn inline(markdown: &str) -> Vec<Inline> {
    let parts = markdown.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { bold(part) } else { roman(part) }).collect()
}
