//! The hour, day, week, month and year of a backup, in UTC.

use chrono::{DateTime, Utc};

/// A period for which one backup is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// An hour (UTC).
    Hour,
    /// A day (UTC).
    Day,
    /// A week of ISO 8601: it starts on Monday, and belongs to the year of its Thursday.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

impl Period {
    /// The rule for such periods, for reasons.
    pub fn adverb(self) -> &'static str {
        match self {
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Year => "yearly",
        }
    }

    /// The name of the period that contains `time`. Different periods have different names.
    pub fn of(self, time: DateTime<Utc>) -> String {
        let format = match self {
            Self::Hour => "%Y-%m-%d %H:00",
            Self::Day => "%Y-%m-%d",
            Self::Week => "%G-W%V",
            Self::Month => "%Y-%m",
            Self::Year => "%Y",
        };
        time.format(format).to_string()
    }
}
