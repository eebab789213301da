//! `retention.overrides`: a list of mappings, each with a glob and the rules for matching collections.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use serde_json::json;

use super::super::kinds::{self, Kind, Located, Reading, Written};
use super::super::policy::Policy;
use super::super::suggest::closest;
use super::super::tree::{Entry, Node, Value};
use crate::text::shortened;

/// The rules for collections that match a glob. They replace the general rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionOverride {
    /// The glob, with its line.
    pub glob: Located<String>,
    /// Rules for the collections that match.
    pub policy: Policy,
}

const MATCH: &str = "match";

/// As `logs-*: keep_days 3, keep_last 2`.
impl fmt::Display for RetentionOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<String> = self.policy.rules().map(|(name, number)| format!("{name} {number}")).collect();
        write!(f, "{}: {}", self.glob.value, set.join(", "))
    }
}

/// A list of mappings.
pub(super) const LIST: Kind<Vec<RetentionOverride>> = Kind {
    read: overrides,
    show: |overrides| overrides.iter().map(|rules| json!(rules.to_string())).collect(),
};

/// A list of overrides. None if one of them is invalid.
fn overrides(written: Written<'_>, reading: &mut Reading<'_>) -> Option<Vec<RetentionOverride>> {
    let expected = "expected a list such as [{match: \"logs-*\", keep_days: 3}]";
    let items = kinds::list(written, reading, expected)?;
    let before = reading.problems.len();
    let overrides = items.iter().filter_map(|item| one(item, reading)).collect();
    (reading.problems.len() == before).then_some(overrides)
}

fn one(item: &Node, reading: &mut Reading<'_>) -> Option<RetentionOverride> {
    let Value::Mapping(entries) = &item.value else {
        if !matches!(item.value, Value::Refused) {
            reading.refuse_at(item.line, "expected a mapping such as {match: \"logs-*\", keep_days: 3}");
        }
        return None;
    };
    let mut read = RetentionOverride::default();
    let mut glob = None;
    let mut first_lines = BTreeMap::new();
    for entry in entries {
        let mut of_key = reading.within(&entry.key, entry.line);
        let written = Written::Yaml(&entry.value);
        if let Some(first) = first_lines.insert(entry.key.as_str(), entry.line) {
            of_key.refuse(format!("duplicate key; it is already on line {first}"));
        } else if entry.key == MATCH {
            glob = Some(kinds::text(written, &mut of_key));
            read.glob.line = entry.line;
        } else if let Some(number) = read.policy.number_mut(&entry.key) {
            *number = kinds::positive(written, &mut of_key).and_then(NonZeroU32::new);
        } else {
            reading.refuse_at(entry.line, unknown(entry));
        }
        reading.problems.append(&mut of_key.problems);
    }
    if glob.is_none() {
        reading.refuse_at(item.line, "missing `match`: the glob of the collections that this is for");
    }
    if !entries.iter().any(|entry| read.policy.number_mut(&entry.key).is_some()) {
        reading.refuse_at(item.line, "missing rule: set what to keep, as in `keep_days: 3`");
    }
    read.glob.value = glob??;
    Some(read)
}

fn unknown(entry: &Entry) -> String {
    let known = || [MATCH].into_iter().chain(Policy::names());
    let key = shortened(&entry.key, 80);
    match closest(&entry.key, known()) {
        Some(meant) => format!("unknown key {key}; did you mean {meant}?"),
        None => format!("unknown key {key}; known here: {}", known().collect::<Vec<_>>().join(", ")),
    }
}
