//! `dashboards/qdrant-backup.json`: what is checked in each run of the tests, and by `cargo xtask dashboard` the checks and
//! the picture that need Grafana's own libraries.

mod linter;
mod model;
mod own;
mod picture;
mod promql;
#[cfg(test)]
mod tests;

use crate::{
    alerts,
    sh::{Cmd, Context, Result},
    workspace,
};
use model::{Dashboard, Finding};
pub(crate) use picture::run;

const DASHBOARD: &str = "dashboards/qdrant-backup.json";
const EXCEPTIONS: &str = "dashboards/lint-exceptions.txt";
const RUNBOOK: &str = "docs/runbook.md";

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(workspace::root().join(file)).context(file)
}

fn shipped() -> Result<Dashboard> {
    serde_json::from_str(&read(DASHBOARD)?).map(Dashboard).context(DASHBOARD)
}

/// A step of `cargo xtask test`.
pub(crate) fn check() -> Result<()> {
    let dashboard = shipped()?;
    let findings = without_exceptions(all_findings(&dashboard)?, &read(EXCEPTIONS)?)?;
    for Finding { rule, of, what } in &findings {
        println!("{DASHBOARD}: {of}: {what} ({rule})");
    }
    println!(
        "{} panels and {} queries looked at, by {} rules of Grafana's linter and {} of our own",
        dashboard.panels().count(),
        dashboard.targets().count(),
        linter::RULES.len(),
        own::RULES.len() + 2
    );
    if !findings.is_empty() {
        return Err(format!("{} findings, shown above", findings.len()));
    }
    moved(&read(RUNBOOK)?)
}

/// What breaks any rule, without regard to exceptions.
fn all_findings(dashboard: &Dashboard) -> Result<Vec<Finding>> {
    let mut findings = linter::findings(dashboard, linter::RULES);
    findings.extend(linter::findings(dashboard, own::RULES));
    findings.extend(against_documents(dashboard)?);
    Ok(findings)
}

/// What is asked for or linked to, and is not in the documents.
fn against_documents(dashboard: &Dashboard) -> Result<Vec<Finding>> {
    let metrics = own::metrics(dashboard, &read("docs/metrics.md")?);
    let runbook = own::runbook(dashboard, &alerts::runbook_base()?, &read(RUNBOOK)?);
    let named = [("metrics", metrics), ("runbook", runbook)].into_iter();
    let findings =
        named.flat_map(|(rule, found)| found.into_iter().map(move |(of, what)| Finding { rule, of, what }));
    Ok(findings.collect())
}

/// The findings that no exception allows. A line is `rule | panel | reason`.
fn without_exceptions(mut findings: Vec<Finding>, exceptions: &str) -> Result<Vec<Finding>> {
    for line in exceptions.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let parts: Vec<&str> = line.split('|').map(str::trim).collect();
        let [rule, of, reason] = parts[..] else { return Err(format!("no exception: {line:?}")) };
        if reason.is_empty() {
            return Err(format!("the exception of {rule} for {of:?} gives no reason"));
        }
        let before = findings.len();
        findings.retain(|finding| (finding.rule, finding.of.as_str()) != (rule, of));
        if findings.len() == before {
            return Err(format!("the exception of {rule} for {of:?} is not needed"));
        }
    }
    Ok(findings)
}

/// The command by which the runbook says to move itself leaves no link to the old place, neither in the rules nor here.
fn moved(runbook: &str) -> Result<()> {
    let line = runbook.lines().find(|line| line.starts_with("| where this page is |"));
    let command =
        line.and_then(|line| line.split('`').nth(1)).ok_or("the runbook says nowhere how to move it")?;
    let directory = tempfile::tempdir().context("a temporary directory")?;
    for copied in ["alerts", "dashboards"] {
        Cmd::new("cp").cwd(workspace::root()).args(["-r", copied]).arg(directory.path()).read()?;
    }
    // A table's bars are escaped.
    Cmd::new("sh").cwd(directory.path()).args(["-c", &command.replace("\\|", "|")]).read()?;
    let base = alerts::runbook_base()?;
    let left = Cmd::new("grep").cwd(directory.path()).args(["-rlF", &base, "alerts", "dashboards"]).read();
    let left = left.unwrap_or_default();
    // A message and what is made of it, which agree with one another wherever the page is.
    let left: Vec<&str> =
        left.lines().filter(|file| !file.starts_with("alerts/tests/alertmanager/")).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("{command} leaves old links in {left:?}")) }
}
