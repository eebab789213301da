//! The dashboard as JSON, and the parts of it that rules look at.

use serde_json::Value;

/// A dashboard.
pub(super) struct Dashboard(pub(super) Value);

/// What stands in a rule's way, and where.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    /// The rule's name.
    pub(super) rule: &'static str,
    /// The panel, variable or annotation; "dashboard" when it is none of them.
    pub(super) of: String,
    /// What is wrong.
    pub(super) what: String,
}

impl Dashboard {
    /// The panels at the top, rows among them.
    pub(super) fn top(&self) -> impl Iterator<Item = &Value> {
        list(&self.0["panels"])
    }

    /// Every panel, also of rows that are closed, and the rows.
    pub(super) fn all(&self) -> impl Iterator<Item = &Value> {
        self.top().flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])))
    }

    /// Every panel that is not a row.
    pub(super) fn panels(&self) -> impl Iterator<Item = &Value> {
        self.all().filter(|panel| panel["type"] != "row")
    }

    /// Every query of a panel, with its panel.
    pub(super) fn targets(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.panels().flat_map(|panel| list(&panel["targets"]).map(move |target| (panel, target)))
    }

    /// The variables of that type: `datasource` or `query`.
    pub(super) fn variables<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        list(&self.0["templating"]["list"]).filter(move |variable| variable["type"] == kind)
    }

    /// The annotations.
    pub(super) fn annotations(&self) -> impl Iterator<Item = &Value> {
        list(&self.0["annotations"]["list"])
    }
}

/// A panel's, variable's or annotation's name.
pub(super) fn name(value: &Value) -> &str {
    let title = text(&value["title"]);
    if title.is_empty() { text(&value["name"]) } else { title }
}

/// The string, or nothing.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items, or none.
pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Every value of the overrides of a panel for that property, as in `thresholds`.
pub(super) fn overridden<'a>(panel: &'a Value, property: &'a str) -> impl Iterator<Item = &'a Value> {
    list(&panel["fieldConfig"]["overrides"])
        .flat_map(|one| list(&one["properties"]))
        .filter(move |one| one["id"] == property)
        .map(|one| &one["value"])
}

/// Whether a data source is the one that the variable `datasource` chooses.
pub(super) fn is_chosen(source: &Value) -> bool {
    ["$datasource", "${datasource}"].contains(&text(&source["uid"]))
}
