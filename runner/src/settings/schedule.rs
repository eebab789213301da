//! When backups are expected: a cron expression in a time zone.
//!
//! Cron or a timer starts the program; this only computes the expected interval. When clocks change, a daily job runs once: if
//! its time is skipped, at the first moment after it; if it occurs twice, the first time. The interval from 02:00 to the next
//! 02:00 is then 23 to 25 hours.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Days, Local, NaiveTime, TimeDelta, Utc};
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use qdrant_backup_shared::config_file::closest;
use qdrant_backup_shared::text::{one_line, shortened};

/// The fields of a cron expression: name, numbers, and names instead of numbers.
const FIELDS: [(&str, &str, &str); 5] = [
    ("minute", "0-59", ""),
    ("hour", "0-23", ""),
    ("day of month", "1-31", ""),
    ("month", "1-12", " or JAN-DEC"),
    ("day of week", "0-7", " or SUN-SAT"),
];

const NICKNAMES: [&str; 5] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly"];

/// The time zone of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeZone {
    /// The machine's time zone, as in cron.
    Local,
    /// One of the IANA database.
    Named(chrono_tz::Tz),
}

/// Why a schedule or its time zone was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Another number of fields, an invalid one, or an unknown nickname.
    #[error("not a cron expression: {0}")]
    Invalid(String),
    /// For example 30 February.
    #[error("this cron expression never matches any time")]
    Never,
    /// Not in the IANA database.
    #[error("unknown time zone; expected local or an IANA name such as Europe/Berlin{}", .meant.map(|name| format!("; did you mean {name}?")).unwrap_or_default())]
    UnknownTimeZone {
        /// A similar name.
        meant: Option<&'static str>,
    },
}

