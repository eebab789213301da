//! Point ids, in the order of every server: numbers first, then UUIDs.

use std::fmt;
use std::str::FromStr;

use qdrant_backup_shared::text::shortened;
use serde_json::{Value, json};
use uuid::Uuid;

/// A point id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointId {
    /// An unsigned integer.
    Number(u64),
    /// A UUID, ordered by bytes, which is also the order of the text.
    Uuid(Uuid),
}

/// An invalid point id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a point id (a number or a UUID)")]
pub struct NoPointId(String);

impl PointId {
    /// From a server's JSON.
    ///
    /// # Errors
    /// When it is neither a number nor a UUID.
    pub fn of(value: &Value) -> Result<Self, NoPointId> {
        let id = match value {
            Value::Number(number) => number.as_u64().map(Self::Number),
            Value::String(text) => Uuid::parse_str(text).ok().map(Self::Uuid),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        id.ok_or_else(|| NoPointId(shortened(&value.to_string(), 60)))
    }

    /// As JSON for a server.
    pub fn value(&self) -> Value {
        match self {
            Self::Number(number) => json!(number),
            Self::Uuid(uuid) => json!(uuid.hyphenated().to_string()),
        }
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Uuid(uuid) => uuid.hyphenated().fmt(formatter),
        }
    }
}

impl FromStr for PointId {
    type Err = NoPointId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let number = text.parse().map(Self::Number).ok();
        let id = number.or_else(|| Uuid::parse_str(text).ok().map(Self::Uuid));
        id.ok_or_else(|| NoPointId(shortened(text, 60)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_before_uuids_and_uuids_go_by_their_text() {
        let texts =
            ["10", "ffffffff-0000-4000-8000-000000000000", "9", "0a0a0a0a-0000-4000-8000-000000000000"];
        let mut ids: Vec<PointId> = texts.iter().map(|text| text.parse().unwrap()).collect();
        ids.sort_unstable();
        let shown: Vec<String> = ids.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["9", "10", texts[3], texts[1]]);
        for id in ids {
            assert_eq!(PointId::of(&id.value()), Ok(id));
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "-1", "1.5", "abc", "18446744073709551616"] {
            assert!(text.parse::<PointId>().is_err(), "{text}");
        }
        assert_eq!("18446744073709551615".parse(), Ok(PointId::Number(u64::MAX)));
        let upper: PointId = "0A0A0A0A00004000800000000000000F".parse().unwrap();
        assert_eq!(upper.to_string(), "0a0a0a0a-0000-4000-8000-00000000000f");
        assert!(PointId::of(&json!(1.5)).is_err() && PointId::of(&json!(null)).is_err());
    }
}
