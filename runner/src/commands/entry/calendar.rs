//! A cron expression as calendar events of systemd.time(7).

use std::collections::BTreeSet;

use super::fields::CronFields;

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// The calendar events of `fields`, in `zone` or in the machine's time zone. Two if cron starts on a day of the month or on a day
/// of the week, because one calendar event would need both.
pub fn events(fields: &CronFields, zone: Option<&str>) -> Vec<String> {
    let every_day: BTreeSet<u8> = (1..=31).collect();
    let every_weekday: BTreeSet<u8> = (0..=6).collect();
    let event = |weekdays: &BTreeSet<u8>, days: &BTreeSet<u8>| {
        let weekdays =
            if *weekdays == every_weekday { String::new() } else { format!("{} ", names(weekdays)) };
        let (months, days) = (set(&fields.months.numbers, 12), set(days, 31));
        let (hours, minutes) = (set(&fields.hours.numbers, 24), set(&fields.minutes.numbers, 60));
        let zone = zone.map(|zone| format!(" {zone}")).unwrap_or_default();
        format!("{weekdays}*-{months}-{days} {hours}:{minutes}:00{zone}")
    };
    if fields.days.star || fields.weekdays.star {
        vec![event(&fields.weekdays.numbers, &fields.days.numbers)]
    } else {
        vec![event(&every_weekday, &fields.days.numbers), event(&fields.weekdays.numbers, &every_day)]
    }
}

/// `*` for all values, otherwise such as `00,15,30..35`.
fn set(numbers: &BTreeSet<u8>, all: usize) -> String {
    if numbers.len() == all {
        return "*".to_owned();
    }
    let mut parts: Vec<(u8, u8)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            Some(_) | None => parts.push((*number, *number)),
        }
    }
    let texts = parts.iter().map(|(first, last)| match last - first {
        0 => format!("{first:02}"),
        _ => format!("{first:02}..{last:02}"),
    });
    texts.collect::<Vec<_>>().join(",")
}

fn names(weekdays: &BTreeSet<u8>) -> String {
    let named = weekdays.iter().filter_map(|day| WEEKDAYS.get(usize::from(*day)).copied());
    named.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expression: &str) -> Vec<String> {
        events(&CronFields::parse(expression).unwrap(), None)
    }

    #[test]
    fn expressions_become_calendar_events() {
        assert_eq!(of("0 2 * * *"), ["*-*-* 02:00:00"]);
        assert_eq!(of("*/20 8-17 * * 1-5"), ["Mon,Tue,Wed,Thu,Fri *-*-* 08..17:00,20,40:00"]);
        assert_eq!(of("@monthly"), ["*-*-01 00:00:00"]);
        assert_eq!(of("30 4 1,15 6-8 *"), ["*-06..08-01,15 04:30:00"]);
        assert_eq!(of("* * * * *"), ["*-*-* *:*:00"]);
    }

    #[test]
    fn a_day_of_the_month_or_a_day_of_the_week_are_two_events() {
        assert_eq!(of("0 3 1 * 0"), ["*-*-01 03:00:00", "Sun *-*-* 03:00:00"]);
        // As in crontab(5), a field that begins with * needs no second event.
        assert_eq!(of("0 3 */10 * 0"), ["Sun *-*-01,11,21,31 03:00:00"]);
    }

    #[test]
    fn a_zone_is_part_of_the_event() {
        let fields = CronFields::parse("0 2 * * *").unwrap();
        assert_eq!(events(&fields, Some("Europe/Berlin")), ["*-*-* 02:00:00 Europe/Berlin"]);
    }
}

/// Compares with the real systemd.
#[cfg(test)]
#[cfg(feature = "outside")]
mod by_systemd {
    use std::process::Command;

    use chrono::{DateTime, Utc};

    use super::*;
    use crate::settings::{Schedule, TimeZone};

    /// The starts of an event, computed by systemd.
    fn elapses(event: &str, base: &str) -> Vec<DateTime<Utc>> {
        let output = Command::new("systemd-analyze")
            .args(["calendar", "--iterations=8", &format!("--base-time={base}"), event])
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .output()
            .expect("systemd-analyze, of the Debian package systemd, is there");
        assert!(output.status.success(), "{event}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let after = |line: &str| {
            let line = line.trim();
            let is_start = ["Next elapse:", "Iter. #", "Iteration #", "(in UTC):"]
                .iter()
                .any(|head| line.starts_with(head));
            let (_, time) = line.split_once(": ").filter(|_| is_start)?;
            let time = time.trim().strip_suffix(" UTC")?;
            chrono::NaiveDateTime::parse_from_str(time, "%a %Y-%m-%d %H:%M:%S")
                .ok()
                .map(|time| time.and_utc())
        };
        let mut times: Vec<DateTime<Utc>> = text.lines().filter_map(after).collect();
        times.dedup();
        assert!(times.len() >= 8, "{text}");
        times
    }

    #[test]
    fn systemd_starts_when_the_schedule_expects_it() {
        let base = "2025-07-15 14:30:00 UTC";
        for (expression, zone) in [
            ("0 2 * * *", "UTC"),
            ("0 2 * * *", "Europe/Berlin"),
            ("*/15 8-17 * * 1-5", "UTC"),
            ("30 4 1,15 * *", "America/New_York"),
            ("0 3 1 * 0", "UTC"),
            ("5 */6 * 1-3,12 *", "UTC"),
            ("@weekly", "Asia/Tokyo"),
            ("0 0 29 2 *", "UTC"),
            ("17 3 * * sat,sun", "UTC"),
        ] {
            let schedule = Schedule::parse(expression, TimeZone::parse(zone).unwrap()).unwrap();
            let fields = CronFields::parse(expression).unwrap();
            let starts: BTreeSet<DateTime<Utc>> =
                events(&fields, Some(zone)).iter().flat_map(|event| elapses(event, base)).collect();
            let mut expected = base.replace(" UTC", "Z").replace(' ', "T").parse().unwrap();
            for start in starts.into_iter().take(8) {
                expected = schedule.next_after(expected).unwrap();
                assert_eq!(start, expected, "{expression} {zone}");
            }
        }
    }
}
