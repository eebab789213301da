//! YAML as JSON values, which are valid YAML when written.

use qdrant_backup_shared::config_file::tree::{self, Node};
use serde_json::{Map, Value};

pub(super) type Mapping = Map<String, Value>;

/// Parses a document.
pub(super) fn parse(text: &str) -> Result<Mapping, String> {
    let (root, findings) = tree::parse(text);
    if let Some((line, message)) = findings.first() {
        return Err(format!("line {line}: {message}"));
    }
    mapping("the document", value(root.ok_or("the document is empty")?)?)
}

fn value(node: Node) -> Result<Value, String> {
    Ok(match node.value {
        tree::Value::Refused => return Err(format!("line {}: refused", node.line)),
        tree::Value::Scalar { text, plain: false } => text.into(),
        tree::Value::Scalar { text, plain: true } => match text.as_str() {
            "true" => true.into(),
            "false" => false.into(),
            text if text.parse::<f64>().is_ok()
                || ["", "~", "null", "yes", "no", "on", "off"].contains(&text) =>
            {
                return Err(format!("line {}: {text:?} may be another type than text", node.line));
            }
            _ => text.into(),
        },
        tree::Value::Sequence(items) => items.into_iter().map(value).collect::<Result<Vec<_>, _>>()?.into(),
        tree::Value::Mapping(entries) => {
            let mut map = Mapping::new();
            for entry in entries {
                let (key, line) = (entry.key, entry.line);
                if map.insert(key.clone(), value(entry.value)?).is_some() {
                    return Err(format!("line {line}: {key} is there twice"));
                }
            }
            map.into()
        }
    })
}

/// The value as a mapping, or an error.
pub(super) fn mapping(what: &str, value: Value) -> Result<Mapping, String> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(format!("{what} is no mapping but {other}")),
    }
}

/// The value as a list of mappings, or an error.
pub(super) fn mappings(what: &str, value: Value) -> Result<Vec<Mapping>, String> {
    match value {
        Value::Array(items) => items.into_iter().map(|item| mapping(what, item)).collect(),
        other => Err(format!("{what} is no list but {other}")),
    }
}

/// The value as text, or an error.
pub(super) fn text(what: &str, value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{what} is no text but {value}"))
}

/// The error for an unknown key.
pub(super) fn unknown<T>(what: &str, key: &str) -> Result<T, String> {
    Err(format!("{what} has the unknown key {key}"))
}
