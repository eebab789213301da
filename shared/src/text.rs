//! Making foreign text fit for one line of a log.

/// `text` on one line: control characters, line separators and characters that reorder text are escaped, so that a
/// server's message cannot forge log lines or move the terminal's cursor.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.trim().chars() {
        let reorders =
            matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || reorders {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// `text` on one line and cut to at most `most` characters, with `…` where something was cut.
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
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(one_line("a\nb\x1b[2J\u{202e}c"), "a\\nb\\u{1b}[2J\\u{202e}c");
    }

    #[test]
    fn long_text_is_cut_by_characters_not_bytes() {
        assert_eq!(shortened("ééééé", 3), "éé…");
        assert_eq!(shortened("ééé", 3), "ééé");
    }
}
