//! Times, sizes and counts in words.

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::text::{shortened, visible};

/// A duration: `45 s`, `12 min`, `2 h`, `3 days`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    let whole = |value: f64| format!("{:.0}", value.floor());
    if seconds < 10.0 && seconds > 0.0 {
        format!("{seconds:.1} s")
    } else if seconds < 90.0 {
        format!("{} s", whole(seconds))
    } else if seconds < 7200.0 {
        format!("{} min", whole(seconds / 60.0))
    } else if seconds < 48.0 * 3600.0 {
        format!("{} h", whole(seconds / 3600.0))
    } else {
        format!("{} days", whole(seconds / 86_400.0))
    }
}

/// How long ago a time was.
pub(super) fn ago(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let age = now - then;
    if age < TimeDelta::seconds(-5) {
        format!("in {} (in the future)", duration(-age.as_seconds_f64()))
    } else if age < TimeDelta::seconds(5) {
        "just now".to_owned()
    } else {
        format!("{} ago", duration(age.as_seconds_f64()))
    }
}

/// A time in UTC.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A size in bytes, in units of 1024.
pub(super) fn bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let mut value = size as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 10.0 { format!("{value:.2} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A count with a thousands separator.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            // A space that does not break lines.
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// A name from a server, escaped for a sentence.
pub(super) fn name(name: &str) -> String {
    shortened(&visible(name), 60)
}

/// The first few names, and how many more there are.
pub(super) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = names.iter().take(SHOWN).map(|shown| name(shown)).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
