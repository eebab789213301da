//! Escapes foreign text for one line of a log, and names for display.

use std::borrow::Cow;

use serde::Serialize;

/// `text` on one line. Control characters, line separators, bidirectional and invisible characters are escaped, so that a message
/// from a server cannot forge log lines or control the terminal.
pub fn one_line(text: &str) -> String {
    escaped(text.trim(), is_unseen).into_owned()
}

/// `1 backup`, `3 backups`.
pub fn number_of(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A message of the command line's parser on one line.
pub fn of_parser(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines.join("; ").replace(":; ", ": ");
    one_line(text.strip_prefix("error: ").unwrap_or(&text))
}

/// A name for display. As [`one_line`], but without trimming and with escaped backslashes, so that different names stay
/// different.
pub fn visible(name: &str) -> Cow<'_, str> {
    escaped(name, |character| character == '\\' || is_unseen(character))
}

/// `text` with the selected characters escaped as in a Rust string.
fn escaped(text: &str, which: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&which) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if which(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Whether a character is a control, line separator, bidirectional or invisible character.
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// `value` as indented JSON. Invisible and control characters in strings are written as JSON's `\u` escapes, so that
/// names cannot control a terminal that shows the text.
///
/// # Errors
/// When a value cannot be written as JSON.
pub fn pretty_json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    let mut json = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        // Outside of strings only newlines are such characters.
        if character != '\n' && is_unseen(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                json.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            json.push(character);
        }
    }
    Ok(json)
}

/// `text` of several lines, with all invisible and control characters except newlines and tabs escaped.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| !['\n', '\t'].contains(&character) && is_unseen(character))
}

/// `text` on one line, truncated to at most `most` characters, with `…` if it was truncated.
pub fn shortened(text: &str, most: usize) -> String {
    let line = one_line(text);
    if line.chars().count() <= most {
        return line;
    }
    let mut short: String = line.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_lines_hold_nothing_that_a_terminal_obeys_and_json_says_the_same() {
        let foreign = "a\u{1b}[2J\r\u{202e}\u{9b}\u{85}\u{e0001}b\n";
        let json = pretty_json(&[foreign]).unwrap();
        for shown in [json.as_str(), &lines(foreign)] {
            assert!(!shown.contains(|one: char| one != '\n' && is_unseen(one)), "{shown:?}");
        }
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [foreign]);
        assert_eq!(lines("plain\n\tlines\n"), "plain\n\tlines\n");
    }

    #[test]
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(one_line("a\nb\x1b[2J\u{202e}c"), "a\\nb\\u{1b}[2J\\u{202e}c");
        assert_eq!(one_line(" C:\\x \u{200b}"), "C:\\x \\u{200b}");
    }

    #[test]
    fn names_that_look_the_same_are_told_apart() {
        let names = [
            "docs",
            " docs",
            "docs\n",
            "docs\\n",
            "docs\\\n",
            "docs\u{200b}",
            "docs\\u{200b}",
            "docs\u{feff}",
            "docs\u{2069}",
            "docs\u{e0041}",
            "docs\u{85}",
            "docs\u{7f}",
            "do\u{ad}cs",
            "docs\u{3164}",
        ];
        let shown: std::collections::BTreeSet<_> = names.iter().map(|name| visible(name)).collect();
        assert_eq!(shown.len(), names.len());
        assert!(!shown.iter().any(|name| name.contains(is_unseen)), "{shown:?}");
        for plain in ["docs", " a b", "größe", "日本語", "❤️", "مجموعة"] {
            assert_eq!(visible(plain), plain);
        }
    }

    #[test]
    fn long_text_is_cut_by_characters_not_bytes() {
        assert_eq!(shortened("ééééé", 3), "éé…");
        assert_eq!(shortened("ééé", 3), "ééé");
    }
}
