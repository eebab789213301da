//! `cargo xtask alerts`: checks everything under alerts/ with the tools of Prometheus and Alertmanager, and tests the
//! rule tests by changing the rules.

mod contract;
mod inhibition;
mod judge;
mod kubernetes;
mod mutate;
mod mutation_check;
mod rules;

use crate::{
    links,
    sh::{Cmd, Context, Result},
    tools, workspace,
};
use rules::{RULES, Rule, alerts, read};

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Only write alerts/kubernetes/prometheusrule.yml from the rules
    #[arg(long, conflicts_with = "mutants")]
    write: bool,
    /// Only change the rules, and check that their tests fail
    #[arg(long)]
    mutants: bool,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    if opts.write {
        return kubernetes::write();
    }
    tools::alerting()?;
    if opts.mutants {
        return mutation_check::run(&rules::parse(&read(RULES)?)?);
    }
    check_all()
}

/// A step of `cargo xtask test`.
pub(crate) fn check_all() -> Result<()> {
    tools::alerting()?;
    let rules = rules::parse(&read(RULES)?)?;
    contract::check(&rules)?;
    metrics_exist(&rules)?;
    runbook(&rules)?;
    kubernetes::check(&rules)?;
    prometheus(&rules)?;
    alertmanager(&rules)?;
    mutation_check::run(&rules)
}

/// Checks that every metric and recording rule used in an expression exists.
fn metrics_exist(rules: &[Rule]) -> Result<()> {
    let metrics = read("docs/metrics.md")?;
    for rule in rules {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        for name in rule.expr.split(|c| !word(c)).filter(|name| name.starts_with("qdrant_backup")) {
            let recorded = rules.iter().any(|other| !other.is_alert && other.name == name);
            if !recorded && !metrics.contains(&format!("| `{name}` |")) {
                return Err(format!("{} asks for {name}, which docs/metrics.md does not have", rule.name));
            }
        }
    }
    Ok(())
}

/// The URL of the runbook in the rules.
pub(crate) fn runbook_base() -> Result<String> {
    let rules = rules::parse(&read(RULES)?)?;
    let url = alerts(&rules).next().map(|rule| rule.runbook_url.as_str()).unwrap_or_default();
    Ok(url.split('#').next().unwrap_or_default().to_owned())
}

/// Checks that each alert has a heading in the runbook, and each such heading has an alert and the required
/// information.
fn runbook(rules: &[Rule]) -> Result<()> {
    let text = read("docs/runbook.md")?;
    let anchors = links::anchors(&text);
    let mut bases = std::collections::BTreeSet::new();
    for rule in alerts(rules) {
        let (base, anchor) = rule.runbook_url.split_once('#').unwrap_or((&rule.runbook_url, ""));
        bases.insert(base);
        if anchor != rule.name.to_lowercase() || !anchors.iter().any(|there| there == anchor) {
            return Err(format!("{}: docs/runbook.md has no heading for {}", rule.name, rule.runbook_url));
        }
    }
    if bases.len() != 1 {
        return Err(format!("the rules look for the runbook in {} places: {bases:?}", bases.len()));
    }
    for anchor in anchors.iter().filter(|anchor| anchor.starts_with("qdrantbackup")) {
        if !alerts(rules).any(|rule| rule.name.to_lowercase() == *anchor) {
            return Err(format!("docs/runbook.md has the heading {anchor}, and there is no such alert"));
        }
    }
    for section in text.split("\n## ").filter(|section| section.starts_with("QdrantBackup")) {
        let parts: Vec<&str> =
            section.lines().filter_map(|line| line.strip_prefix("**")?.split("**").next()).collect();
        if parts != ["Meaning.", "Confirm.", "Do."] {
            let name = section.lines().next().unwrap_or_default();
            return Err(format!(
                "docs/runbook.md, {name}: it has {parts:?} instead of meaning, confirm and do"
            ));
        }
    }
    println!("{} alerts have a section in docs/runbook.md", alerts(rules).count());
    Ok(())
}

fn promtool(args: &[&str]) -> Result<()> {
    Cmd::new("promtool").cwd(workspace::root()).args(args).run()
}

