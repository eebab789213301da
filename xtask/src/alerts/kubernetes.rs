//! The same rules for the Prometheus operator, written from the rule file.

use super::{
    RULES, judge, read,
    rules::{GROUP, Rule},
};
use crate::{sh::Result, workspace};

const PROMETHEUS_RULE: &str = "alerts/kubernetes/prometheusrule.yml";

const HEAD: &str = "\
# The rules of alerts/qdrant-backup.rules.yml for the Prometheus operator, written by `cargo xtask alerts --write`.
# In a Helm chart, {{ and }} of the annotations have to be escaped.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: qdrant-backup
  labels:
    app.kubernetes.io/name: qdrant-backup
spec:
";

fn generated() -> Result<String> {
    let rules = read(RULES)?;
    let at = rules.find(GROUP).ok_or("the rule file does not begin its group as expected")?;
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    Ok(HEAD.to_owned() + &rules[at..].lines().map(indented).collect::<String>())
}

pub(super) fn write() -> Result<()> {
    judge::write(&workspace::root().join(PROMETHEUS_RULE), &generated()?)?;
    println!("wrote {PROMETHEUS_RULE}");
    Ok(())
}

/// The rules are the same, and all examples call the job what the rules call it.
pub(super) fn check(rules: &[Rule]) -> Result<()> {
    if read(PROMETHEUS_RULE)? != generated()? {
        return Err(format!("{PROMETHEUS_RULE} has drifted; `cargo xtask alerts --write` writes it anew"));
    }
    let jobs: Vec<&str> = rules
        .iter()
        .flat_map(|rule| rule.expr.split("job=\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let job = *jobs.first().ok_or("no rule names the job")?;
    let named = |file: &str, line: &str| match read(file)?.lines().any(|there| there.trim() == line) {
        true => Ok(()),
        false => Err(format!("{file} does not say {line:?}, as the rules do")),
    };
    if jobs.iter().any(|other| *other != job) {
        return Err("the rules call the job by different names".to_owned());
    }
    named("alerts/prometheus.yml", &format!("- job_name: {job}"))?;
    named("alerts/kubernetes/servicemonitor.yml", &format!("replacement: {job}"))?;
    println!("the operator's rules are the same, and the job is called {job} everywhere");
    Ok(())
}
