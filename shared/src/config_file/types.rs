//! Typed values: compression, log level, duration, size, and their text forms.
//!
//! The command line and environment variables are read with the same functions.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// Why a value is invalid: a lowercase text that says what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadValue(String);

/// A value that is one of a few words.
pub trait Choice: Copy + PartialEq + 'static {
    /// The words, for messages.
    const EXPECTED: &'static str;
    /// Each word with its value. If several words have the same value, the first one is shown.
    const WORDS: &'static [(&'static str, Self)];

    /// Parses a word, ignoring case.
    ///
    /// # Errors
    /// Any other word.
    fn parse(text: &str) -> Result<Self, BadValue> {
        let word = text.to_ascii_lowercase();
        let found = Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, meaning)| *meaning);
        found.ok_or_else(|| BadValue(format!("expected {}, got {}", Self::EXPECTED, quoted(text))))
    }

    /// The word for it.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, meaning)| *meaning == self).map_or("", |(word, _)| word)
    }
}

/// How archives are stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// gzip.
    #[default]
    Gzip,
    /// Zstandard.
    Zstd,
    /// Uncompressed.
    None,
}

impl Choice for Compression {
    const EXPECTED: &'static str = "true, false, gzip, zstd or none";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("gzip", Self::Gzip),
        ("true", Self::Gzip),
        ("zstd", Self::Zstd),
        ("none", Self::None),
        ("false", Self::None),
    ];
}

/// Minimum log level. Each level includes those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Conditions that may need attention.
    Warn,
    /// What the program does, step by step.
    #[default]
    Info,
    /// Requests and decisions.
    Debug,
    /// Everything.
    Trace,
}

impl Choice for LogLevel {
    const EXPECTED: &'static str = "error, warn, info, debug or trace";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object per line.
    Json,
}

impl Choice for LogFormat {
    const EXPECTED: &'static str = "text or json";
    const WORDS: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

/// The protocol of a dead man's switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingStyle {
    /// `URL/start`, `URL`, `URL/fail`.
    Healthchecks,
    /// One URL, with `status=up` or `status=down` in its query.
    UptimeKuma,
}

impl Choice for PingStyle {
    const EXPECTED: &'static str = "healthchecks or uptime-kuma";
    const WORDS: &'static [(&'static str, Self)] =
        &[("healthchecks", Self::Healthchecks), ("uptime-kuma", Self::UptimeKuma)];
}

/// A text that may contain a secret, such as a key or a URL with a password. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text with its secrets. Parse it, do not print it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(********)")
    }
}

/// Reads a duration such as `30s`, `90m`, `6h`, `1d` or `1h 30m`, of at most 366 days.
///
/// # Errors
/// No unit, an unknown unit, or months and years: their length is not fixed, and `5M` is usually a typo for `5m`.
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

/// Reads a rate in bytes per second, in the format of [`parse_size`].
///
/// # Errors
/// As in [`parse_size`], and zero.
pub fn parse_rate(text: &str) -> Result<NonZeroU64, BadValue> {
    NonZeroU64::new(parse_size(text)?)
        .ok_or_else(|| BadValue("expected more than zero bytes a second".to_owned()))
}

/// A quoted value for a message, truncated if it is long. The problem escapes it.
pub(super) fn quoted(text: &str) -> String {
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
    fn a_rate_is_a_size_and_never_zero() {
        assert_eq!(parse_rate("50MiB").map(NonZeroU64::get), Ok(50 << 20));
        assert!(parse_rate("0B").is_err() && parse_rate("50").is_err());
    }

    #[test]
    fn a_long_value_is_cut_in_the_message() {
        let error = LogLevel::parse(&"ä".repeat(500)).unwrap_err().to_string();
        assert!(error.chars().count() < 140, "{error}");
    }
}
