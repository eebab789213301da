//! Access to the dashboard's JSON.

use serde_json::Value;

/// A Grafana dashboard, as JSON.
#[derive(Debug, Clone)]
pub(super) struct Dashboard(pub(super) Value);

impl Dashboard {
    /// The top-level panels, including rows.
    pub(super) fn top(&self) -> impl Iterator<Item = &Value> {
        list(&self.0["panels"])
    }

    /// Every panel except rows, including those in collapsed rows.
    pub(super) fn panels(&self) -> impl Iterator<Item = &Value> {
        self.top()
            .flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])))
            .filter(|panel| panel["type"] != "row")
    }
}

/// The title of a panel or of the dashboard.
pub(super) fn title(value: &Value) -> &str {
    text(&value["title"])
}

/// The string, or None.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items; empty if there are none.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
