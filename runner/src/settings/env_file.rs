//! The env file: `KEY=VALUE` lines, in the common syntax of systemd's `EnvironmentFile` and docker's `.env`.
//!
//! Such files are shared, so other names are ignored. Names with one of our prefixes cause a warning, and names similar to ours
//! an error. If programs read one of our values differently (comments after a value, backslashes), it is an error.

use std::collections::BTreeMap;
use std::path::Path;

use qdrant_backup_shared::config_file::closest;
use qdrant_backup_shared::config_file::keys::{self, variables};
use qdrant_backup_shared::text::one_line;

/// Prefixes of our variables, which other programs use too.
const PREFIXES: [&str; 2] = ["QDRANT_", "BACKUP_"];

/// All variables of a text, for another program.
///
/// # Errors
/// The message contains the line and the variable, never a value.
pub(super) fn assignments(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut values = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let entry = Entry::split(rest);
        let name = entry.name;
        if !name.is_empty() {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if !name.bytes().all(plain) || name.as_bytes()[0].is_ascii_digit() {
                return Err(format!("line {line}: expected NAME=VALUE"));
            }
            let Some(value) = entry.value else { return Err(format!("line {line}: expected {name}=VALUE")) };
            let value = unquote(value).map_err(|problem| format!("line {line}: {name}: {problem}"))?;
            values.insert(name.to_owned(), value);
        }
        line += entry.whole.matches('\n').count();
        rest = &rest[entry.whole.len()..];
    }
    Ok(values)
}

/// The variables of ours that a file sets. Has no `Debug`, because one of them may be the key.
#[derive(Default)]
pub(super) struct EnvFile {
    values: BTreeMap<&'static str, (usize, String)>,
    /// A message for each unknown variable with one of our prefixes.
    pub(super) warnings: Vec<String>,
}

impl EnvFile {
    /// Parses a file's text. Problems are messages with file and line, never with a value.
    pub(super) fn parse(file: &Path, text: &str) -> (Self, Vec<String>) {
        let mut parsed = Self::default();
        let mut problems = Vec::new();
        let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut line = 1;
        while !rest.is_empty() {
            let entry = Entry::split(rest);
            let placed = |finding: String| one_line(&format!("{}:{line}: {finding}", file.display()));
            match parsed.take(&entry, line) {
                Ok(warning) => parsed.warnings.extend(warning.map(placed)),
                Err(problem) => problems.push(placed(problem)),
            }
            line += entry.whole.matches('\n').count();
            rest = &rest[entry.whole.len()..];
        }
        (parsed, problems)
    }

    /// A variable's line and value.
    pub(super) fn get(&self, name: &str) -> Option<(usize, &str)> {
        self.values.get(name).map(|(line, value)| (*line, value.as_str()))
    }

    /// Whether it sets a secret.
    pub(super) fn has_secret(&self) -> bool {
        let mut secrets = keys::all().map(|setting| setting.about()).filter(|about| about.secret);
        secrets.any(|about| about.variable.is_some_and(|name| self.values.contains_key(name)))
    }

    /// Stores a value, or returns a warning about an ignored variable.
    fn take(&mut self, entry: &Entry<'_>, line: usize) -> Result<Option<String>, String> {
        let written = entry.name;
        let Some(name) = variables().find(|known| *known == written) else {
            swallowed(entry.whole, line)?;
            return unknown(written);
        };
        let value = match entry.value {
            Some(value) => unquote(value).map_err(|problem| format!("{name}: {problem}"))?,
            None => return Err(format!("{name}: expected {name}=VALUE")),
        };
        if let Some((first, _)) = self.values.get(name) {
            return Err(format!("{name}: duplicate variable; it is already on line {first}"));
        }
        self.values.insert(name, (line, value));
        Ok(None)
    }
}

/// An unclosed quote must not hide one of our variables inside a long value of another one.
fn swallowed(entry: &str, first_line: usize) -> Result<(), String> {
    for (number, line) in entry.lines().enumerate().skip(1) {
        let name = Entry::split(line).name;
        if variables().any(|known| known == name) {
            let line = first_line + number;
            return Err(format!("the quote that begins here also spans {name} on line {line}; close it"));
        }
    }
    Ok(())
}

