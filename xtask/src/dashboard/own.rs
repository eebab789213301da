//! Rules of our own: everything fits the grid and the documents, and what is unknown never looks fine.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    linter::Rule,
    model::{Dashboard, list, name, overridden, text},
    promql,
};
use crate::links;

/// Those that look at nothing but the dashboard.
pub(super) const RULES: &[Rule] = &[
    ("unique", unique),
    ("grid", grid),
    ("unknown-is-not-fine", unknown_is_not_fine),
    ("what-to-do", what_to_do),
];

/// The colours of what is neither good nor bad.
const NEUTRAL: &[&str] = &["#7f8083", "text"];

fn unique(dashboard: &Dashboard) -> Vec<(String, String)> {
    let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    let mut found = Vec::new();
    for panel in dashboard.all() {
        if !panel["id"].as_u64().is_some_and(|id| id > 0 && ids.insert(id)) {
            found.push((name(panel).to_owned(), format!("its id {} is not its own", panel["id"])));
        }
        // A row may be called as the panel in it.
        if panel["type"] != "row" && !titles.insert(name(panel)) {
            found.push((name(panel).to_owned(), "another panel has the same title".to_owned()));
        }
    }
    found
}

/// x, y, width and height, where they are whole numbers.
fn place(panel: &Value) -> Option<[u64; 4]> {
    let at = |key: &str| panel["gridPos"][key].as_u64();
    Some([at("x")?, at("y")?, at("w")?, at("h")?])
}

fn grid(dashboard: &Dashboard) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let closed = dashboard.top().map(|row| list(&row["panels"]).collect::<Vec<_>>());
    for together in std::iter::once(dashboard.top().collect::<Vec<_>>()).chain(closed) {
        for (index, panel) in together.iter().enumerate() {
            let within = |[x, _, w, h]: [u64; 4]| w > 0 && h > 0 && x + w <= 24;
            if !place(panel).is_some_and(within) {
                found.push((name(panel).to_owned(), "is not within the 24 columns".to_owned()));
            }
            let clashing = together[..index].iter().filter(|other| overlap(panel, other));
            found.extend(
                clashing.map(|other| (name(panel).to_owned(), format!("lies over {:?}", name(other)))),
            );
        }
    }
    found
}

fn overlap(one: &Value, other: &Value) -> bool {
    let (Some([x, y, w, h]), Some([u, v, m, n])) = (place(one), place(other)) else { return false };
    x < u + m && u < x + w && y < v + n && v < y + h
}

/// No value at all is said so; the colour below all values is neutral, because that is the one of no value; and tiles
/// show now, not the last value that there was in a week.
fn unknown_is_not_fine(dashboard: &Dashboard) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in dashboard.panels() {
        let defaults = &panel["fieldConfig"]["defaults"];
        let mut add = |what: &str| found.push((name(panel).to_owned(), what.to_owned()));
        if text(&defaults["noValue"]).is_empty() {
            add("does not say that there is no value");
        }
        for thresholds in std::iter::once(&defaults["thresholds"]).chain(overridden(panel, "thresholds")) {
            let base = &thresholds["steps"][0];
            if !base["value"].is_null() || !NEUTRAL.contains(&text(&base["color"])) {
                add("shows no value in the colour of a value");
            }
        }
        let is_tile = ["stat", "table"].contains(&text(&panel["type"]));
        for target in list(&panel["targets"]) {
            if is_tile && (target["instant"] != true || target["range"] != false) {
                add("shows what was, as if it were so now");
            }
            // `or vector(0)` makes nothing of what is unknown.
            if text(&target["expr"]).contains("vector(") {
                add("makes a number of what is unknown");
            }
        }
    }
    found
}

fn what_to_do(dashboard: &Dashboard) -> Vec<(String, String)> {
    let silent = dashboard.panels().filter(|panel| {
        let description = text(&panel["description"]);
        !["Do: ", "Do, "].iter().any(|begin| description.contains(begin))
            || list(&panel["links"]).next().is_none()
    });
    silent
        .map(|panel| (name(panel).to_owned(), "does not say what to do, or has no link".to_owned()))
        .collect()
}

/// Every metric and label that is asked for is in docs/metrics.md.
pub(super) fn metrics(dashboard: &Dashboard, page: &str) -> Vec<(String, String)> {
    let mut known: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let mut cells = line.split(" | ");
        let metric = cells.next().unwrap_or_default().trim_end_matches('`');
        known.insert(metric, cells.nth(1).unwrap_or_default().split(", ").map(str::trim).collect());
    }
    // What Prometheus itself makes.
    known.insert("up", Vec::new());
    known.insert("ALERTS", vec!["alertname", "alertstate", "severity"]);
    let mut found = Vec::new();
    for (of, expr) in expressions(dashboard) {
        let selectors = match promql::selectors(&expr) {
            Ok(selectors) => selectors,
            Err(error) => {
                found.push((of, error));
                continue;
            }
        };
        for selector in selectors {
            let Some(labels) = known.get(selector.metric.as_str()) else {
                found.push((of.clone(), format!("docs/metrics.md does not have {:?}", selector.metric)));
                continue;
            };
            for (label, _, _) in &selector.matchers {
                if !["job", "instance"].contains(&label.as_str()) && !labels.contains(&label.as_str()) {
                    found.push((of.clone(), format!("{} has no label {label}", selector.metric)));
                }
            }
        }
    }
    found
}

/// Every query with who asks: panels, variables, annotations.
fn expressions(dashboard: &Dashboard) -> Vec<(String, String)> {
    let panels = dashboard.targets().map(|(panel, target)| (panel, text(&target["expr"])));
    let annotations = dashboard.annotations().map(|one| (one, text(&one["expr"])));
    let variables = dashboard.variables("query").map(|one| {
        let asked = text(&one["query"]);
        let metric = asked.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(", "));
        (one, metric.map_or(asked, |(metric, _)| metric))
    });
    let all = panels.chain(annotations).chain(variables);
    all.map(|(of, expr)| (name(of).to_owned(), expr.to_owned())).collect()
}

/// Every link leads to the runbook at `base`, and to a heading that it has.
pub(super) fn runbook(dashboard: &Dashboard, base: &str, page: &str) -> Vec<(String, String)> {
    let anchors = links::anchors(page);
    let mut found = Vec::new();
    for thing in std::iter::once(&dashboard.0).chain(dashboard.panels()) {
        for link in list(&thing["links"]) {
            let url = text(&link["url"]);
            let (place, anchor) = url.split_once('#').unwrap_or((url, ""));
            if place != base || !(anchor.is_empty() || anchors.iter().any(|there| there == anchor)) {
                found.push((name(thing).to_owned(), format!("docs/runbook.md has nothing for {url}")));
            }
        }
    }
    found
}
