//! Text in markup.

use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::text::shortened;

/// `text` where markup is expected: names come from servers.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A name or message on one line, cut, and escaped.
pub(super) fn safe(text: &str) -> String {
    escape(&shortened(text, 300))
}

/// How something ended, in its colour.
pub(super) fn outcome(outcome: &Outcome) -> String {
    let class = if *outcome == Outcome::Success { "good-text" } else { "bad-text" };
    format!("<span class=\"{class}\">{}</span>", safe(outcome.as_str()))
}
