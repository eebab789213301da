//! How each kind of value is read, strictly: a number is not a quoted number, a duration has a unit.
//!
//! Messages repeat short values back, except those of URLs and paths: people paste secrets into the wrong key.

use std::num::{NonZeroU8, NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use super::problem::Problem;
use super::tree::{Node, Value};
use super::types::{
    BadValue, Compression, JOBS_MAX, LogFormat, LogLevel, PingStyle, UrlText, parse_duration, parse_rate,
    parse_size, quoted,
};

/// A value and the line it stands on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Line number in the file, counted from 1.
    pub line: usize,
}

/// Where the reading of one key reports what it refuses.
pub(super) struct Reading<'a> {
    pub(super) file: &'a str,
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl Reading<'_> {
    /// Reports a problem with this key on the key's own line.
    pub(super) fn refuse(&mut self, message: impl Into<String>) {
        self.refuse_at(self.line, message);
    }

    /// Reports a problem with this key on another line, such as a list item's.
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

    /// The text of a scalar and whether it was unquoted; reports lists, mappings and missing values.
    fn scalar<'n>(&mut self, node: &'n Node, expected: &str) -> Option<(&'n str, bool)> {
        match &node.value {
            Value::Scalar { text, plain } if !(*plain && is_null(text)) => return Some((text, *plain)),
            Value::Scalar { .. } => self.refuse("no value; give one or remove the line"),
            Value::Sequence(_) => self.refuse(format!("expected {expected}, got a list")),
            Value::Mapping(_) => self.refuse(format!("expected {expected}, got a mapping")),
            Value::Refused => {}
        }
        None
    }
}

/// Text that is not empty and fits on a line.
pub(super) fn text(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    let (text, plain) = reading.scalar(node, "text")?;
    if plain && (is_boolean(text) || text.parse::<f64>().is_ok()) {
        reading.refuse_at(node.line, "expected text, got a number or boolean; put it in quotes");
    } else if text.trim().is_empty() {
        reading.refuse_at(node.line, "the text is empty; give a value or remove the line");
    } else if text.chars().any(char::is_control) {
        reading.refuse_at(node.line, "the text contains a control character");
    } else {
        return Some(text.to_owned());
    }
    None
}

/// One argument of a program: any scalar, as it stands. It may be empty, and hold a token, so it is never repeated.
pub(super) fn argument(node: &Node, reading: &mut Reading<'_>) -> Option<String> {
    let (text, plain) = match &node.value {
        Value::Scalar { text, plain } => (text, *plain),
        Value::Sequence(_) | Value::Mapping(_) => {
            reading.refuse_at(node.line, "expected an argument, got a list or a mapping; put it in quotes");
            return None;
        }
        Value::Refused => return None,
    };
    if plain && is_null(text) {
        reading.refuse_at(node.line, "an argument has no value; put it in quotes or remove it");
    } else if text.chars().any(char::is_control) {
        reading.refuse_at(node.line, "an argument contains a control character");
    } else {
        return Some(text.clone());
    }
    None
}

/// A path.
pub(super) fn path(node: &Node, reading: &mut Reading<'_>) -> Option<PathBuf> {
    text(node, reading).map(PathBuf::from)
}

/// A URL, not parsed here.
pub(super) fn url(node: &Node, reading: &mut Reading<'_>) -> Option<UrlText> {
    text(node, reading).map(UrlText::new)
}

/// A list of texts with the line of each.
pub(super) fn texts(node: &Node, reading: &mut Reading<'_>) -> Option<Vec<Located<String>>> {
    let Value::Sequence(items) = &node.value else {
        if !matches!(node.value, Value::Refused) {
            reading.refuse("expected a list such as [\"docs\", \"wiki_*\"]");
        }
        return None;
    };
    let before = reading.problems.len();
    let texts = items
        .iter()
        .filter_map(|item| text(item, reading).map(|value| Located { value, line: item.line }))
        .collect();
    (reading.problems.len() == before).then_some(texts)
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node, reading: &mut Reading<'_>) -> Option<bool> {
    let (text, plain) = reading.scalar(node, "true or false")?;
    if plain && is_boolean(text) {
        return Some(text.eq_ignore_ascii_case("true"));
    }
    reading.refuse(format!("expected true or false, got {}", quoted(text)));
    None
}

/// A whole number from 0 to 100.
pub(super) fn retries(node: &Node, reading: &mut Reading<'_>) -> Option<u32> {
    whole_number(node, reading, 0, 100)
}

/// A whole number of at least 1.
pub(super) fn positive(node: &Node, reading: &mut Reading<'_>) -> Option<NonZeroU32> {
    whole_number(node, reading, 1, u32::MAX).and_then(NonZeroU32::new)
}

/// A whole number from 1 to 16.
pub(super) fn jobs(node: &Node, reading: &mut Reading<'_>) -> Option<NonZeroU8> {
    let number = whole_number(node, reading, 1, JOBS_MAX)?;
    u8::try_from(number).ok().and_then(NonZeroU8::new)
}

fn whole_number(node: &Node, reading: &mut Reading<'_>, least: u32, most: u32) -> Option<u32> {
    let (text, plain) = reading.scalar(node, "a whole number")?;
    match text.parse::<u32>() {
        Ok(_) if !plain => {
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

/// A duration, zero included.
pub(super) fn duration(node: &Node, reading: &mut Reading<'_>) -> Option<Duration> {
    let (text, _) = reading.scalar(node, "a duration such as 30s")?;
    reading.accept(parse_duration(text))
}

/// A duration longer than zero: nothing could ever be done in no time.
pub(super) fn timeout(node: &Node, reading: &mut Reading<'_>) -> Option<Duration> {
    let duration = duration(node, reading)?;
    if duration.is_zero() {
        reading.refuse("expected a duration longer than zero");
        return None;
    }
    Some(duration)
}

/// A size in bytes.
pub(super) fn size(node: &Node, reading: &mut Reading<'_>) -> Option<u64> {
    let (text, _) = reading.scalar(node, "a size such as 64MiB")?;
    reading.accept(parse_size(text))
}

/// Bytes a second.
pub(super) fn rate(node: &Node, reading: &mut Reading<'_>) -> Option<NonZeroU64> {
    let (text, _) = reading.scalar(node, "bytes a second, such as 50MiB")?;
    reading.accept(parse_rate(text))
}

/// A way of storing archives, also as a boolean.
pub(super) fn compression(node: &Node, reading: &mut Reading<'_>) -> Option<Compression> {
    let (text, _) = reading.scalar(node, "true, false, gzip, zstd or none")?;
    reading.accept(Compression::parse(text))
}

/// A log level.
pub(super) fn log_level(node: &Node, reading: &mut Reading<'_>) -> Option<LogLevel> {
    let (text, _) = reading.scalar(node, "error, warn, info, debug or trace")?;
    reading.accept(LogLevel::parse(text))
}

/// A log format.
pub(super) fn log_format(node: &Node, reading: &mut Reading<'_>) -> Option<LogFormat> {
    let (text, _) = reading.scalar(node, "text or json")?;
    reading.accept(LogFormat::parse(text))
}

/// How a dead man's service is called.
pub(super) fn ping_style(node: &Node, reading: &mut Reading<'_>) -> Option<PingStyle> {
    let (text, _) = reading.scalar(node, "healthchecks or uptime-kuma")?;
    reading.accept(PingStyle::parse(text))
}

/// Whether an unquoted scalar stands for nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn is_boolean(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}
