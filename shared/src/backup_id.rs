//! Backup ids: the UTC second in which a backup started.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const FORMAT: &str = "%Y-%m-%d-%H-%M-%S";

/// The first and the last second that an id can name: of the years 1 and 9999.
const FIRST_SECOND: i64 = -62_135_596_800;
const LAST_SECOND: i64 = 253_402_300_799;

/// Length of every id as text, in bytes.
pub const BACKUP_ID_BYTES: usize = 19;

/// Identifies a backup within its collection, such as `2025-07-15-14-30-00`: the UTC second in which it started (or a later one,
/// if that was taken).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(DateTime<Utc>);

/// A text is not a backup id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a backup id such as 2025-07-15-14-30-00: {text:?}")]
pub struct InvalidBackupId {
    text: String,
}

impl BackupId {
    /// The id of a backup that started at `time`. A leap second is the second before it. None if the year is not one of 1 to 9999:
    /// such an id could not be read again.
    pub fn of(time: DateTime<Utc>) -> Option<Self> {
        let second = DateTime::from_timestamp(time.timestamp(), 0)?;
        (1..=9999).contains(&second.year()).then_some(Self(second))
    }

    /// The id of [`BackupId::of`], or the first or last one if that has none.
    pub fn at(time: DateTime<Utc>) -> Self {
        let nearest = if time < DateTime::UNIX_EPOCH { FIRST_SECOND } else { LAST_SECOND };
        Self::of(time).unwrap_or(Self(DateTime::from_timestamp(nearest, 0).unwrap_or(DateTime::UNIX_EPOCH)))
    }

    /// The second that the id names.
    pub fn time(&self) -> DateTime<Utc> {
        self.0
    }

    /// The id one second later, for when this one is taken. None after the last second of the year 9999.
    #[must_use]
    pub fn next(&self) -> Option<Self> {
        Self::of(self.0 + TimeDelta::seconds(1))
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0.format(FORMAT).to_string())
    }
}

impl fmt::Debug for BackupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BackupId({self})")
    }
}

impl FromStr for BackupId {
    type Err = InvalidBackupId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Parsed by hand for two reasons: a scan of a large directory reads one id per file, and only this exact format is valid.
        // chrono also accepts missing zeros, signs and a 60th second.
        parse(text).ok_or_else(|| InvalidBackupId { text: crate::text::shortened(text, 40) })
    }
}

fn parse(text: &str) -> Option<BackupId> {
    let bytes: &[u8; BACKUP_ID_BYTES] = text.as_bytes().try_into().ok()?;
    let number = |range: std::ops::Range<usize>| {
        bytes[range].iter().try_fold(0_u32, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
        })
    };
    if [4, 7, 10, 13, 16].iter().any(|at| bytes[*at] != b'-') {
        return None;
    }
    let year = i32::try_from(number(0..4)?).ok()?;
    NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?)?
        .and_hms_opt(number(11..13)?, number(14..16)?, number(17..19)?)
        .map(|time| BackupId(time.and_utc()))
}

impl Serialize for BackupId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BackupId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for BackupId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BackupId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^[0-9]{4}(-[0-9]{2}){5}$" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_one_spelling_is_read() {
        for text in [
            "2025-7-15-14-30-00",
            "2025-07-15-14-30-60",
            "2025-02-30-00-00-00",
            "2025-07-15T14:30:00",
            "",
            "+025-07-15-14-30-00",
        ] {
            assert!(text.parse::<BackupId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_leap_second_is_the_second_before_it_and_the_years_end() {
        let at = |text: &str| BackupId::of(text.parse().unwrap()).map(|id| id.to_string());
        assert_eq!(at("2016-12-31T23:59:60Z").as_deref(), Some("2016-12-31-23-59-59"));
        assert_eq!(at("+10000-01-01T00:00:00Z"), None);
        assert_eq!(at("0000-12-31T23:59:59Z"), None);
        assert_eq!(
            BackupId::at("+10000-01-01T00:00:00Z".parse().unwrap()).to_string(),
            "9999-12-31-23-59-59"
        );
        assert_eq!(BackupId::at("-0001-01-01T00:00:00Z".parse().unwrap()).to_string(), "0001-01-01-00-00-00");
        assert_eq!("9999-12-31-23-59-59".parse::<BackupId>().unwrap().next(), None);
    }

    proptest! {
        #[test]
        fn every_id_that_is_made_is_read_again(seconds in any::<i64>(), near in -2_i64..2, nanos in 0_u32..2_000_000_000) {
            for seconds in [seconds, seconds >> 25, FIRST_SECOND + near, LAST_SECOND + near] {
                // Only chrono's own range, and leap seconds only where it accepts them.
                let Some(time) = DateTime::from_timestamp(seconds, nanos) else { continue };
                let id = BackupId::at(time);
                for id in [Some(id), BackupId::of(time), id.next(), id.next().and_then(|id| id.next())].into_iter().flatten() {
                    prop_assert_eq!(id.to_string().parse::<BackupId>(), Ok(id));
                }
            }
        }

        #[test]
        fn ids_parse_and_print_both_ways(seconds in 0_i64..253_402_300_799) {
            let id = BackupId::at(DateTime::from_timestamp(seconds, 987_654_321).unwrap());
            let text = id.to_string();
            prop_assert_eq!(text.len(), BACKUP_ID_BYTES);
            prop_assert_eq!(text.parse::<BackupId>().unwrap(), id);
            prop_assert_eq!(id.time().timestamp(), seconds);
        }

        #[test]
        fn ids_sort_as_their_texts_do(a in 0_i64..253_402_300_799, b in 0_i64..253_402_300_799) {
            let (a, b) = (DateTime::from_timestamp(a, 0).unwrap(), DateTime::from_timestamp(b, 0).unwrap());
            let (a, b) = (BackupId::at(a), BackupId::at(b));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
