//! Reading one mapping of the file, key by key: repeated and unknown keys are reported, values are typed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::config_file::tree::{Entry, Node, Value};
use qdrant_backup_shared::config_file::{Problem, closest};

/// Collects everything that is wrong with the file.
pub(super) struct Findings {
    file: String,
    pub(super) problems: Vec<Problem>,
}

impl Findings {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.display().to_string(), problems: Vec::new() }
    }

    pub(super) fn report(&mut self, line: Option<usize>, key: Option<&str>, message: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.clone(),
            line,
            key: key.map(str::to_owned),
            message: message.into(),
        });
    }
}

/// One mapping and where its problems go.
pub(super) struct Section<'n, 'f> {
    /// Dotted name, empty for the whole file.
    name: String,
    /// Where it begins.
    pub(super) line: usize,
    entries: BTreeMap<&'n str, &'n Entry>,
    findings: &'f mut Findings,
}

impl<'n, 'f> Section<'n, 'f> {
    /// The mapping `node`, called `name`. Nothing at all is an empty mapping, so that a section may have all its
    /// keys commented out. With `known`, other keys are reported.
    pub(super) fn new(
        node: Option<&'n Node>,
        name: &str,
        line: usize,
        known: Option<&[&str]>,
        findings: &'f mut Findings,
    ) -> Self {
        let mut section = Self { name: name.to_owned(), line, entries: BTreeMap::new(), findings };
        let entries = match node.map(|node| &node.value) {
            None | Some(Value::Refused) => return section,
            Some(Value::Scalar { text, plain: true }) if is_null(text) => return section,
            Some(Value::Mapping(entries)) => entries,
            Some(Value::Scalar { .. } | Value::Sequence(_)) => {
                let name = (!name.is_empty()).then_some(name);
                section.findings.report(Some(line), name, "expected a mapping of keys to values");
                return section;
            }
        };
        for entry in entries {
            if let Some(first) = section.entries.get(entry.key.as_str()) {
                let message = format!("key repeated; it is already on line {}", first.line);
                section.refuse(entry, message);
            } else if let Some(known) = known.filter(|known| !known.contains(&entry.key.as_str())) {
                let advice = match closest(&entry.key, known.iter().copied()) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                section.refuse(entry, format!("unknown key; {advice}"));
            } else {
                section.entries.insert(&entry.key, entry);
            }
        }
        section
    }

    /// Every entry, for sections whose keys are the user's.
    pub(super) fn entries(&self) -> Vec<&'n Entry> {
        self.entries.values().copied().collect()
    }

    /// One entry, if the file has it.
    pub(super) fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.get(key).copied()
    }

    /// Reports a problem with `entry`.
    pub(super) fn refuse(&mut self, entry: &Entry, message: impl Into<String>) {
        let key = self.dotted(&entry.key);
        self.findings.report(Some(entry.line), Some(&key), message);
    }

    /// Reports a problem with the section as a whole.
    pub(super) fn refuse_whole(&mut self, message: impl Into<String>) {
        let name = self.name.clone();
        self.findings.report(Some(self.line), Some(&name), message);
    }

    fn dotted(&self, key: &str) -> String {
        let mut key: String = key.chars().take(80).collect();
        if !self.name.is_empty() {
            key = format!("{}.{key}", self.name);
        }
        key
    }

    /// A text. Empty texts and missing values are no value, as they are for Prometheus.
    pub(super) fn text(&mut self, key: &str) -> Option<&'n str> {
        let entry = self.entry(key)?;
        self.text_of(entry).filter(|text| !text.is_empty())
    }

    /// The text of an entry, perhaps empty.
    pub(super) fn text_of(&mut self, entry: &'n Entry) -> Option<&'n str> {
        match &entry.value.value {
            Value::Scalar { text, plain } if *plain && is_null(text) => Some(""),
            Value::Scalar { text, .. } => Some(text),
            Value::Sequence(_) => {
                self.refuse(entry, "expected text, got a list");
                None
            }
            Value::Mapping(_) => {
                self.refuse(entry, "expected text, got a mapping");
                None
            }
            Value::Refused => None,
        }
    }

    /// A path, relative to the directory of the file.
    pub(super) fn path(&mut self, key: &str, base: &Path) -> Option<PathBuf> {
        self.text(key).map(|text| base.join(text))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str) -> Option<bool> {
        let entry = self.entry(key)?;
        match &entry.value.value {
            Value::Scalar { text, plain: true } if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Scalar { text, plain: true } if text.eq_ignore_ascii_case("false") => Some(false),
            Value::Refused => None,
            Value::Scalar { .. } | Value::Sequence(_) | Value::Mapping(_) => {
                self.refuse(entry, "expected true or false");
                None
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &str) -> Vec<&'n str> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let mut texts = Vec::new();
        match &entry.value.value {
            Value::Scalar { text, plain: true } if is_null(text) => {}
            Value::Sequence(items) => {
                for item in items {
                    match &item.value {
                        Value::Scalar { text, .. } if !text.is_empty() => texts.push(text.as_str()),
                        Value::Refused => {}
                        Value::Scalar { .. } | Value::Sequence(_) | Value::Mapping(_) => {
                            self.refuse(entry, "expected a list of texts");
                        }
                    }
                }
            }
            Value::Refused => {}
            Value::Scalar { .. } | Value::Mapping(_) => self.refuse(entry, "expected a list of texts"),
        }
        texts
    }
}

/// Whether an unquoted scalar stands for nothing.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
