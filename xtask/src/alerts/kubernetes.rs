//! The same rules for the Prometheus operator, generated from the rule file, with an identity that survives the
//! replacement of a pod.

use super::{
    judge::{self, Verdict},
    mutate,
    rules::{GROUP, RULES, Rule, read},
};
use crate::{sh::Result, workspace};

const PROMETHEUS_RULE: &str = "alerts/kubernetes/prometheusrule.yml";

const HEAD: &str = "\
# The rules of alerts/qdrant-backup.rules.yml for the Prometheus operator, written by `cargo xtask alerts --write`.
# In a Helm chart, {{ and }} of the annotations have to be escaped.
#
# A pod that is replaced gives the same backups another address and name. So that nothing is told twice, ends for a moment or
# is forgotten then, every series is taken without instance, pod and container, bridges five minutes, and is called after
# its namespace and service, as in servicemonitor.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: qdrant-backup
  labels:
    app.kubernetes.io/name: qdrant-backup
spec:
";

/// The indentation of an expression.
const WITHIN_EXPR: &str = "          ";

/// The groups, with expressions that survive the replacement of a pod.
fn groups() -> Result<String> {
    let rules = read(RULES)?;
    let at = rules.find(GROUP).ok_or("the rule file does not begin its group as expected")?;
    let (mut text, mut expr) = (String::new(), None::<String>);
    for line in rules[at..].lines() {
        match (&mut expr, line.strip_prefix(WITHIN_EXPR)) {
            (Some(expr), Some(part)) => *expr += &format!("{part}\n"),
            (open, _) => {
                let ended = open.take().unwrap_or_default();
                for part in by_service(&ended).lines() {
                    text += &format!("{WITHIN_EXPR}{part}\n");
                }
                text += &format!("{line}\n");
                expr = line.ends_with("expr: |").then(String::new);
            }
        }
    }
    Ok(text)
}

/// The expression with every series identified by its service instead of its pod. `absent` stays unchanged, because
/// its labels come from its selector.
fn by_service(expr: &str) -> String {
    let tokens = mutate::tokens(expr);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut replaced = expr.to_owned();
    for (at, token) in tokens.iter().enumerate().rev() {
        let is_series = token.text == "up" || token.text.starts_with("qdrant_backup_");
        if !is_series || token.inside == '{' || at >= 2 && text(at - 2) == "absent" {
            continue;
        }
        let closes = |from: usize, depth: usize| {
            (from..tokens.len())
                .find(|at| tokens[*at].depth == depth && [")", "}"].contains(&tokens[*at].text))
        };
        let mut last = at;
        if text(last + 1) == "{" {
            last = closes(last + 2, token.depth).unwrap_or(last);
        }
        let selector = &expr[token.at..tokens[last].end()];
        let (from, to, call) = if text(last + 1) == "[" && at >= 2 {
            let end = closes(last + 1, token.depth - 1).unwrap_or(last);
            let (from, to) = (tokens[at - 2].at, tokens[end].end());
            (from, to, expr[from..to].to_owned())
        } else {
            (token.at, tokens[last].end(), format!("last_over_time({selector}[5m])"))
        };
        let series = format!(
            "label_join(max without (instance, pod, container) ({call}), \"instance\", \"/\", \"namespace\", \"service\")"
        );
        replaced.replace_range(from..to, &series);
    }
    replaced
}

fn generated() -> Result<String> {
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    Ok(HEAD.to_owned() + &groups()?.lines().map(indented).collect::<String>())
}

pub(super) fn write() -> Result<()> {
    judge::write(&workspace::root().join(PROMETHEUS_RULE), &generated()?)?;
    println!("wrote {PROMETHEUS_RULE}");
    Ok(())
}

/// Checks that the rules are the same, and that all examples use the job name of the rules.
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
    println!("the operator's rules are the same, and the job is {job} everywhere");
    match judge::judge(&groups()?, "kubernetes/replaced_pod", judge::TOGETHER)? {
        Verdict::Passed => println!("the operator's rules survive the replacement of a pod"),
        Verdict::Failed(said) => return Err(format!("the tests of a replaced pod fail:\n{said}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_called_after_its_service() {
        let by = |call: &str| {
            format!(
                "label_join(max without (instance, pod, container) ({call}), \"instance\", \"/\", \"namespace\", \"service\")"
            )
        };
        for (expr, expected) in [
            ("qdrant_backup_up == 0", format!("{} == 0", by("last_over_time(qdrant_backup_up[5m])"))),
            (
                "max without (level) (last_over_time(qdrant_backup_a{b=\"c\"}[1h])) > ignoring (x) qdrant_backup:c{d=\"e\"}",
                format!(
                    "max without (level) ({}) > ignoring (x) qdrant_backup:c{{d=\"e\"}}",
                    by("last_over_time(qdrant_backup_a{b=\"c\"}[1h])")
                ),
            ),
            (
                "up{job=\"j\"} == 0 or absent(up{job=\"j\"})",
                format!("{} == 0 or absent(up{{job=\"j\"}})", by("last_over_time(up{job=\"j\"}[5m])")),
            ),
            (
                "predict_linear(qdrant_backup_a[3d], 604800) < 0 unless qdrant_backup_b{c=\"d\"}",
                format!(
                    "{} < 0 unless {}",
                    by("predict_linear(qdrant_backup_a[3d], 604800)"),
                    by("last_over_time(qdrant_backup_b{c=\"d\"}[5m])")
                ),
            ),
        ] {
            assert_eq!(by_service(expr), expected);
        }
    }
}