fn prometheus(rules: &[Rule]) -> Result<()> {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", RULES])?;
    promtool(&["check", "config", "alerts/prometheus.yml"])?;
    let directory = tempfile::tempdir().context("a temporary directory")?;
    let file = directory.path().join("prometheus.yml");
    judge::write(&file, &with_choices(&read("alerts/prometheus.yml")?))?;
    println!("the same with the optional lines uncommented:");
    Cmd::new("promtool")
        .args(["check", "config", "--syntax-only"])
        .arg(&file)
        .shown_as("promtool check config")
        .run()?;
    let directory = workspace::root().join("alerts/tests");
    for entry in std::fs::read_dir(&directory).context("alerts/tests")? {
        let name = entry.context("alerts/tests")?.file_name().to_string_lossy().into_owned();
        if let Some(alert) = name.strip_suffix(".yml")
            && !alerts(rules).any(|rule| rule.name == alert)
        {
            return Err(format!("alerts/tests/{name} tests no alert of this name"));
        }
    }
    judge::shipped(rules)
}

/// The receiver of each severity in the example.
const RECEIVERS: &[(&str, &str)] = &[
    ("critical", "backup-critical"),
    ("warning", "backup-warning"),
    ("info", "backup-info"),
    ("none", "backup-watchdog"),
];

fn amtool() -> Cmd {
    Cmd::new("amtool").cwd(workspace::root())
}

fn alertmanager(rules: &[Rule]) -> Result<()> {
    const CONFIG: &str = "alerts/alertmanager.yml";
    amtool().args(["check-config", CONFIG]).run()?;
    uncommented(&read(CONFIG)?)?;
    for rule in alerts(rules) {
        let known = RECEIVERS.iter().find(|(severity, _)| *severity == rule.severity);
        let (_, receiver) = known.ok_or_else(|| format!("{} has no known severity", rule.name))?;
        amtool()
            .args(["config", "routes", "test", "--config.file", CONFIG])
            .arg(format!("--verify.receivers={receiver}"))
            .arg(format!("alertname={}", rule.name))
            .arg(format!("severity={}", rule.severity))
            .args(["job=qdrant-backup", "instance=backup-1"])
            .read()?;
    }
    println!("{} alerts reach their receivers", alerts(rules).count());
    let config = read(CONFIG)?;
    for name in config.split("alertname=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        if !alerts(rules).any(|rule| rule.name == name) {
            return Err(format!("{CONFIG} names {name}, and there is no such alert"));
        }
    }
    inhibition::check(rules, &config)?;
    remembered(&config)?;
    rendered("subject", "notification", "subject")?;
    rendered("text", "notification", "text")?;
    rendered("text", "many", "many")
}

/// After this time (`--data.retention`) Alertmanager forgets a notification and sends it again.
const RETENTION_SECONDS: u64 = 120 * 3600;

/// Checks that every notification is repeated before Alertmanager forgets it.
fn remembered(config: &str) -> Result<()> {
    for interval in config.lines().filter_map(|line| line.trim().strip_prefix("repeat_interval: ")) {
        if mutate::seconds_of(interval).is_none_or(|seconds| seconds >= RETENTION_SECONDS) {
            return Err(format!(
                "repeat_interval {interval} is not shorter than Alertmanager's memory of 120h"
            ));
        }
    }
    Ok(())
}

/// A file's text with its optional lines uncommented.
fn with_choices(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line))).collect()
}

/// Checks that Alertmanager also accepts the configuration with the optional lines uncommented.
fn uncommented(config: &str) -> Result<()> {
    let directory = tempfile::tempdir().context("a temporary directory")?;
    let templates = directory.path().join("templates");
    std::fs::create_dir(&templates).context("a temporary directory")?;
    let template = "templates/qdrant-backup.tmpl";
    judge::write(&directory.path().join(template), &read(&format!("alerts/{template}"))?)?;
    let file = directory.path().join("alertmanager.yml");
    judge::write(&file, &with_choices(config))?;
    println!("the same with the optional lines uncommented:");
    amtool().arg("check-config").arg(&file).shown_as("amtool check-config").run()
}

/// Checks that the template renders a notification to the stored text.
fn rendered(part: &str, notification: &str, kept: &str) -> Result<()> {
    let text = amtool()
        .args(["template", "render", "--template.glob=alerts/templates/*.tmpl"])
        .arg(format!("--template.text={{{{ template \"qdrant_backup.{part}\" . }}}}"))
        .arg(format!("--template.data=alerts/tests/alertmanager/{notification}.json"))
        .read()?;
    let expected = read(&format!("alerts/tests/alertmanager/{kept}.txt"))?;
    if text.trim_end() != expected.trim_end() {
        return Err(format!(
            "the template's {part} is not alerts/tests/alertmanager/{kept}.txt but:\n{text}"
        ));
    }
    println!("the message's {part} of {notification} is as expected");
    Ok(())
}
