//! Each rule finds what breaks it in the shipped dashboard, changed in one place. A rule that nothing here breaks fails.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    against_documents, linter,
    model::{Dashboard, Finding},
    own, shipped,
};

/// Rule, what is changed, how.
type Fault = (&'static str, &'static str, Value);

/// Paths are those of JSON pointers. Panel 1 is a row, panel 2 the first tile.
fn faults() -> Vec<Fault> {
    let job = "/templating/list/1";
    let first = "/panels/1";
    let expr = "/panels/1/targets/0/expr";
    let at = |base: &str, rest: &str| -> &'static str { Box::leak(format!("{base}{rest}").into_boxed_str()) };
    let asks = |expr: &str| json!(expr);
    const BOTH: &str = "job=~\"$job\",instance=~\"$instance\"";
    vec![
        ("template-datasource-rule", "/templating/list/0/type", json!("custom")),
        ("template-datasource-rule", "/templating/list/0/name", json!("prom")),
        ("template-datasource-rule", "/templating/list/0/label", json!("Source")),
        ("template-job-rule", at(job, "/name"), json!("jobs")),
        ("template-job-rule", at(job, "/label"), json!("The job")),
        ("template-job-rule", at(job, "/multi"), json!(false)),
        ("template-job-rule", at(job, "/allValue"), json!(".*")),
        ("template-job-rule", at(job, "/includeAll"), json!(false)),
        ("template-job-rule", at(job, "/datasource/uid"), json!("abc")),
        ("template-instance-rule", "/templating/list/2/allValue", json!("")),
        ("template-label-promql-rule", at(job, "/query"), json!("label_value(qdrant_backup_up, job)")),
        ("template-label-promql-rule", at(job, "/query"), json!("label_values(qdrant_backup_up{, job)")),
        ("template-on-time-change-reload-rule", at(job, "/refresh"), json!(1)),
        ("panel-datasource-rule", at(first, "/datasource/uid"), json!("abc")),
        ("panel-datasource-rule", at(first, "/targets/0/datasource/uid"), json!("abc")),
        ("panel-title-description-rule", at(first, "/title"), json!("")),
        ("panel-title-description-rule", at(first, "/description"), json!("")),
        ("panel-units-rule", at(first, "/fieldConfig/defaults/unit"), json!("seconds")),
        ("panel-units-rule", at(first, "/fieldConfig/defaults/unit"), Value::Null),
        ("panel-no-targets-rule", at(first, "/targets"), json!([])),
        ("target-logql-rule", at(first, "/targets/0/datasource/type"), json!("loki")),
        ("target-logql-auto-rule", expr, asks("rate({app=\"a\"}[$__auto])")),
        ("target-promql-rule", expr, asks("max(qdrant_backup_up")),
        ("target-rate-interval-rule", expr, asks("rate(process_cpu_seconds_total[5m])")),
        ("target-job-rule", expr, asks("up{job=\"$job\",instance=~\"$instance\"}")),
        ("target-job-rule", expr, asks("up{instance=~\"$instance\"}")),
        ("target-instance-rule", expr, asks("up{job=~\"$job\"}")),
        ("target-counter-agg-rule", expr, json!(format!("qdrant_backup_runs_total{{{BOTH}}}"))),
        (
            "target-counter-agg-rule",
            expr,
            json!(format!("max_over_time(qdrant_backup_runs_total{{{BOTH}}}[1h])")),
        ),
        ("uneditable-dashboard", "/editable", json!(true)),
        ("unique", "/panels/2/id", json!(2)),
        ("unique", "/panels/2/id", Value::Null),
        ("unique", "/panels/2/title", json!("Age of the data")),
        ("grid", "/panels/2/gridPos/x", json!(2)),
        ("grid", "/panels/2/gridPos/w", json!(30)),
        ("grid", "/panels/2/gridPos/h", json!(0)),
        ("grid", "/panels/2/gridPos", Value::Null),
        ("unknown-is-not-fine", "/panels/2/fieldConfig/defaults/noValue", json!("")),
        ("unknown-is-not-fine", "/panels/2/fieldConfig/defaults/thresholds/steps/0/color", json!("green")),
        ("unknown-is-not-fine", "/panels/2/fieldConfig/defaults/thresholds/steps/0/value", json!(0)),
        ("unknown-is-not-fine", "/panels/2/targets/0/instant", json!(false)),
        ("unknown-is-not-fine", expr, json!(format!("sum(up{{{BOTH}}}) or vector(0)"))),
        ("what-to-do", at(first, "/links"), json!([])),
        ("what-to-do", at(first, "/description"), json!("A number.")),
        ("metrics", expr, json!(format!("qdrant_backup_age{{{BOTH}}}"))),
        ("metrics", expr, json!(format!("qdrant_backup_up{{{BOTH},collection=\"a\"}}"))),
        ("metrics", "/annotations/list/0/expr", asks("changes(qdrant_backup_last_succes[5m])")),
        ("metrics", at(job, "/query"), json!("label_values(qdrant_backup_upp, job)")),
        (
            "runbook",
            at(first, "/links/0/url"),
            json!("https://qdrant-backup.example/docs/runbook.md#nowhere"),
        ),
        ("runbook", "/links/0/url", json!("https://elsewhere.example/runbook.md")),
    ]
}

