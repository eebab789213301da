//! Reading one mapping of the file, key by key: repeated, unknown and dropped keys are reported, values are typed.

use std::path::Path;

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

    pub(super) fn report(&mut self, line: Option<usize>, key: &str, message: impl Into<String>) {
        let key = (!key.is_empty()).then(|| key.to_owned());
        self.problems.push(Problem { file: self.file.clone(), line, key, message: message.into() });
    }
}

/// The keys that a section may have.
pub(super) enum Keys {
    /// The user's own.
    Any,
    /// Some that are known, and others that exporter-toolkit knows and this program does not offer, with what to do instead.
    Known(&'static [&'static str], &'static [(&'static str, &'static str)]),
}

/// One mapping and where its problems go.
pub(super) struct Section<'n, 'f> {
    /// Dotted name, empty for the whole file.
    name: String,
    line: usize,
    pub(super) entries: Vec<&'n Entry>,
    pub(super) findings: &'f mut Findings,
}

impl<'n, 'f> Section<'n, 'f> {
    /// The mapping `node`, called `name`. Nothing at all is an empty mapping, so that a section may have all its
    /// keys commented out.
    pub(super) fn new(
        node: Option<&'n Node>,
        name: &str,
        line: usize,
        keys: &Keys,
        findings: &'f mut Findings,
    ) -> Self {
        let mut section = Self { name: name.to_owned(), line, entries: Vec::new(), findings };
        let Some(node) = node.filter(|node| !is_nothing(node)) else { return section };
        let Value::Mapping(entries) = &node.value else {
            section.refuse_whole("expected a mapping of keys to values");
            return section;
        };
        for entry in entries {
            match (section.entry(&entry.key), problem(keys, entry)) {
                (Some(first), _) => {
                    let message = format!("key repeated; it is already on line {}", first.line);
                    section.refuse(entry, message);
                }
                (None, Some(problem)) => section.refuse(entry, problem),
                (None, None) => section.entries.push(entry),
            }
        }
        section
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().copied().find(|entry| entry.key == key)
    }

    pub(super) fn refuse(&mut self, entry: &Entry, message: impl Into<String>) {
        let key: String = entry.key.chars().take(80).collect();
        let dotted = if self.name.is_empty() { key } else { format!("{}.{key}", self.name) };
        self.findings.report(Some(entry.line), &dotted, message);
    }

    /// Reports a problem with the section as a whole.
    pub(super) fn refuse_whole(&mut self, message: &str) {
        self.findings.report(Some(self.line), &self.name, message);
    }

    /// A text, and where it stands. Empty texts and missing values are no value, as they are for Prometheus.
    pub(super) fn text(&mut self, key: &str) -> Option<(&'n Entry, &'n str)> {
        let entry = self.entry(key)?;
        Some((entry, self.text_of(entry).filter(|text| !text.is_empty())?))
    }

    /// The text of an entry, perhaps empty.
    pub(super) fn text_of(&mut self, entry: &'n Entry) -> Option<&'n str> {
        match &entry.value.value {
            Value::Scalar { .. } if is_nothing(&entry.value) => Some(""),
            Value::Scalar { text, .. } => Some(text),
            Value::Refused => None,
            Value::Sequence(_) | Value::Mapping(_) => {
                self.refuse(entry, "expected text");
                None
            }
        }
    }
}

/// What is wrong with the key of `entry`.
fn problem(keys: &Keys, entry: &Entry) -> Option<String> {
    let Keys::Known(known, dropped) = keys else { return None };
    if known.contains(&entry.key.as_str()) {
        return None;
    }
    if let Some((_, instead)) = dropped.iter().find(|(key, _)| *key == entry.key) {
        return (!is_nothing(&entry.value)).then(|| format!("not supported; {instead}"));
    }
    Some(match closest(&entry.key, known.iter().copied()) {
        Some(meant) => format!("unknown key; did you mean {meant}?"),
        None => format!("unknown key; known here: {}", known.join(", ")),
    })
}

/// Whether a value says nothing, or is reported already.
fn is_nothing(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { text, plain: true } => matches!(&**text, "" | "~" | "null" | "Null" | "NULL"),
        Value::Sequence(items) => items.is_empty(),
        Value::Refused => true,
        Value::Scalar { .. } | Value::Mapping(_) => false,
    }
}
