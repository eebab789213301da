//! The kinds of values: how each is parsed and shown. Parsing is strict: a quoted number is not a number, a duration needs a
//! unit.
//!
//! All values are parsed here: YAML nodes, and the text of variables and options. Messages repeat short values, but not URLs and
//! paths, because people paste secrets into the wrong key.

use std::ffi::OsStr;
use std::num::{NonZeroU8, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::problem::Problem;
use super::tree::{Node, Value};
use super::types::{BadValue, Choice, PingStyle, SecretText, parse_duration, parse_rate, parse_size, quoted};
use crate::text::one_line;

/// A value and its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Located<T> {
    /// Value as it was read.
    pub value: T,
    /// Line number in the file, from 1. 0 for other sources.
    pub line: usize,
}

/// A value as written in one of the sources.
#[derive(Debug, Clone, Copy)]
pub enum Written<'a> {
    /// In `backup.yaml`.
    Yaml(&'a Node),
    /// The text of a variable or an option.
    Word(&'a OsStr),
}

/// The kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `backup.yaml`.
    File,
    /// A variable of the environment or of the env file.
    Variable,
    /// An option on the command line.
    CommandLine,
    /// The default in the setting's declaration.
    Default,
}

/// Collects the problems of one key.
pub struct Reading<'a> {
    pub(super) file: &'a str,
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) place: Place,
    pub(super) problems: Vec<Problem>,
}

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Quoted,
    Word,
}

impl<'a> Reading<'a> {
    /// For a single value, if only the messages matter.
    pub(super) fn alone(place: Place) -> Self {
        Self { file: "", key: String::new(), line: 0, place, problems: Vec::new() }
    }

    /// For a key inside the value of this one.
    pub(super) fn within(&self, key: &str, line: usize) -> Self {
        let key = format!("{}.{key}", self.key);
        Self { key, line, problems: Vec::new(), ..*self }
    }

    /// The problems as text.
    pub(super) fn messages(&self) -> String {
        self.problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// Reports a problem with this key on the key's own line.
    pub(super) fn refuse(&mut self, message: impl Into<String>) {
        self.refuse_at(self.line, message);
    }

    /// Reports a problem with this key on another line, such as that of a list item.
    pub(super) fn refuse_at(&mut self, line: usize, message: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: Some(line),
            key: Some(self.key.clone()),
            message: message.into(),
        });
    }

    fn accept<T>(&mut self, result: Result<T, BadValue>) -> Option<T> {
        result.map_err(|error| self.refuse(error.to_string())).ok()
    }

    fn word<'w>(&mut self, word: &'w OsStr) -> Option<&'w str> {
        let text = word.to_str();
        if text.is_none() {
            self.refuse("not valid UTF-8");
        }
        text
    }

    /// The text of a scalar, and whether it is quoted. Reports lists, mappings and missing values.
    fn scalar<'w>(&mut self, written: Written<'w>, expected: &str) -> Option<(&'w str, Style)> {
        let node = match written {
            Written::Yaml(node) => node,
            Written::Word(word) => return Some((self.word(word)?, Style::Word)),
        };
        match &node.value {
            Value::Scalar { text, plain } if !(*plain && is_null(text)) => {
                return Some((text, if *plain { Style::Plain } else { Style::Quoted }));
            }
            Value::Scalar { .. } => self.refuse("no value; give one or remove the line"),
            Value::Sequence(_) => self.refuse(format!("expected {expected}, got a list")),
            Value::Mapping(_) => self.refuse(format!("expected {expected}, got a mapping")),
            Value::Refused => {}
        }
        None
    }
}

/// How values of a kind are parsed and shown.
pub(super) struct Kind<T> {
    pub(super) read: fn(Written<'_>, &mut Reading<'_>) -> Option<T>,
    pub(super) show: fn(&T) -> Json,
}

/// Shown instead of a secret.
pub const MASK: &str = "********";

pub(super) const TEXT: Kind<Option<String>> = Kind { read: some_text, show: |text| json!(text) };
/// URLs are shown elsewhere, after removal of the password.
pub(super) const URL: Kind<Option<SecretText>> = Kind { read: secret_text, show: masked };
pub(super) const SECRET: Kind<Option<SecretText>> = Kind { read: secret, show: masked };
/// A directory. Always an absolute path.
pub(super) const DIRECTORY: Kind<PathBuf> =
    Kind { read: absolute, show: |path| json!(one_line(&path.display().to_string())) };
pub(super) const OTHER_DIRECTORY: Kind<Option<PathBuf>> =
    Kind { read: |written, reading| absolute(written, reading).map(Some), show: shown_path };
/// A file. On the command line the path may be relative.
pub(super) const FILE: Kind<Option<PathBuf>> = Kind { read: file, show: shown_path };
pub(super) const SWITCH: Kind<bool> = Kind { read: boolean, show: |yes| json!(yes) };
pub(super) const RETRIES: Kind<u32> =
    Kind { read: |written, reading| whole_number(written, reading, 0, 100), show: |number| json!(number) };
