//! The shipped dashboard: its queries as Grafana sends them, and the color in which it shows a value.

use std::path::Path;

use serde_json::Value;

/// How a query is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// For now.
    Instant,
    /// For the dashboard's time range.
    Range,
    /// For the values of a label within the time range.
    Labels,
}

/// One query.
#[derive(Debug)]
pub struct Query {
    /// Where it is used, for example `panel Exporter, A`.
    pub of: String,
    /// The expression, with variables.
    pub expr: String,
    /// How it is sent.
    pub kind: Kind,
}

impl Query {
    /// The expression with the variables' values filled in.
    pub fn with(&self, job: &str, instance: &str, collection: &str) -> String {
        self.expr
            .replace("$__rate_interval", "20m")
            .replace("$job", job)
            .replace("$instance", instance)
            .replace("$collection", collection)
    }
}

/// Reads the shipped dashboard.
///
/// # Panics
/// When it is not valid JSON.
pub fn shipped() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards/qdrant-backup.json");
    let text = std::fs::read_to_string(file).expect("the dashboard can be read");
    serde_json::from_str(&text).expect("the dashboard is JSON")
}

/// All panels except rows, including those of collapsed rows.
pub fn panels(dashboard: &Value) -> Vec<&Value> {
    let all =
        list(&dashboard["panels"]).flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])));
    all.filter(|panel| panel["type"] != "row").collect()
}

/// Every query: of panels, variables and annotations.
pub fn queries(dashboard: &Value) -> Vec<Query> {
    let mut queries: Vec<Query> = panels(dashboard).into_iter().flat_map(queries_of).collect();
    for variable in list(&dashboard["templating"]["list"]).filter(|variable| variable["type"] == "query") {
        let asked = text(&variable["query"]);
        let (selector, label) = asked
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')')?.rsplit_once(", "))
            .expect("label_values of a metric");
        queries.push(Query {
            of: format!("variable {}", text(&variable["name"])),
            expr: format!("count by ({label}) (last_over_time({selector}[7d]))"),
            kind: Kind::Labels,
        });
    }
    for annotation in list(&dashboard["annotations"]["list"]) {
        let of = format!("annotation {}", text(&annotation["name"]));
        queries.push(Query { of, expr: text(&annotation["expr"]).to_owned(), kind: Kind::Range });
    }
    queries
}

/// The queries of one panel.
pub fn queries_of(panel: &Value) -> Vec<Query> {
    let query = |target: &Value| Query {
        of: format!("panel {}, {}", text(&panel["title"]), text(&target["refId"])),
        expr: text(&target["expr"]).to_owned(),
        kind: if target["instant"] == true { Kind::Instant } else { Kind::Range },
    };
    list(&panel["targets"]).map(query).collect()
}

/// The color of `value` in `panel`, returned by the query with `legend`.
pub fn colour<'a>(panel: &'a Value, legend: &str, value: f64) -> &'a str {
    let config = &panel["fieldConfig"];
    let own = list(&config["overrides"])
        .filter(|one| one["matcher"]["options"] == legend)
        .flat_map(|one| list(&one["properties"]))
        .find(|property| property["id"] == "thresholds");
    let thresholds = own.map_or(&config["defaults"]["thresholds"], |property| &property["value"]);
    let bound = |value: &Value, otherwise: f64| value.as_f64().unwrap_or(otherwise);
    for mapping in list(&config["defaults"]["mappings"]) {
        let options = &mapping["options"];
        let result = if mapping["type"] == "range" {
            let within = value >= bound(&options["from"], f64::NEG_INFINITY)
                && value <= bound(&options["to"], f64::INFINITY);
            within.then_some(&options["result"])
        } else {
            options.get(value.to_string())
        };
        if let Some(result) = result {
            return text(&result["color"]);
        }
    }
    let reached = list(&thresholds["steps"]).filter(|step| value >= bound(&step["value"], f64::NEG_INFINITY));
    text(&reached.last().expect("a step below all values")["color"])
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
