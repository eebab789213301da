//! A cron expression as Debian's cron reads it: five fields, each a set of numbers.
//!
//! The parser for the expected schedule supports more (`L`, `#`, `W`). Unsupported syntax must not get into cron's file, because
//! cron would then ignore the whole file.

use std::collections::BTreeSet;

/// Why an expression cannot be used for cron or a timer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cron does not understand \"{text}\" in the schedule \"{expression}\"; it accepts numbers, names, *, ranges (1-5), steps (*/2) and lists"
)]
pub struct FieldError {
    expression: String,
    text: String,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The numbers that match.
    pub numbers: BTreeSet<u8>,
    /// Whether it begins with `*`. If neither day of month nor day of week does, a match of either one is enough.
    pub star: bool,
}

/// The five fields of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronFields {
    /// 0 to 59.
    pub minutes: Field,
    /// 0 to 23.
    pub hours: Field,
    /// 1 to 31.
    pub days: Field,
    /// 1 to 12.
    pub months: Field,
    /// 0 (Sunday) to 6.
    pub weekdays: Field,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl CronFields {
    /// Reads an expression of five fields or a nickname such as `@daily`, as crontab(5) describes them.
    ///
    /// # Errors
    /// With the part that cron does not understand.
    pub fn parse(expression: &str) -> Result<Self, FieldError> {
        let refuse = |text: &str| FieldError { expression: expression.to_owned(), text: text.to_owned() };
        let spelt_out = match expression.trim().to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *".to_owned(),
            "@daily" | "@midnight" => "0 0 * * *".to_owned(),
            "@weekly" => "0 0 * * 0".to_owned(),
            "@monthly" => "0 0 1 * *".to_owned(),
            "@yearly" | "@annually" => "0 0 1 1 *".to_owned(),
            other => other.to_owned(),
        };
        let words: Vec<&str> = spelt_out.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = words[..] else { return Err(refuse(expression)) };
        let field = |text: &str, least, most, names: &[&str]| {
            Field::parse(text, least, most, names).ok_or_else(|| refuse(text))
        };
        let mut weekdays = field(weekdays, 0, 7, &WEEKDAYS)?;
        if weekdays.numbers.remove(&7) {
            weekdays.numbers.insert(0);
        }
        Ok(Self {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays,
        })
    }
}

impl Field {
    fn parse(text: &str, least: u8, most: u8, names: &[&str]) -> Option<Self> {
        let mut numbers = BTreeSet::new();
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, step.parse::<u8>().ok().filter(|step| *step > 0)?),
                None => (item, 1),
            };
            let number = |text: &str| {
                let named = names.iter().position(|name| *name == text);
                let number = match named {
                    Some(position) => u8::try_from(position).ok()? + least,
                    None => text.parse().ok()?,
                };
                (least..=most).contains(&number).then_some(number)
            };
            let (first, last) = match range.split_once('-') {
                _ if range == "*" => (least, most),
                Some((first, last)) => (number(first)?, number(last)?),
                // A step needs a range.
                None if item.contains('/') => return None,
                None => (number(range)?, number(range)?),
            };
            if first > last {
                return None;
            }
            numbers.extend((first..=last).step_by(usize::from(step)));
        }
        Some(Self { numbers, star: text.starts_with('*') })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(field: &Field) -> Vec<u8> {
        field.numbers.iter().copied().collect()
    }

    #[test]
    fn ranges_steps_lists_and_names_are_sets_of_numbers() {
        let fields = CronFields::parse("*/20 8-17/3 1,15 JAN-mar 5-7").unwrap();
        assert_eq!(numbers(&fields.minutes), [0, 20, 40]);
        assert_eq!(numbers(&fields.hours), [8, 11, 14, 17]);
        assert_eq!(numbers(&fields.days), [1, 15]);
        assert_eq!(numbers(&fields.months), [1, 2, 3]);
        assert_eq!(numbers(&fields.weekdays), [0, 5, 6]);
        assert!(fields.minutes.star && !fields.hours.star);
        assert_eq!(CronFields::parse("@Weekly"), CronFields::parse("0 0 * * sun"));
    }

    #[test]
    fn what_cron_does_not_know_is_named() {
        for (expression, text) in [
            ("0 2 L * *", "l"),
            ("0 2 * * 5#2", "5#2"),
            ("0 2 15w * *", "15w"),
            ("5/10 2 * * *", "5/10"),
            ("0 22-4 * * *", "22-4"),
            ("0 2 * * ?", "?"),
            ("0 24 * * *", "24"),
            ("0 2 * *", "0 2 * *"),
            ("*/0 2 * * *", "*/0"),
        ] {
            let error = CronFields::parse(expression).unwrap_err().to_string();
            assert!(error.starts_with(&format!("cron does not understand \"{text}\"")), "{error}");
        }
    }
}