pub(super) const DAYS: Kind<u32> = Kind { read: positive, show: |number| json!(number) };
/// A number of backups or days. No limit if unset.
pub(super) const KEEP: Kind<Option<NonZeroU32>> = Kind { read: keep, show: |number| json!(number) };
/// More than 16 collections at a time do not make any disk or server faster.
pub(super) const JOBS: Kind<Option<NonZeroU8>> = Kind {
    read: |written, reading| {
        let number = whole_number(written, reading, 1, 16)?;
        u8::try_from(number).ok().and_then(NonZeroU8::new).map(Some)
    },
    show: |jobs| json!(jobs),
};
pub(super) const DURATION: Kind<Duration> = Kind { read: duration, show: shown_duration };
/// Longer than zero.
pub(super) const TIMEOUT: Kind<Duration> = Kind { read: timeout, show: shown_duration };
pub(super) const SIZE: Kind<u64> = Kind {
    read: |written, reading| {
        let (text, _) = reading.scalar(written, "a size such as 64MiB")?;
        reading.accept(parse_size(text))
    },
    show: |bytes| json!(shown_bytes(*bytes)),
};
pub(super) const RATE: Kind<Option<NonZeroU64>> = Kind {
    read: |written, reading| {
        let (text, _) = reading.scalar(written, "bytes a second, such as 50MiB")?;
        reading.accept(parse_rate(text)).map(Some)
    },
    show: |rate| json!(rate.map(|rate| shown_bytes(rate.get()))),
};
pub(super) const PING_STYLE: Kind<Option<PingStyle>> = Kind {
    read: |written, reading| choice(written, reading).map(Some),
    show: |style| json!(style.map(Choice::word)),
};
/// A list of texts with the line of each.
pub(super) const TEXTS: Kind<Vec<Located<String>>> =
    Kind { read: texts, show: |texts| texts.iter().map(|text| json!(text.value)).collect() };

/// URLs: a list, or in a variable a text separated by commas. Passwords are not shown.
pub(super) const URLS: Kind<Vec<Located<String>>> = Kind {
    read: urls,
    show: |urls| {
        urls.iter().map(|url| json!(if url.value.contains('@') { MASK } else { &url.value })).collect()
    },
};

/// One of a few words.
pub(super) const fn choices<T: Choice>() -> Kind<T> {
    Kind { read: choice, show: |chosen| json!(chosen.word()) }
}

fn choice<T: Choice>(written: Written<'_>, reading: &mut Reading<'_>) -> Option<T> {
    let (text, _) = reading.scalar(written, T::EXPECTED)?;
    reading.accept(T::parse(text))
}

/// Text. In the file, it must not be empty and must be on one line.
pub(super) fn text(written: Written<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let (text, style) = reading.scalar(written, "text")?;
    if let Written::Yaml(node) = written {
        let problem = if style == Style::Plain && (is_boolean(text) || text.parse::<f64>().is_ok()) {
            Some("expected text, got a number or boolean; put it in quotes")
        } else if text.trim().is_empty() {
            Some("the text is empty; give a value or remove the line")
        } else if text.chars().any(char::is_control) {
            Some("the text contains a control character")
        } else {
            None
        };
        if let Some(problem) = problem {
            reading.refuse_at(node.line, problem);
            return None;
        }
    }
    Some(text.to_owned())
}

