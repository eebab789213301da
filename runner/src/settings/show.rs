//! `config show`: every setting with its value and source, with secrets masked.

use std::path::{Path, PathBuf};

use comfy_table::{Table, presets};
use qdrant_backup_shared::config_file::keys;
use qdrant_backup_shared::text::one_line;
use serde_json::{Map, Value, json};

use super::load::Settings;

/// A table for people: key, value, source. The files that were read come before it, the warnings after it.
pub fn render_settings(settings: &Settings) -> String {
    let file = |path: &Option<PathBuf>| path.as_deref().map_or_else(|| "none".to_owned(), shown_path);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["KEY", "VALUE", "SOURCE"]);
    for (key, value, source) in rows(settings) {
        table.add_row([key.to_owned(), as_text(&value), source]);
    }
    let mut lines = vec![
        format!("configuration file: {}", file(&settings.config_file)),
        format!("env file: {}", file(&settings.env_file)),
        String::new(),
    ];
    lines.extend(table.lines().map(|line| line.trim().to_owned()));
    lines.extend(settings.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n") + "\n"
}

/// The same for programs: `settings` maps each key to `value` (null when unset) and `source`.
pub fn settings_json(settings: &Settings) -> Value {
    let all: Map<String, Value> = rows(settings)
        .map(|(key, value, source)| (key.to_owned(), json!({ "value": value, "source": source })))
        .collect();
    json!({
        "config_file": settings.config_file.as_deref().map(shown_path),
        "env_file": settings.env_file.as_deref().map(shown_path),
        "settings": all,
        "warnings": settings.warnings,
    })
}

/// A value as a cell of the table.
fn as_text(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_)) => other.to_string(),
    };
    one_line(&text)
}

/// Key, value and source of every setting, in the order of the documentation.
fn rows(settings: &Settings) -> impl Iterator<Item = (&'static str, Value, String)> {
    keys::all().map(|setting| {
        let key = setting.about().key;
        (key, settings.values.shown(key), settings.values.source(key).to_string())
    })
}

fn shown_path(path: &Path) -> String {
    one_line(&path.display().to_string())
}
