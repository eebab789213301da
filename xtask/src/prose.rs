//! Strings that must not be in the repository: paths of one machine, registry hosts, unfinished business.

use std::path::Path;

use crate::{sh::Result, workspace};

/// A forbidden string, in two halves so that this file passes its own check, and what to write instead.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("/ro", "ot/", "a path of one machine; use $HOME or a temporary directory"),
    ("/wo", "rk/", "a path of one machine; use a path relative to the repository"),
    ("/tmp", "/wt", "a path of one machine; use a temporary directory"),
    ("static.crates", ".io", "a registry host; say which package instead"),
    ("index.crates", ".io", "a registry host; say which package instead"),
    ("//crates", ".io", "a registry host; say which package instead"),
    ("py", "pi.org", "a registry host; say which package instead"),
    ("files.python", "hosted.org", "a registry host; say which package instead"),
    ("registry.npm", "js.org", "a registry host; say which package instead"),
    ("deb.deb", "ian.org", "a registry host; say which package instead"),
    ("TO", "DO", "finish it, or say in a sentence what is so and why"),
    ("FIX", "ME", "finish it, or say in a sentence what is so and why"),
];

/// A step of `cargo xtask test`.
pub(crate) fn check_files() -> Result<()> {
    let mut findings = Vec::new();
    let mut count = 0;
    for file in workspace::files()? {
        if let Some(text) = workspace::read_text(&file)? {
            count += 1;
            findings.extend(findings_in(&file, &text));
        }
    }
    for finding in &findings {
        println!("{finding}");
    }
    println!("{count} text files looked at");
    if findings.is_empty() {
        Ok(())
    } else {
        Err(format!("{} forbidden strings, shown above", findings.len()))
    }
}

fn findings_in(file: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for (first, second, instead) in FORBIDDEN {
            let forbidden = format!("{first}{second}");
            if stands_alone(line, &forbidden) {
                findings.push(format!("{}:{number}: {forbidden:?} is {instead}", file.display()));
            }
        }
    }
    findings
}

/// Whether `wanted` is in the line and not merely the middle of a longer word or path.
fn stands_alone(line: &str, wanted: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let part_of_path = |c: char| part_of_word(c) || ".-~}*".contains(c);
    line.match_indices(wanted).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + wanted.len()..].chars().next();
        let longer_before =
            before.is_some_and(|c| if wanted.starts_with('/') { part_of_path(c) } else { part_of_word(c) });
        let longer_after = after.is_some_and(part_of_word) && !wanted.ends_with('/');
        !longer_before && !longer_after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(index: usize) -> String {
        format!("{}{}", FORBIDDEN[index].0, FORBIDDEN[index].1)
    }

    #[test]
    fn each_forbidden_string_is_found_with_file_and_line() {
        for index in 0..FORBIDDEN.len() {
            let text = format!("fine\nsee {} for more\n", joined(index));
            let findings = findings_in(Path::new("docs/a.md"), &text);
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert!(findings[0].starts_with("docs/a.md:2: "), "{findings:?}");
        }
    }

    #[test]
    fn part_of_a_longer_path_or_word_is_not_found() {
        let text = format!("target{} ~{}x rust{}s\n", joined(1), joined(0), joined(10));
        assert_eq!(findings_in(Path::new("a"), &text), Vec::<String>::new());
    }

    #[test]
    fn a_quoted_or_leading_path_is_found() {
        for text in [format!("{}x", joined(0)), format!("\"{}x\"", joined(1)), format!("(={}x)", joined(1))] {
            assert_eq!(findings_in(Path::new("a"), &text).len(), 1, "{text}");
        }
    }
}
