//! The generated documentation of all settings: the table of keys, and an example with all of them.

use super::keys::{self, SECTIONS};
use super::knob::{About, Otherwise};

const KEYS: &str = "<!-- keys -->";
const EXAMPLE: &str = "<!-- example -->";
const END: &str = "<!-- end -->";

/// The document with the text between its markers replaced. `None` if it has no markers.
pub fn fill(document: &str) -> Option<String> {
    let filled = between(document, KEYS, &format!("\n{}\n", table()))?;
    between(&filled, EXAMPLE, &format!("\n```yaml\n{}```\n", example()))
}

fn between(document: &str, mark: &str, text: &str) -> Option<String> {
    let (before, rest) = document.split_once(mark)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{mark}{text}{END}{after}"))
}

/// A Markdown table: key, variable, option, default, meaning.
fn table() -> String {
    let head = "| key | environment and env file | command line | default | meaning |\n|---|---|---|---|---|";
    let rows = keys::all().map(|setting| row(setting.about()));
    [head.to_owned()].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

fn row(about: &About) -> String {
    let code = |text: Option<&str>| text.map_or_else(|| "–".to_owned(), |text| format!("`{text}`"));
    let key = code((!about.secret).then_some(about.key));
    let (variable, option) = (code(about.variable), code(about.option.map(|option| option.long)));
    let default = match about.otherwise {
        Otherwise::Value(value) => format!("`{value}`"),
        Otherwise::Unset(words) => words.to_owned(),
    };
    format!("| {key} | {variable} | {option} | {default} | {} |", about.meaning)
}

/// An example file with every key.
pub(super) fn example() -> String {
    let mut text = String::new();
    for (section, settings) in SECTIONS {
        text.push_str(&format!("{section}:\n"));
        if let [only] = settings
            && only.about().key == *section
        {
            text.push_str(&format!("{}\n", only.about().example().trim_start_matches('\n')));
            continue;
        }
        let mut mapping = None;
        for about in settings.iter().map(|setting| setting.about()).filter(|about| !about.secret) {
            let mut name = about.name();
            let mut indent = "  ";
            if let Some((outer, inner)) = name.split_once('.') {
                if mapping.replace(outer) != Some(outer) {
                    text.push_str(&format!("  {outer}:\n"));
                }
                (name, indent) = (inner, "    ");
            }
            let space = if about.example().starts_with('\n') { "" } else { " " };
            text.push_str(&format!("{indent}{name}:{space}{}\n", about.example()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_is_what_the_declarations_say() {
        let document = include_str!("../../../docs/configuration.md");
        assert!(
            fill(document).as_deref() == Some(document),
            "docs/configuration.md has drifted; `cargo xtask settings` writes it anew"
        );
    }

    #[test]
    fn only_what_stands_between_the_marks_is_written_anew() {
        let document = format!("a\n{KEYS}\nSTALE\n{END}\nb\n{EXAMPLE}\nSTALE\n{END}\nc\n");
        let filled = fill(&document).unwrap();
        assert!(filled.starts_with("a\n") && filled.contains("\nb\n") && filled.ends_with("\nc\n"));
        assert!(!filled.contains("STALE") && filled.contains("| `backup.path` | `QDRANT_BACKUP_PATH` |"));
        assert_eq!(fill("nothing"), None);
    }
}
