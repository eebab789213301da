//! The rules of Grafana's dashboard linter, all 17, as strict as there or stricter: it is a Go program that no package
//! brings, and its rules are few.

use serde_json::Value;

use super::{
    model::{Dashboard, Finding, is_chosen, list, name, overridden, text},
    promql::{self, RATE_INTERVAL, Selector},
};

/// A rule: what it is called there, and what it says of each thing that breaks it.
pub(super) type Rule = (&'static str, fn(&Dashboard) -> Vec<(String, String)>);

/// In the linter's order.
pub(super) const RULES: &[Rule] = &[
    ("template-datasource-rule", template_datasource),
    ("template-job-rule", |dashboard| template(dashboard, "job", "Job")),
    ("template-instance-rule", |dashboard| template(dashboard, "instance", "Instance")),
    ("template-label-promql-rule", template_label_promql),
    ("template-on-time-change-reload-rule", template_on_time_change_reload),
    ("panel-datasource-rule", panel_datasource),
    ("panel-title-description-rule", panel_title_description),
    ("panel-units-rule", panel_units),
    ("panel-no-targets-rule", panel_no_targets),
    ("target-logql-rule", target_logql),
    ("target-logql-auto-rule", target_logql_auto),
    ("target-promql-rule", target_promql),
    ("target-rate-interval-rule", target_rate_interval),
    ("target-job-rule", |dashboard| target_matcher(dashboard, "job")),
    ("target-instance-rule", |dashboard| target_matcher(dashboard, "instance")),
    ("target-counter-agg-rule", target_counter_agg),
    ("uneditable-dashboard", uneditable),
];

/// What breaks any of `rules`.
pub(super) fn findings(dashboard: &Dashboard, rules: &[Rule]) -> Vec<Finding> {
    let all = rules.iter().flat_map(|(rule, look)| {
        look(dashboard).into_iter().map(move |(of, what)| Finding { rule, of, what })
    });
    all.collect()
}

fn of_dashboard(what: impl Into<String>) -> (String, String) {
    ("dashboard".to_owned(), what.into())
}

fn of(thing: &Value, what: impl Into<String>) -> (String, String) {
    (name(thing).to_owned(), what.into())
}

fn template_datasource(dashboard: &Dashboard) -> Vec<(String, String)> {
    let sources: Vec<&Value> = dashboard.variables("datasource").collect();
    let [source] = sources.as_slice() else {
        return vec![of_dashboard(format!(
            "{} variables choose a data source instead of one",
            sources.len()
        ))];
    };
    let wanted = [("name", "datasource"), ("label", "Data source"), ("query", "prometheus")];
    let wrong = wanted.into_iter().filter(|(key, value)| source[key] != *value);
    wrong.map(|(key, value)| of(source, format!("{key} is not {value:?}"))).collect()
}

fn template(dashboard: &Dashboard, named: &str, label: &str) -> Vec<(String, String)> {
    let Some(variable) = dashboard.variables("query").find(|variable| variable["name"] == named) else {
        return vec![of_dashboard(format!("there is no variable {named}"))];
    };
    let wanted = [
        ("has no label of that name", variable["label"] == label),
        ("asks another data source", is_chosen(&variable["datasource"])),
        ("takes one value only", variable["multi"] == true),
        ("cannot stand for all", variable["includeAll"] == true),
        ("is not .+ for all", variable["allValue"] == ".+"),
    ];
    wanted.into_iter().filter(|(_, holds)| !holds).map(|(what, _)| of(variable, what)).collect()
}

fn template_label_promql(dashboard: &Dashboard) -> Vec<(String, String)> {
    let wrong = |variable: &Value| {
        let asked = text(&variable["query"]);
        let (function, rest) = asked.split_once('(')?;
        let arguments = rest.strip_suffix(')')?;
        let metric = match function {
            "label_values" => arguments.rsplit_once(", ").map_or(arguments, |(metric, _)| metric),
            "query_result" => arguments,
            "label_names" | "metrics" => return Some(()),
            _ => return None,
        };
        promql::selectors(metric).ok().map(drop)
    };
    let variables = dashboard.variables("query").filter(|variable| wrong(variable).is_none());
    variables.map(|variable| of(variable, format!("{} cannot be asked", variable["query"]))).collect()
}

fn template_on_time_change_reload(dashboard: &Dashboard) -> Vec<(String, String)> {
    let variables = dashboard.variables("query").filter(|variable| variable["refresh"] != 2);
    variables.map(|variable| of(variable, "refresh is not 2, on a change of the time")).collect()
}

fn panel_datasource(dashboard: &Dashboard) -> Vec<(String, String)> {
    let targets = dashboard.targets().filter(|(_, target)| !is_chosen(&target["datasource"]));
    let panels = dashboard.panels().filter(|panel| !is_chosen(&panel["datasource"]));
    let all = panels.chain(targets.map(|(panel, _)| panel));
    all.map(|panel| of(panel, "does not use the data source that is chosen")).collect()
}

fn panel_title_description(dashboard: &Dashboard) -> Vec<(String, String)> {
    let lacks = |panel: &&Value| text(&panel["title"]).is_empty() || text(&panel["description"]).is_empty();
    dashboard.panels().filter(lacks).map(|panel| of(panel, "lacks its title or description")).collect()
}

/// Units that both Grafana and its linter know, of those that backups need.
const UNITS: &[&str] =
    &["none", "short", "percentunit", "bytes", "s", "d", "dateTimeAsIso", "dateTimeFromNow", "reqps", "ops"];

fn panel_units(dashboard: &Dashboard) -> Vec<(String, String)> {
    let units = dashboard.panels().flat_map(|panel| {
        let own = std::iter::once(&panel["fieldConfig"]["defaults"]["unit"]);
        own.chain(overridden(panel, "unit")).map(move |unit| (panel, unit))
    });
    let wrong = units.filter(|(_, unit)| !UNITS.contains(&text(unit)));
    wrong.map(|(panel, unit)| of(panel, format!("{unit} is no unit"))).collect()
}

fn panel_no_targets(dashboard: &Dashboard) -> Vec<(String, String)> {
    let empty = dashboard.panels().filter(|panel| list(&panel["targets"]).next().is_none());
    empty.map(|panel| of(panel, "asks nothing")).collect()
}

/// The linter reads LogQL; here a query of logs is an error by itself.
fn target_logql(dashboard: &Dashboard) -> Vec<(String, String)> {
    let logs = dashboard.targets().filter(|(_, target)| target["datasource"]["type"] != "prometheus");
    logs.map(|(panel, _)| of(panel, "asks something that is no Prometheus")).collect()
}

fn target_logql_auto(dashboard: &Dashboard) -> Vec<(String, String)> {
    let auto = dashboard.targets().filter(|(_, target)| text(&target["expr"]).contains("$__auto"));
    auto.map(|(panel, _)| of(panel, "has the interval of a query of logs")).collect()
}

fn target_promql(dashboard: &Dashboard) -> Vec<(String, String)> {
    let wrong = |(panel, target): (&Value, &Value)| {
        let error = promql::selectors(text(&target["expr"])).err()?;
        Some(of(panel, format!("{}: {error}", target["refId"])))
    };
    dashboard.targets().filter_map(wrong).collect()
}

/// What `wrong` says of the metrics that the panels ask for. What cannot be read breaks another rule.
fn of_selectors(dashboard: &Dashboard, wrong: impl Fn(&Selector) -> Option<String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (panel, target) in dashboard.targets() {
        let selectors = promql::selectors(text(&target["expr"])).unwrap_or_default();
        found.extend(selectors.iter().filter_map(&wrong).map(|what| of(panel, what)));
    }
    found
}

fn target_rate_interval(dashboard: &Dashboard) -> Vec<(String, String)> {
    of_selectors(dashboard, |selector| {
        let is_rate = matches!(selector.function, Some("rate" | "irate"));
        let wrong = is_rate && selector.range != Some(RATE_INTERVAL);
        wrong.then(|| format!("the rate of {} is not over $__rate_interval", selector.metric))
    })
}

fn target_matcher(dashboard: &Dashboard, label: &str) -> Vec<(String, String)> {
    let wanted = (label.to_owned(), "=~", format!("${label}"));
    of_selectors(dashboard, |selector| {
        let missing = !selector.matchers.contains(&wanted);
        missing.then(|| format!("{} is asked for without {label}=~\"${label}\"", selector.metric))
    })
}

fn target_counter_agg(dashboard: &Dashboard) -> Vec<(String, String)> {
    of_selectors(dashboard, |selector| {
        let grows = matches!(selector.function, Some("rate" | "irate" | "increase"));
        let wrong = selector.metric.ends_with("_total") && (!grows || selector.range.is_none());
        wrong.then(|| format!("{} is a counter, and is shown as it stands", selector.metric))
    })
}

fn uneditable(dashboard: &Dashboard) -> Vec<(String, String)> {
    let editable = dashboard.0["editable"] != false;
    editable.then(|| of_dashboard("editable is not false")).into_iter().collect()
}