fn some_text(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Option<String>> {
    text(written, reading).map(Some)
}

fn secret_text(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Option<SecretText>> {
    text(written, reading).map(SecretText::new).map(Some)
}

fn secret(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Option<SecretText>> {
    if let Written::Yaml(_) = written {
        reading.refuse(
            "not allowed in this file, which may be copied or shared; use qdrant.api_key_file, \
             QDRANT_API_KEY or QDRANT_API_KEY_FILE",
        );
        return None;
    }
    secret_text(written, reading)
}

/// An absolute path, because cron starts the program in a home directory.
fn absolute(written: Written<'_>, reading: &mut Reading<'_>) -> Option<PathBuf> {
    let path = path(written, reading)?;
    if !path.is_absolute() {
        // The message does not repeat the path, because people paste keys instead of key files.
        reading.refuse("expected an absolute path, beginning with /");
        return None;
    }
    Some(path)
}

fn file(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Option<PathBuf>> {
    if reading.place == Place::CommandLine {
        return path(written, reading).map(Some);
    }
    absolute(written, reading).map(Some)
}

/// Command-line arguments may not be UTF-8.
fn path(written: Written<'_>, reading: &mut Reading<'_>) -> Option<PathBuf> {
    match written {
        Written::Word(word) if reading.place == Place::CommandLine => Some(PathBuf::from(word)),
        Written::Word(_) | Written::Yaml(_) => text(written, reading).map(PathBuf::from),
    }
}

fn texts(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Vec<Located<String>>> {
    let expected = "expected a list such as [\"docs\", \"wiki_*\"]";
    let items = list(written, reading, expected)?;
    let before = reading.problems.len();
    let read = |item| text(Written::Yaml(item), reading).map(|value| Located { value, line: item.line });
    let texts = items.iter().filter_map(read).collect();
    (reading.problems.len() == before).then_some(texts)
}

fn urls(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Vec<Located<String>>> {
    let Written::Word(word) = written else { return texts(written, reading) };
    let items = reading.word(word)?.split(',').map(str::trim).filter(|item| !item.is_empty());
    Some(items.map(|item| Located { value: item.to_owned(), line: 0 }).collect())
}

/// The items of a list. Only the file can have lists.
pub(super) fn list<'w>(
    written: Written<'w>,
    reading: &mut Reading<'_>,
    expected: &str,
) -> Option<&'w [Node]> {
    match written {
        Written::Yaml(Node { value: Value::Sequence(items), .. }) => return Some(items),
        Written::Yaml(Node { value: Value::Refused, .. }) => {}
        Written::Yaml(_) | Written::Word(_) => reading.refuse(expected),
    }
    None
}

fn boolean(written: Written<'_>, reading: &mut Reading<'_>) -> Option<bool> {
    let (text, style) = reading.scalar(written, "true or false")?;
    if style != Style::Quoted && is_boolean(text) {
        return Some(text.eq_ignore_ascii_case("true"));
    }
    reading.refuse(format!("expected true or false, got {}", quoted(text)));
    None
}

fn keep(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Option<NonZeroU32>> {
    if let Written::Word(word) = written {
        let number = reading.word(word)?.parse().ok();
        if number.is_none() {
            reading.refuse("expected a whole number of at least 1; to keep everything, leave it unset");
        }
        return number.map(Some);
    }
    positive(written, reading).and_then(NonZeroU32::new).map(Some)
}

/// A whole number of at least 1.
pub(super) fn positive(written: Written<'_>, reading: &mut Reading<'_>) -> Option<u32> {
    whole_number(written, reading, 1, u32::MAX)
}

fn whole_number(written: Written<'_>, reading: &mut Reading<'_>, least: u32, most: u32) -> Option<u32> {
    let (text, style) = reading.scalar(written, "a whole number")?;
    match text.parse::<u32>() {
        Ok(_) if style == Style::Quoted => {
            reading
                .refuse(format!("expected a whole number, got the text {}; remove the quotes", quoted(text)));
        }
        Ok(number) if (least..=most).contains(&number) => return Some(number),
        Ok(_) | Err(_) => {
            reading.refuse(format!("expected a whole number from {least} to {most}, got {}", quoted(text)));
        }
    }
    None
}

fn duration(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Duration> {
    let (text, _) = reading.scalar(written, "a duration such as 30s")?;
    reading.accept(parse_duration(text))
}

fn timeout(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Duration> {
    let duration = duration(written, reading)?;
    if duration.is_zero() {
        reading.refuse("expected a duration longer than zero");
        return None;
    }
    Some(duration)
}

/// Whether an unquoted scalar means "no value".
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn is_boolean(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

fn masked(text: &Option<SecretText>) -> Json {
    json!(text.as_ref().map(|_| MASK))
}

fn shown_path(path: &Option<PathBuf>) -> Json {
    json!(path.as_deref().map(|path| one_line(&path.display().to_string())))
}

fn shown_duration(duration: &Duration) -> Json {
    json!(humantime::format_duration(*duration).to_string())
}

/// As `50.00 MiB`.
fn shown_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut shown = bytes as f64;
    let mut unit = "B";
    for larger in UNITS {
        if shown < 1024.0 {
            break;
        }
        (shown, unit) = (shown / 1024.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{shown:.2} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word<T>(kind: &Kind<T>, text: &str, place: Place) -> Result<T, String> {
        let mut reading = Reading::alone(place);
        (kind.read)(Written::Word(OsStr::new(text)), &mut reading).ok_or_else(|| reading.messages())
    }

    #[test]
    fn jobs_are_one_to_sixteen() {
        let jobs = |text| word(&JOBS, text, Place::CommandLine);
        assert_eq!(jobs("16"), Ok(NonZeroU8::new(16)));
        for bad in ["0", "17", "300", "-1", "two", ""] {
            assert!(jobs(bad).unwrap_err().starts_with("expected a whole number from 1 to 16"), "{bad}");
        }
    }

    #[test]
    fn only_files_on_the_command_line_may_be_relative() {
        assert!(word(&FILE, "key", Place::CommandLine).is_ok());
        for place in [Place::Variable, Place::File, Place::Default] {
            assert!(word(&FILE, "key", place).is_err(), "{place:?}");
        }
        assert!(word(&DIRECTORY, "backups", Place::CommandLine).is_err());
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        let shown = [0, 1023, 1024, 50 << 20, 512_000_000, u64::MAX].map(shown_bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.00 KiB", "50.00 MiB", "488.28 MiB", "16.00 EiB"]);
    }
}
