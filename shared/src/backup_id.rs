//! Backup ids: the UTC second in which a backup started.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SubsecRound, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const FORMAT: &str = "%Y-%m-%d-%H-%M-%S";

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
    /// The id of a backup that started at `time`.
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(0))
    }

    /// The second that the id names.
    pub fn time(&self) -> DateTime<Utc> {
        self.0
    }

    /// The id one second later, for when this one is taken.
    #[must_use]
    pub fn next(&self) -> Self {
        Self(self.0 + TimeDelta::seconds(1))
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

    proptest! {
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
