//! Unknown values never look fine, and every link leads to the runbook.

use serde_json::Value;

use super::model::{Dashboard, list, text, title};
use crate::links;

/// The neutral colors.
const NEUTRAL: &[&str] = &["#7f8083", "text"];

/// A panel without a value shows that in a neutral color; Grafana uses the color of the first threshold. A tile shows
/// the current value, not the last one of the week.
pub(super) fn unknown_is_not_fine(dashboard: &Dashboard) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in dashboard.panels() {
        let defaults = &panel["fieldConfig"]["defaults"];
        let mut add = |what: &str| found.push((title(panel).to_owned(), what.to_owned()));
        if text(&defaults["noValue"]).is_empty() {
            add("does not say that there is no value");
        }
        for thresholds in std::iter::once(&defaults["thresholds"]).chain(overriding_thresholds(panel)) {
            let base = &thresholds["steps"][0];
            if !base["value"].is_null() || !NEUTRAL.contains(&text(&base["color"])) {
                add("shows a missing value in the color of a value");
            }
        }
        let is_tile = ["stat", "table"].contains(&text(&panel["type"]));
        for target in list(&panel["targets"]) {
            if is_tile && (target["instant"] != true || target["range"] != false) {
                add("shows a past value as the present one");
            }
            // `or vector(0)` turns an unknown value into a number.
            if text(&target["expr"]).contains("vector(") {
                add("makes a number of what is unknown");
            }
        }
    }
    found
}

/// The thresholds of a panel's field overrides.
fn overriding_thresholds(panel: &Value) -> impl Iterator<Item = &Value> {
    list(&panel["fieldConfig"]["overrides"])
        .flat_map(|one| list(&one["properties"]))
        .filter(|one| one["id"] == "thresholds")
        .map(|one| &one["value"])
}

/// Checks that every link leads to the runbook at `base` and to an existing heading.
pub(super) fn links_lead_to_the_runbook(
    dashboard: &Dashboard,
    base: &str,
    page: &str,
) -> Vec<(String, String)> {
    let anchors = links::anchors(page);
    let mut found = Vec::new();
    for thing in std::iter::once(&dashboard.0).chain(dashboard.panels()) {
        for link in list(&thing["links"]) {
            let url = text(&link["url"]);
            let (place, anchor) = url.split_once('#').unwrap_or((url, ""));
            if place != base || !(anchor.is_empty() || anchors.iter().any(|there| there == anchor)) {
                found.push((title(thing).to_owned(), format!("docs/runbook.md has nothing for {url}")));
            }
        }
    }
    found
}