impl TimeZone {
    /// Reads `local` or an IANA name.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        if text.eq_ignore_ascii_case("local") {
            return Ok(Self::Local);
        }
        text.parse().map(Self::Named).map_err(|_| ScheduleError::UnknownTimeZone {
            meant: closest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())),
        })
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Named(zone) => f.write_str(zone.name()),
        }
    }
}

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    expression: String,
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads a cron expression of five fields, or one of `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    ///
    /// # Errors
    /// Another number of fields (for example with seconds), a field out of range, or a date that does not exist.
    pub fn parse(expression: &str, zone: TimeZone) -> Result<Self, ScheduleError> {
        // As in crontab(5): a match of day of month or day of week is enough, unless one of the fields begins with *.
        let mut days = expression.split_whitespace().skip(2).step_by(2);
        let both = days.any(|field| field.starts_with('*'));
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed);
        let parser = parser.dom_and_dow(both).build();
        if let Some(problem) = problem(&parser, expression) {
            return Err(ScheduleError::Invalid(one_line(&problem)));
        }
        let invalid = |error: CronError| ScheduleError::Invalid(one_line(&error.to_string()));
        let cron = parser.parse(expression).map_err(invalid)?;
        // Any start time works, because every valid date recurs within 40 years.
        cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, true).map_err(|_| ScheduleError::Never)?;
        Ok(Self { expression: expression.trim().to_owned(), cron, zone })
    }

    /// The expression as written.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The meaning in words: `At 02:00.`
    pub fn in_words(&self) -> String {
        self.cron.describe()
    }

    /// Its time zone.
    pub fn zone(&self) -> TimeZone {
        self.zone
    }

    /// A time in this time zone: `2025-07-16 02:00 CEST`.
    pub fn local(&self, at: DateTime<Utc>) -> String {
        const FORMAT: &str = "%Y-%m-%d %H:%M %Z";
        match self.zone {
            TimeZone::Local => at.with_timezone(&Local).format(FORMAT).to_string(),
            TimeZone::Named(zone) => at.with_timezone(&zone).format(FORMAT).to_string(),
        }
    }

    /// The first start after a time. None if it is out of range.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.zone {
            TimeZone::Local => next_after(&self.cron, &after.with_timezone(&Local)).map(|next| next.to_utc()),
            TimeZone::Named(zone) => {
                next_after(&self.cron, &after.with_timezone(&zone)).map(|next| next.to_utc())
            }
        }
    }

    /// The longest time between two consecutive starts of which the first is within five years of `from`.
    pub fn longest_gap(&self, from: DateTime<Utc>) -> Duration {
        let gap = match self.zone {
            TimeZone::Local => longest_gap(&self.cron, from.with_timezone(&Local)),
            TimeZone::Named(zone) => longest_gap(&self.cron, from.with_timezone(&zone)),
        };
        gap.to_std().unwrap_or_default()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.expression, self.zone)
    }
}

/// The first field, or the nickname, that `parser` does not accept. Each field is tried alone, because the messages of the parser do
/// not name it.
fn problem(parser: &CronParser, expression: &str) -> Option<String> {
    let is_valid = |text: &str| parser.parse(text).is_ok();
    let fields: Vec<&str> = expression.split_whitespace().collect();
    if let [nickname] = fields[..]
        && nickname.starts_with('@')
    {
        let known = NICKNAMES.join(", ");
        return (!is_valid(nickname))
            .then(|| format!("{} is unknown (known: {known})", shortened(nickname, 40)));
    }
    if fields.len() != FIELDS.len() {
        let plural = if fields.len() == 1 { "" } else { "s" };
        let seconds = if fields.len() == 6 { "; seconds are not supported" } else { "" };
        return Some(format!("it has {} field{plural}, not 5{seconds}", fields.len()));
    }
    fields.iter().zip(FIELDS).enumerate().find_map(|(position, (field, (name, numbers, names)))| {
        let is_valid = |text: &str| {
            let mut alone = ["*"; FIELDS.len()];
            alone[position] = text;
            is_valid(&alone.join(" "))
        };
        // The parser accepts an empty item as a field without any number, and would search all years for its time.
        if field.split(',').any(str::is_empty) {
            return Some(format!("{name}: an item of the list \"{}\" is empty", shortened(field, 40)));
        }
        if is_valid(field) {
            return None;
        }
        let item = field.split(',').find(|item| !is_valid(item)).unwrap_or(field);
        let range = item.split('/').next().unwrap_or(item);
        let bad = range.split('-').find(|value| !value.is_empty() && !is_valid(value));
        Some(match bad.map(|value| (value, shortened(value, 40))) {
            Some((value, shown)) if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("{name}: {shown} is not in {numbers}")
            }
            Some((_, shown)) => format!("{name}: \"{shown}\" is not {numbers}{names}"),
            None if is_valid(range) => format!("{name}: the step of \"{}\" is invalid", shortened(item, 40)),
            None => format!("{name}: \"{}\" is not a range", shortened(item, 40)),
        })
    })
}

fn next_after<Z: chrono::TimeZone>(cron: &Cron, after: &DateTime<Z>) -> Option<DateTime<Z>> {
    cron.find_next_occurrence(after, false).ok()
}

fn longest_gap<Z: chrono::TimeZone>(cron: &Cron, from: DateTime<Z>) -> TimeDelta {
    const HORIZON: TimeDelta = TimeDelta::days(5 * 366);
    // After this number of starts, all intervals within a day are known; only those between days remain.
    const EVERY_START: usize = 20_000;
    let mut longest = TimeDelta::zero();
    let Some(mut at) = next_after(cron, &from) else { return longest };
    let mut starts = 0;
    while at.clone() - from.clone() <= HORIZON {
        starts += 1;
        if starts > EVERY_START {
            at = last_of_its_day(cron, &at).unwrap_or(at);
        }
        let Some(next) = next_after(cron, &at) else { break };
        longest = longest.max(next.clone() - at);
        at = next;
    }
    longest
}

/// The last start on the local day of `at`.
fn last_of_its_day<Z: chrono::TimeZone>(cron: &Cron, at: &DateTime<Z>) -> Option<DateTime<Z>> {
    let tomorrow = at.date_naive().checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN);
    let midnight = at.timezone().from_local_datetime(&tomorrow).earliest()?;
    cron.find_previous_occurrence(&midnight, false).ok().filter(|last| last >= at)
}

#[cfg(test)]
mod tests {
    use chrono::Timelike;
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;

    fn schedule(expression: &str, zone: &str) -> Schedule {
        Schedule::parse(expression, TimeZone::parse(zone).unwrap()).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn gap(expression: &str, zone: &str) -> u64 {
        schedule(expression, zone).longest_gap(at("2025-07-15T14:30:00Z")).as_secs()
    }

    #[test]
    fn a_daily_start_may_be_25_hours_after_the_last_where_clocks_change() {
        assert_eq!(gap("0 2 * * *", "UTC"), DAY);
        assert_eq!(gap("0 2 * * *", "Europe/Berlin"), 25 * HOUR);
        assert_eq!(gap("30 2 * * *", "Europe/Berlin"), 25 * HOUR);
        assert_eq!(gap("0 12 * * *", "America/New_York"), 25 * HOUR);
        assert_eq!(gap("0 2 * * *", "Australia/Lord_Howe"), DAY + HOUR / 2);
    }

    #[test]
    fn a_start_in_the_skipped_hour_comes_right_after_it() {
        let berlin = schedule("30 2 * * *", "Europe/Berlin");
        // On 30 March 2025 the clock went from 02:00 to 03:00, which was 01:00 UTC.
        assert_eq!(berlin.next_after(at("2025-03-29T12:00:00Z")), Some(at("2025-03-30T01:00:00Z")));
        assert_eq!(berlin.next_after(at("2025-03-30T01:00:00Z")), Some(at("2025-03-31T00:30:00Z")));
    }

    #[test]
    fn a_start_in_the_repeated_hour_comes_once_at_its_first_time() {
        let berlin = schedule("30 2 * * *", "Europe/Berlin");
        // On 26 October 2025 02:30 occurred at 00:30 and at 01:30 UTC.
        assert_eq!(berlin.next_after(at("2025-10-25T12:00:00Z")), Some(at("2025-10-26T00:30:00Z")));
        assert_eq!(berlin.next_after(at("2025-10-26T00:30:00Z")), Some(at("2025-10-27T01:30:00Z")));
    }

    #[test]
    fn an_empty_item_of_a_list_is_refused_instead_of_looked_for_through_all_the_years() {
        for (expression, field, list) in [
            ("0 , 1 * 0", "hour", ","),
            ("0 2, * * *", "hour", "2,"),
            ("0 ,2 * * *", "hour", ",2"),
            ("1,,2 * * * *", "minute", "1,,2"),
        ] {
            let error = Schedule::parse(expression, TimeZone::Local).unwrap_err();
            let says = format!("not a cron expression: {field}: an item of the list \"{list}\" is empty");
            assert_eq!(error.to_string(), says, "{expression}");
        }
    }

    /// Like cron(8) of Debian, which checks the first character of both fields.
    #[test]
    fn a_day_of_the_month_or_of_the_week_is_enough_unless_one_of_the_fields_begins_with_a_star() {
        let next = |expression: &str| schedule(expression, "UTC").next_after(at("2025-07-15T14:30:00Z"));
        assert_eq!(next("0 3 1,21 * 0"), Some(at("2025-07-20T03:00:00Z")), "a Sunday");
        assert_eq!(next("0 3 */10 * 0"), Some(at("2025-08-31T03:00:00Z")), "a Sunday, and the 31st");
        assert_eq!(next("0 3 1 * */2"), Some(at("2025-11-01T03:00:00Z")), "a Saturday, and the 1st");
    }

    #[test]
    fn rare_schedules_have_their_full_length() {
        assert_eq!(gap("0 0 * * 0", "UTC"), 7 * DAY);
        assert_eq!(gap("@weekly", "Europe/Berlin"), 7 * DAY + HOUR);
        assert_eq!(gap("0 0 1 * *", "UTC"), 31 * DAY);
        assert_eq!(gap("0 0 1 1 *", "UTC"), 366 * DAY);
        assert_eq!(gap("0 0 29 2 *", "UTC"), (4 * 365 + 1) * DAY);
        assert_eq!(gap("0 3 * * 1-5", "UTC"), 3 * DAY);
    }

    #[test]
    fn dense_schedules_do_not_hide_their_long_pauses() {
        assert_eq!(gap("*/15 * * * *", "UTC"), 15 * 60);
        assert_eq!(gap("* 8-17 * * 1-5", "UTC"), 2 * DAY + 14 * HOUR + 60);
        assert_eq!(gap("* * * 1 *", "UTC"), 334 * DAY + DAY + 60);
        assert_eq!(gap("0 */6 * * *", "Europe/Berlin"), 7 * HOUR);
    }

    #[test]
    fn next_after_is_strictly_later() {
        let daily = schedule("0 2 * * *", "UTC");
        assert_eq!(daily.next_after(at("2025-07-15T02:00:00Z")), Some(at("2025-07-16T02:00:00Z")));
        assert_eq!(daily.next_after(at("2025-07-15T01:59:59.9Z")), Some(at("2025-07-15T02:00:00Z")));
        let local = schedule("30 * * * *", "local");
        assert_eq!(local.next_after(at("2025-07-15T02:00:00Z")).unwrap().second(), 0);
        assert!(local.longest_gap(at("2025-07-15T02:00:00Z")).as_secs() >= HOUR);
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason() {
        let refused = |text: &str| Schedule::parse(text, TimeZone::Local).unwrap_err().to_string();
        for (expression, reason) in [
            ("0 0 2 * * *", "it has 6 fields, not 5; seconds are not supported"),
            ("0 2 *", "it has 3 fields, not 5"),
            ("", "it has 0 fields, not 5"),
            ("daily", "it has 1 field, not 5"),
            ("0 25 * * *", "hour: 25 is not in 0-23"),
            ("0 1,20-25/2 * * *", "hour: 25 is not in 0-23"),
            ("99999999999999999999 * * * *", "minute: 99999999999999999999 is not in 0-59"),
            ("0 2 0 * *", "day of month: 0 is not in 1-31"),
            ("0 2 * Fob *", "month: \"Fob\" is not 1-12 or JAN-DEC"),
            ("0 2 * * Foo", "day of week: \"Foo\" is not 0-7 or SUN-SAT"),
            ("0 2 * * 5#9", "day of week: \"5#9\" is not 0-7 or SUN-SAT"),
            ("*/0 * * * *", "minute: the step of \"*/0\" is invalid"),
            ("0 9-5 * * *", "hour: \"9-5\" is not a range"),
            ("0 -5 * * *", "hour: \"-5\" is not a range"),
            ("@nightly", "@nightly is unknown (known: @hourly, @daily, @weekly, @monthly, @yearly)"),
            ("@daily 5", "it has 2 fields, not 5"),
        ] {
            assert_eq!(refused(expression), format!("not a cron expression: {reason}"), "{expression}");
        }
        assert_eq!(refused("0 0 30 2 *"), "this cron expression never matches any time");
    }

    #[test]
    fn a_misspelled_time_zone_is_recognized() {
        assert_eq!(TimeZone::parse("LOCAL"), Ok(TimeZone::Local));
        assert_eq!(
            TimeZone::parse("Europe/Berln").unwrap_err().to_string(),
            "unknown time zone; expected local or an IANA name such as Europe/Berlin; did you mean Europe/Berlin?"
        );
        assert!(TimeZone::parse("").is_err());
    }

    proptest! {
        #[test]
        fn parsing_any_expression_never_panics(text in "[-0-9*/,LW#?+@a-z é]{0,20}", fields in "([0-9*/,L#+-]{1,4} ){4}[0-9*/,L#+?-]{1,4}") {
            for text in [text, fields] {
                if let Ok(schedule) = Schedule::parse(&text, TimeZone::Named(chrono_tz::Europe::Berlin)) {
                    prop_assert!(schedule.next_after(at("2025-07-15T14:30:00Z")).is_some());
                }
            }
        }
    }
}
