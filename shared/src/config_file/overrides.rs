//! `retention.overrides`: a list of mappings, each with a glob and the rules for the collections that it matches.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::suggest::closest;
use super::tree::{Entry, Node, Value};
use super::values::{self, Located, Reading};

/// The rules for the collections that a glob matches, in place of the general ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionOverride {
    /// The glob, with its line.
    pub glob: Located<String>,
    /// Keep what is at most this many days older than the newest good backup.
    pub keep_days: Option<NonZeroU32>,
    /// Keep this many of the newest.
    pub keep_last: Option<NonZeroU32>,
    /// Keep the last of each of this many hours.
    pub keep_hourly: Option<NonZeroU32>,
    /// Keep the last of each of this many days (UTC).
    pub keep_daily: Option<NonZeroU32>,
    /// Keep the last of each of this many ISO weeks.
    pub keep_weekly: Option<NonZeroU32>,
    /// Keep the last of each of this many months.
    pub keep_monthly: Option<NonZeroU32>,
    /// Keep the last of each of this many years.
    pub keep_yearly: Option<NonZeroU32>,
}

const MATCH: &str = "match";

impl RetentionOverride {
    /// Each rule with the key that sets it.
    pub fn rules(&self) -> [(&'static str, Option<NonZeroU32>); 7] {
        [
            ("keep_days", self.keep_days),
            ("keep_last", self.keep_last),
            ("keep_hourly", self.keep_hourly),
            ("keep_daily", self.keep_daily),
            ("keep_weekly", self.keep_weekly),
            ("keep_monthly", self.keep_monthly),
            ("keep_yearly", self.keep_yearly),
        ]
    }

    fn rule(&mut self, key: &str) -> Option<&mut Option<NonZeroU32>> {
        match key {
            "keep_days" => Some(&mut self.keep_days),
            "keep_last" => Some(&mut self.keep_last),
            "keep_hourly" => Some(&mut self.keep_hourly),
            "keep_daily" => Some(&mut self.keep_daily),
            "keep_weekly" => Some(&mut self.keep_weekly),
            "keep_monthly" => Some(&mut self.keep_monthly),
            "keep_yearly" => Some(&mut self.keep_yearly),
            _ => None,
        }
    }
}

/// A list of overrides; none at all where one of them is wrong.
pub(super) fn overrides(node: &Node, reading: &mut Reading<'_>) -> Option<Vec<RetentionOverride>> {
    let Value::Sequence(items) = &node.value else {
        if !matches!(node.value, Value::Refused) {
            reading.refuse("expected a list such as [{match: \"logs-*\", keep_days: 3}]");
        }
        return None;
    };
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
        let mut of_key = Reading {
            file: reading.file,
            key: format!("{}.{}", reading.key, entry.key),
            line: entry.line,
            problems: reading.problems,
        };
        if let Some(first) = first_lines.insert(entry.key.as_str(), entry.line) {
            of_key.refuse(format!("key repeated; it is already on line {first}"));
        } else if entry.key == MATCH {
            glob = Some(values::text(&entry.value, &mut of_key));
            read.glob.line = entry.line;
        } else if let Some(rule) = read.rule(&entry.key) {
            *rule = values::positive(&entry.value, &mut of_key);
        } else {
            reading.refuse_at(entry.line, unknown(entry));
        }
    }
    if glob.is_none() {
        reading.refuse_at(item.line, "no `match`: which collections is this for?");
    }
    let names_rule = entries.iter().any(|entry| read.rule(&entry.key).is_some());
    if !names_rule {
        reading.refuse_at(item.line, "no rule: say what to keep, as in `keep_days: 3`");
    }
    read.glob.value = glob??;
    Some(read)
}

fn unknown(entry: &Entry) -> String {
    let mut known = vec![MATCH];
    known.extend(RetentionOverride::default().rules().map(|(key, _)| key));
    let key = crate::text::shortened(&entry.key, 80);
    match closest(&entry.key, known.iter().copied()) {
        Some(meant) => format!("unknown key {key}; did you mean {meant}?"),
        None => format!("unknown key {key}; known here: {}", known.join(", ")),
    }
}
