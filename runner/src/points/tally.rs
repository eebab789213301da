//! Summary of all differences: numbers of each kind, with the first few ids. Pure, with constant size.

use std::collections::BTreeMap;

use qdrant_backup_shared::text::shortened;
use serde_json::{Value, json};

use super::difference::Difference;
use super::id::PointId;

/// Maximum number of shown ids per kind.
const SHOWN: usize = 5;
/// Maximum number of payload keys that are counted separately.
const KEYS: usize = 100;

/// The kind of difference, seen from the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Only the backup has it.
    Missing,
    /// Only the other side has it.
    New,
    /// Both have it, and it differs.
    Changed,
}

impl Kind {
    /// Its name in files and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::New => "new",
            Self::Changed => "changed",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Missing, Self::New, Self::Changed];
}

/// Points of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Number of points.
    pub count: u64,
    /// The first of them.
    pub first: Vec<PointId>,
}

impl Found {
    /// One more.
    pub fn add(&mut self, id: PointId) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(id);
        }
    }

    /// For example ` (1, 2, 3, …)`. Empty if there are none.
    pub fn shown(&self) -> String {
        if self.first.is_empty() {
            return String::new();
        }
        let ids: Vec<String> = self.first.iter().map(ToString::to_string).collect();
        let more = if self.count > ids.len() as u64 { ", …" } else { "" };
        format!(" ({}{more})", ids.join(", "))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({ "count": self.count, "first": self.first.iter().map(PointId::value).collect::<Vec<_>>() })
    }
}

/// The summary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Only in the backup.
    pub missing: Found,
    /// Only on the other side.
    pub new: Found,
    /// Different.
    pub changed: Found,
    /// The number of equal points.
    pub equal: u64,
    /// Number of points that differ, by payload key.
    pub payload_keys: BTreeMap<String, u64>,
    /// Number that differ in other payload keys.
    pub other_keys: u64,
    /// Number of points that differ, by vector. The unnamed vector has an empty name.
    pub vectors: BTreeMap<String, u64>,
    /// Number under another shard key.
    pub shard_keys: u64,
}

impl Tally {
    /// The points of this kind.
    pub fn of(&self, kind: Kind) -> &Found {
        match kind {
            Kind::Missing => &self.missing,
            Kind::New => &self.new,
            Kind::Changed => &self.changed,
        }
    }

    /// Adds a point that differs.
    pub fn add_changed(&mut self, id: PointId, difference: &Difference) {
        self.changed.add(id);
        self.shard_keys += u64::from(difference.shard_key);
        for key in &difference.payload {
            if self.payload_keys.len() < KEYS || self.payload_keys.contains_key(key) {
                *self.payload_keys.entry(key.clone()).or_default() += 1;
            } else {
                self.other_keys += 1;
            }
        }
        for name in &difference.vectors {
            *self.vectors.entry(name.clone()).or_default() += 1;
        }
    }

    /// Total number of ids.
    pub fn points_seen(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.of(*kind).count).sum::<u64>() + self.equal
    }

    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.of(*kind).count == 0)
    }

    /// The differences of changed points, such as `payload: text (100), tags (3); vectors: the unnamed one (50)`.
    pub fn changes(&self) -> String {
        let list = |entries: Vec<(String, u64)>| {
            let shown: Vec<String> =
                entries.iter().take(SHOWN).map(|(name, count)| format!("{name} ({count})")).collect();
            let more = entries.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", shown.join(", "))
        };
        let entries = |of: &BTreeMap<String, u64>, unnamed: &str| {
            let name = |name: &String| if name.is_empty() { unnamed.to_owned() } else { shortened(name, 60) };
            let mut all: Vec<(String, u64)> = of.iter().map(|(key, count)| (name(key), *count)).collect();
            all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            all
        };
        let mut parts = Vec::new();
        if !self.payload_keys.is_empty() {
            parts.push(format!("payload: {}", list(entries(&self.payload_keys, "\"\""))));
        }
        if !self.vectors.is_empty() {
            parts.push(format!("vectors: {}", list(entries(&self.vectors, "the unnamed one"))));
        }
        if self.shard_keys > 0 {
            parts.push(format!("another shard key ({})", self.shard_keys));
        }
        parts.join("; ")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "missing": self.missing.json(), "new": self.new.json(), "changed": self.changed.json(), "equal": self.equal,
            "changed_payload_keys": self.payload_keys, "changed_vectors": self.vectors,
            "changed_shard_keys": self.shard_keys,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_are_shown_and_all_are_counted() {
        let mut tally = Tally::default();
        assert!(tally.is_equal());
        assert_eq!(tally.missing.shown(), "");
        for id in 0..7 {
            tally.missing.add(PointId::Number(id));
        }
        assert_eq!(tally.missing.shown(), " (0, 1, 2, 3, 4, …)");
        assert_eq!(tally.missing.count, 7);
        let difference = Difference {
            payload: vec!["b".to_owned(), "a".to_owned()],
            vectors: vec![String::new()],
            shard_key: false,
        };
        tally.add_changed(PointId::Number(9), &difference);
        tally.add_changed(
            PointId::Number(10),
            &Difference { payload: vec!["b".to_owned()], ..Difference::default() },
        );
        assert_eq!(tally.changes(), "payload: b (2), a (1); vectors: the unnamed one (1)");
        assert!(!tally.is_equal());
    }

    #[test]
    fn a_thousand_keys_take_no_more_room_than_a_hundred() {
        let mut tally = Tally::default();
        for key in 0..1000 {
            let difference = Difference { payload: vec![format!("key-{key}")], ..Difference::default() };
            tally.add_changed(PointId::Number(1), &difference);
        }
        assert_eq!((tally.payload_keys.len(), tally.other_keys), (KEYS, 900));
    }
}
