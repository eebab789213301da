//! The types of values and how each is read, strictly: a number is not a quoted number, a duration has a unit.
//!
//! Messages repeat short values back, except those of URLs and paths: people paste secrets into the wrong key.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::Problem;
use super::tree::{Node, Value};

/// A value and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Line number in the file, counted from 1.
    pub line: usize,
}

/// Why a value was refused: a lowercase fragment that says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(String);

/// How archives are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As gzip.
    Gzip,
    /// As the server sent them.
    None,
}

impl Compression {
    /// Reads `true` or `gzip`, `false` or `none`.
    ///
    /// # Errors
    /// Any other word; `zstd` with a message of its own.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "gzip" => Ok(Self::Gzip),
            "false" | "none" => Ok(Self::None),
            "zstd" => Err(BadValue("zstd is not supported yet; use gzip or none".to_owned())),
            _ => Err(BadValue(format!("expected true, false, gzip or none, got {}", quoted(text)))),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::None => "none",
        })
    }
}

/// How much is logged; each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// What may need attention.
    Warn,
    /// What was done.
    Info,
    /// Requests and decisions.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Every level, the quietest first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// Reads a level's name, in upper or lower case.
    ///
    /// # Errors
    /// Any other word.
    pub fn parse(text: &str) -> Result<Self, BadValue> {
        let wanted = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|level| level.to_string() == wanted).ok_or_else(|| {
            BadValue(format!("expected error, warn, info, debug or trace, got {}", quoted(text)))
        })
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

/// A URL as written. It may hold a password, so its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlText(String);

impl UrlText {
    /// The text, password included: parse it, do not print it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlText(********)")
    }
}

/// Reads a duration such as `30s`, `90m`, `6h`, `1d` or `1h 30m`, of at most 366 days.
///
/// # Errors
/// No unit, an unknown unit, or months and years: they are of no fixed length, and `5M` is mostly a mistyped `5m`.
pub fn parse_duration(text: &str) -> Result<Duration, BadValue> {
    const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
    let example =
        || BadValue(format!("expected a duration such as 30s, 90m, 6h or 1d, got {}", quoted(text)));
    let calendar = |unit: &str| unit == "M" || unit.starts_with("month") || unit.starts_with('y');
    if text.split(|character: char| !character.is_ascii_alphabetic()).any(calendar) {
        return Err(BadValue(format!(
            "expected a duration in s, m (minutes), h or d; months and years are not accepted, got {}",
            quoted(text)
        )));
    }
    let duration = humantime::parse_duration(text).map_err(|_| example())?;
    if duration > LONGEST {
        return Err(BadValue(format!("expected a duration of at most 366d, got {}", quoted(text))));
    }
    Ok(duration)
}

/// Reads a size in bytes: a whole number and a unit, `64MiB` (KiB, MiB, GiB, TiB: powers of 1024),
/// `64MB` (kB, MB, GB, TB: powers of 1000) or `512B`.
///
/// # Errors
/// No number, no unit, an unknown unit, or more than 64 bits can hold.
pub fn parse_size(text: &str) -> Result<u64, BadValue> {
    let bad = || BadValue(format!("expected a size such as 512B, 64MiB or 10GiB, got {}", quoted(text)));
    let digits = text.find(|character: char| !character.is_ascii_digit()).ok_or_else(bad)?;
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err(bad()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(bad)
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
        result.map_err(|error| self.refuse(error.0)).ok()
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

/// A path.
pub(super) fn path(node: &Node, reading: &mut Reading<'_>) -> Option<PathBuf> {
    text(node, reading).map(PathBuf::from)
}

/// A URL, not parsed here.
pub(super) fn url(node: &Node, reading: &mut Reading<'_>) -> Option<UrlText> {
    text(node, reading).map(UrlText)
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

/// A way of storing archives, also as a boolean.
pub(super) fn compression(node: &Node, reading: &mut Reading<'_>) -> Option<Compression> {
    let (text, _) = reading.scalar(node, "true, false, gzip or none")?;
    reading.accept(Compression::parse(text))
}

/// A log level.
pub(super) fn log_level(node: &Node, reading: &mut Reading<'_>) -> Option<LogLevel> {
    let (text, _) = reading.scalar(node, "error, warn, info, debug or trace")?;
    reading.accept(LogLevel::parse(text))
}

/// Whether an unquoted scalar stands for nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn is_boolean(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

/// A value in quotes for a message, cut where it gets long. Escaping is the problem's business.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() { format!("\"{shown}…\"") } else { format!("\"{shown}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit_and_are_no_calendar() {
        let seconds = |text: &str| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("30s"), Ok(30));
        assert_eq!(seconds("90m"), Ok(5400));
        assert_eq!(seconds("6h"), Ok(21_600));
        assert_eq!(seconds("1d"), Ok(86_400));
        assert_eq!(seconds("1h 30m"), Ok(5400));
        assert_eq!(seconds("0s"), Ok(0));
        for bad in [
            "30",
            "",
            " ",
            "s",
            "-5s",
            "5M",
            "1month",
            "2y",
            "1year",
            "367d",
            "6 hourz",
            "99999999999999999999d",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_need_a_unit_and_know_both_kinds_of_mega() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("64 MB"), Ok(64_000_000));
        assert_eq!(parse_size("512B"), Ok(512));
        assert_eq!(parse_size("16777215TiB"), Ok(16_777_215 << 40));
        for bad in ["64", "", "MiB", "1.5GiB", "-1B", "64mib", "16777216TiB", "99999999999999999999B"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_long_value_is_cut_in_the_message() {
        let error = LogLevel::parse(&"ä".repeat(500)).unwrap_err().to_string();
        assert!(error.chars().count() < 140, "{error}");
    }
}
