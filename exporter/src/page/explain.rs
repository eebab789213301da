//! The meaning of a finding and the recommended action, copied from docs/exporter.md to the page itself, so that its
//! links work without installed documents and without other servers.

use maud::{Markup, html};

use super::verdict::Kind;

const DOCUMENT: &str = include_str!("../../../docs/exporter.md");

/// The paragraphs about a kind. None if the document has none.
pub(super) fn paragraphs(kind: Kind) -> Vec<Markup> {
    let heading = format!("\n### {}\n", kind.name());
    let section = DOCUMENT.split_once(&heading).map_or("", |(_, after)| after);
    let section = section.split("\n#").next().unwrap_or_default();
    section.split("\n\n").map(str::trim).filter(|text| !text.is_empty()).map(markup).collect()
}

/// Renders a paragraph of Markdown. Code spans are kept. A link to a document becomes its text and the document's
/// name.
fn markup(paragraph: &str) -> Markup {
    html! {
        @for (index, part) in paragraph.replace('\n', " ").split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (without_links(part)) }
        }
    }
}

fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, (words, after))) =
        rest.split_once('[').and_then(|(before, link)| Some((before, link.split_once("](")?)))
    {
        let (target, after) = after.split_once(')').unwrap_or((after, ""));
        let document = target.split('#').next().unwrap_or_default();
        plain.push_str(before);
        plain.push_str(words);
        if document != words {
            plain.push_str(&format!(" ({document})"));
        }
        rest = after;
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_links_are_for_reading() {
        assert_eq!(
            markup("Run `a <b>` & see\n[the runbook](runbook.md#x), or [faq.md](faq.md).").into_string(),
            "Run <code>a &lt;b&gt;</code> &amp; see the runbook (runbook.md), or faq.md."
        );
    }
}
