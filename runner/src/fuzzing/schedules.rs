//! Cron expressions: their next start, and their translations for cron and systemd.

use chrono::{DateTime, Datelike, Timelike, Utc};
use qdrant_backup_shared::fuzzing::{assert_line, halves, text};

use crate::commands::entry::{CronFields, calendar};
use crate::settings::{Schedule, TimeZone};

/// A cron expression and, after a zero byte, its time zone.
pub fn cron(data: &[u8]) {
    let (expression, zone) = halves(data);
    let (expression, zone) = (text(expression), text(zone));
    let zone = match TimeZone::parse(&zone) {
        Ok(zone) => zone,
        Err(error) => {
            assert_line(&error.to_string());
            TimeZone::Named(chrono_tz::UTC)
        }
    };
    let fields = CronFields::parse(&expression).ok();
    if let Some(fields) = &fields {
        for event in calendar::events(fields, None) {
            assert_line(&event);
        }
    }
    let schedule = match Schedule::parse(&expression, zone) {
        Ok(schedule) => schedule,
        Err(error) => return assert_line(&error.to_string()),
    };
    schedule.in_words();
    schedule.local(DateTime::UNIX_EPOCH);
    let mut at = DateTime::UNIX_EPOCH;
    for _ in 0..4 {
        let Some(next) = schedule.next_after(at) else { break };
        assert!(next > at, "{schedule}: {next} comes after {at}");
        at = next;
        if let (Some(fields), TimeZone::Named(chrono_tz::UTC)) = (&fields, zone) {
            assert!(starts(fields, at), "{schedule}: cron does not start at {at}");
        }
    }
    // It goes through years of starts, which is too slow for every input.
    if data.len().is_multiple_of(16) {
        assert!(!schedule.longest_gap(DateTime::UNIX_EPOCH).is_zero(), "{schedule}");
    }
}

/// Whether cron starts then.
fn starts(fields: &CronFields, at: DateTime<Utc>) -> bool {
    let has = |numbers: &std::collections::BTreeSet<u8>, number: u32| {
        numbers.iter().any(|other| u32::from(*other) == number)
    };
    let day = has(&fields.days.numbers, at.day());
    let weekday = has(&fields.weekdays.numbers, at.weekday().num_days_from_sunday());
    let either = !fields.days.star && !fields.weekdays.star;
    has(&fields.minutes.numbers, at.minute())
        && has(&fields.hours.numbers, at.hour())
        && has(&fields.months.numbers, at.month())
        && if either { day || weekday } else { day && weekday }
}