/// Checks an unknown name: an error if it is similar to ours, a warning if it has one of our prefixes, because it may belong to
/// another program. Qdrant's own names have a double underscore.
fn unknown(name: &str) -> Result<Option<String>, String> {
    let upper = name.to_ascii_uppercase();
    let Some(prefix) = PREFIXES.into_iter().find(|prefix| upper.starts_with(prefix)) else { return Ok(None) };
    if upper.starts_with("QDRANT__") {
        return Ok(None);
    }
    let shown: String = name.chars().take(60).collect();
    // The common prefix of all names does not count for similarity.
    let ours = variables().filter_map(|known| known.strip_prefix(prefix));
    match closest(&upper[prefix.len()..], ours) {
        Some(meant) => Err(format!("{shown}: unknown variable; did you mean {prefix}{meant}?")),
        None => Ok(Some(format!(
            "{shown}: not a variable of this program, ignored; known variables: {}",
            variables().collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// An assignment as written in the file. Quotes may span several lines.
struct Entry<'a> {
    whole: &'a str,
    name: &'a str,
    /// The value with its quotes, without surrounding blanks.
    value: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// Removes the first entry from a nonempty text.
    fn split(text: &'a str) -> Self {
        let line_end = text.find('\n').map_or(text.len(), |end| end + 1);
        let line = &text[..line_end];
        if line.trim_start().starts_with(['#', ';']) {
            return Self { whole: line, name: "", value: None };
        }
        let Some((name, value)) = line.split_once('=') else {
            // Also detects `NAME: value`, a common mistake from YAML.
            let name = line.split([':', ' ', '\t']).find(|word| !word.trim().is_empty() && *word != "export");
            return Self { whole: line, name: name.unwrap_or_default().trim(), value: None };
        };
        let name = name.trim();
        let name =
            name.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t'])).unwrap_or(name).trim();
        // A quote that is not closed on this line is closed on a later one. Otherwise it affects only this line.
        let start = line_end - value.trim_start().len();
        let close = if start < line_end { closing_quote(&text[start..]) } else { None };
        let whole = match close {
            Some(close) if start + close >= line_end => {
                let after = start + close;
                &text[..text[after..].find('\n').map_or(text.len(), |end| after + end + 1)]
            }
            Some(_) | None => line,
        };
        Self { whole, name, value: Some(whole.get(start..).unwrap_or_default().trim()) }
    }
}

/// The position where the opening quote of a value is closed.
fn closing_quote(value: &str) -> Option<usize> {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let mut escaped = false;
    for (position, character) in value.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if character == '\\' && quote == '"' {
            escaped = true;
        } else if character == quote {
            return Some(position);
        }
    }
    None
}

/// The value without its quotes, or why it is ambiguous.
fn unquote(value: &str) -> Result<String, &'static str> {
    if !value.starts_with(['"', '\'']) {
        let unclear = value.contains(['"', '\'', '\\']) || value.contains(" #") || value.contains("\t#");
        if unclear {
            return Err(
                "programs read quotes, backslashes and # in an unquoted value differently; put it in single quotes",
            );
        }
        return Ok(value.to_owned());
    }
    let Some(close) = closing_quote(value) else { return Err("the quote is not closed") };
    if close + 1 != value.len() {
        return Err("there is text after the closing quote");
    }
    let inner = &value[1..close];
    if inner.contains('\n') {
        return Err("the value spans several lines");
    }
    if value.starts_with('\'') {
        return Ok(inner.to_owned());
    }
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match (character, characters.as_str().chars().next()) {
            ('\\', Some(next @ ('"' | '\\' | '$' | '`'))) => {
                plain.push(next);
                characters.next();
            }
            ('\\', _) => {
                return Err("programs read this backslash differently; put the value in single quotes");
            }
            (other, _) => plain.push(other),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> (EnvFile, Vec<String>) {
        EnvFile::parse(Path::new(".env"), text)
    }

    fn value(line: &str) -> Result<String, String> {
        let (file, mut problems) = parse(line);
        match problems.pop() {
            Some(problem) => Err(problem),
            None => Ok(file.get("BACKUP_SCHEDULE").map(|(_, value)| value.to_owned()).unwrap_or_default()),
        }
    }

    #[test]
    fn the_variables_of_others_are_read_all_and_their_values_never_told() {
        let values = assignments("# x\nexport A=1\nB_2='x y'\n\nC=\n").unwrap();
        assert_eq!(
            values.into_iter().collect::<Vec<_>>(),
            [("A", "1"), ("B_2", "x y"), ("C", "")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        for (text, problem) in [
            ("A=1\ns3cret\n", "line 2: expected s3cret=VALUE"),
            ("A=\"s3cret", "line 1: A: the quote is not closed"),
            ("A B=s3cret", "line 1: expected NAME=VALUE"),
        ] {
            assert_eq!(assignments(text).unwrap_err(), problem);
        }
    }

    #[test]
    fn values_are_read_as_systemd_and_docker_read_them() {
        for line in [
            "BACKUP_SCHEDULE=0 2 * * *",
            "BACKUP_SCHEDULE=\"0 2 * * *\"",
            "BACKUP_SCHEDULE='0 2 * * *'  ",
            "  export BACKUP_SCHEDULE = 0 2 * * * \r\n",
            "# comment\n; comment\n\nBACKUP_SCHEDULE=0 2 * * *\n",
        ] {
            assert_eq!(value(line), Ok("0 2 * * *".to_owned()), "{line}");
        }
        assert_eq!(value("BACKUP_SCHEDULE=a=b#c"), Ok("a=b#c".to_owned()));
        assert_eq!(value("BACKUP_SCHEDULE='a\\b\"c #d'"), Ok("a\\b\"c #d".to_owned()));
        assert_eq!(value(r#"BACKUP_SCHEDULE="a\"b\\c\$d""#), Ok("a\"b\\c$d".to_owned()));
        assert_eq!(value("BACKUP_SCHEDULE="), Ok(String::new()));
        assert_eq!(value("BACKUP_SCHEDULE=\"\""), Ok(String::new()));
    }

    #[test]
    fn what_readers_disagree_about_is_refused_without_repeating_it() {
        for line in [
            "BACKUP_SCHEDULE=s3cret # comment",
            "BACKUP_SCHEDULE=s3\\cret",
            "BACKUP_SCHEDULE=s3\"cret",
            "BACKUP_SCHEDULE=\"s3\\cret\"",
            "BACKUP_SCHEDULE=\"s3cret\" # comment",
            "BACKUP_SCHEDULE=\"s3cret",
            "BACKUP_SCHEDULE='s3cret\nmore'",
            "BACKUP_SCHEDULE: s3cret",
            "BACKUP_SCHEDULE",
        ] {
            let problem = value(line).unwrap_err();
            assert!(problem.starts_with(".env:1: BACKUP_SCHEDULE: "), "{problem}");
            assert!(!problem.contains("s3"), "{problem}");
        }
    }

    #[test]
    fn foreign_variables_are_ignored_even_over_several_lines() {
        let text = "POSTGRES_PASSWORD=x y \"z\nQDRANT__SERVICE__API_KEY=abc\nCERT=\"-----BEGIN\nQDRANT_URI=inside the certificate\n\
                    -----END\"\nplain words\nQDRANT_URL=http://h\n";
        let (file, problems) = parse(text);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(file.get("QDRANT_URL"), Some((7, "http://h")));
    }

    #[test]
    fn a_stray_quote_does_not_hide_our_variables() {
        let (file, problems) =
            parse("A=1\nMOTD='tis late\nQDRANT_URL=http://h\nB='x'\nBACKUP_COMPRESSION=none\n");
        assert_eq!(
            problems,
            [".env:2: the quote that begins here also spans QDRANT_URL on line 3; close it"]
        );
        assert_eq!(file.get("BACKUP_COMPRESSION"), Some((5, "none")));
        assert_eq!(parse("A=\n\"\nQDRANT_URL=http://h\nB=\"\n").0.get("QDRANT_URL"), Some((3, "http://h")));
    }

    #[test]
    fn misspelled_names_of_ours_are_errors_with_lines() {
        let (_, problems) = parse(
            "\nQDRANT_URI=x\nA=1\nBACKUP_RETENTION_DAY=7\nqdrant_url=x\nQDRANT_URL=a\nQDRANT_URL=b\nQDRANT_APIKEY=x\n",
        );
        assert_eq!(
            problems,
            [
                ".env:2: QDRANT_URI: unknown variable; did you mean QDRANT_URL?",
                ".env:4: BACKUP_RETENTION_DAY: unknown variable; did you mean BACKUP_RETENTION_DAYS?",
                ".env:5: qdrant_url: unknown variable; did you mean QDRANT_URL?",
                ".env:7: QDRANT_URL: duplicate variable; it is already on line 6",
                ".env:8: QDRANT_APIKEY: unknown variable; did you mean QDRANT_API_KEY?",
            ]
        );
    }

    #[test]
    fn other_programs_variables_that_begin_like_ours_are_warnings_without_their_values() {
        let foreign = [
            "QDRANT_GRPC_PORT",
            "QDRANT_TAG",
            "QDRANT_ENV",
            "BACKUP_DIR",
            "BACKUP_RETENTION",
            "qdrant_http_port",
            "QDRANT_BACKUP_IMAGE",
        ];
        for name in foreign {
            for line in
                [format!("{name}=s3cret"), format!("export {name}='s3cret'"), format!("{name}: s3cret")]
            {
                let (file, problems) = parse(&format!("{line}\nQDRANT_URL=http://h:6333\n"));
                assert_eq!(problems, Vec::<String>::new(), "{line}");
                assert_eq!(file.get("QDRANT_URL"), Some((2, "http://h:6333")));
                let [warning] = file.warnings.as_slice() else { panic!("{:?}", file.warnings) };
                assert!(warning.starts_with(&format!(".env:1: {name}: not a variable of this program")));
                assert!(!warning.contains("s3cret"), "{warning}");
            }
        }
        assert_eq!(parse("QDRANT__SERVICE__GRPC_PORT=1\nPGPORT=2\n").0.warnings, Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn parsing_any_text_never_panics(text in any::<String>(), likely in "(QDRANT_URL|BACKUP_X|export|=|\"|'|\\\\|\n|\r| |#|é){0,30}") {
            for text in [text, likely] {
                for problem in parse(&text).1 {
                    prop_assert_eq!(problem.lines().count(), 1);
                }
            }
        }
    }
}
