//! The dashboard's JSON, by what is looked for in it.

use serde_json::Value;

/// A Grafana dashboard, as JSON.
#[derive(Debug, Clone)]
pub(super) struct Dashboard(pub(super) Value);

impl Dashboard {
    /// The panels at the top, rows among them.
    pub(super) fn top(&self) -> impl Iterator<Item = &Value> {
        list(&self.0["panels"])
    }

    /// Every panel that is not a row, also of rows that are closed.
    pub(super) fn panels(&self) -> impl Iterator<Item = &Value> {
        self.top()
            .flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])))
            .filter(|panel| panel["type"] != "row")
    }
}

/// A panel's or the dashboard's title.
pub(super) fn title(value: &Value) -> &str {
    text(&value["title"])
}

/// The string, or nothing.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items, or none.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