/// What breaks that one rule; all of them take a while.
fn found(dashboard: &Dashboard, rule: &str) -> Vec<Finding> {
    let rules = || linter::RULES.iter().chain(own::RULES);
    match rules().find(|(name, _)| *name == rule) {
        Some(known) => linter::findings(dashboard, &[*known]),
        None => against_documents(dashboard).unwrap(),
    }
}

#[test]
fn each_rule_finds_what_breaks_it() {
    let mut broken = BTreeSet::new();
    for (rule, path, value) in faults() {
        let mut dashboard = shipped().unwrap();
        let place = dashboard.0.pointer_mut(path).unwrap_or_else(|| panic!("{path} is not there"));
        *place = value.clone();
        let sound = found(&shipped().unwrap(), rule);
        let new = found(&dashboard, rule).into_iter().find(|finding| !sound.contains(finding));
        let new = new.unwrap_or_else(|| panic!("{rule} does not find {path} = {value}"));
        assert_eq!(new.rule, rule, "{path} = {value}");
        broken.insert(rule);
    }
    let all = linter::RULES.iter().chain(own::RULES).map(|(rule, _)| *rule).chain(["metrics", "runbook"]);
    assert_eq!(all.collect::<BTreeSet<_>>(), broken);
    assert_eq!(linter::RULES.len(), 17);
}

#[test]
fn an_exception_needs_a_reason_and_something_to_except() {
    let finding = Finding { rule: "grid", of: "A".to_owned(), what: "w".to_owned() };
    let except = |text: &str| super::without_exceptions(vec![finding.clone()], text);
    assert_eq!(except("# why\n\ngrid | A | because\n"), Ok(Vec::new()));
    assert_eq!(except(""), Ok(vec![finding.clone()]));
    assert_eq!(except("grid | B | because").unwrap_err(), "the exception of grid for \"B\" is not needed");
    assert!(except("grid | A").is_err() && except("grid | A | ").is_err());
}

#[cfg(feature = "outside")]
#[test]
fn a_command_that_leaves_a_link_behind_is_noticed() {
    let line = |command: &str| format!("| where this page is | `{command}` in |");
    let sed = r"sed -i 's\|https://qdrant-backup.example/docs/runbook.md\|URL\|g'";
    assert_eq!(super::moved(&line(&format!("{sed} alerts/*.yml alerts/*/*.yml dashboards/*.json"))), Ok(()));
    assert!(super::moved(&line(&format!("{sed} alerts/*.yml alerts/*/*.yml"))).is_err());
    assert!(super::moved("no command").is_err());
}
