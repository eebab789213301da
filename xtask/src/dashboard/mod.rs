//! Checks of `dashboards/qdrant-backup.json`: those in every test run, and with `cargo xtask dashboard` those that
//! need Grafana's own libraries, plus the screenshot.
//!
//! A test of the exporter runs the queries on a real Prometheus. This module checks only the rest.

mod model;
mod picture;
mod rules;
#[cfg(test)]
mod tests;

use crate::{
    alerts,
    sh::{Cmd, Context, Result},
    workspace,
};
use model::Dashboard;
pub(crate) use picture::run;

const DASHBOARD: &str = "dashboards/qdrant-backup.json";
const RUNBOOK: &str = "docs/runbook.md";

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(workspace::root().join(file)).context(file)
}

fn shipped() -> Result<Dashboard> {
    serde_json::from_str(&read(DASHBOARD)?).map(Dashboard).context(DASHBOARD)
}

/// A step of `cargo xtask test`.
pub(crate) fn check() -> Result<()> {
    let findings = findings(&shipped()?)?;
    for (of, what) in &findings {
        println!("{DASHBOARD}: {of}: {what}");
    }
    if !findings.is_empty() {
        return Err(format!("{} findings, shown above", findings.len()));
    }
    moved(&read(RUNBOOK)?)
}

/// The problems, each with its panel.
fn findings(dashboard: &Dashboard) -> Result<Vec<(String, String)>> {
    let mut findings = rules::unknown_is_not_fine(dashboard);
    findings.extend(rules::links_lead_to_the_runbook(dashboard, &alerts::runbook_base()?, &read(RUNBOOK)?));
    Ok(findings)
}

/// Checks the runbook's command for moving the runbook: afterwards no link to the old place remains in the rules or
/// here.
fn moved(runbook: &str) -> Result<()> {
    let line = runbook.lines().find(|line| line.starts_with("| where this page is |"));
    let command =
        line.and_then(|line| line.split('`').nth(1)).ok_or("the runbook says nowhere how to move it")?;
    let directory = tempfile::tempdir().context("a temporary directory")?;
    for copied in ["alerts", "dashboards"] {
        Cmd::new("cp").cwd(workspace::root()).args(["-r", copied]).arg(directory.path()).read()?;
    }
    // The bars in a table are escaped.
    Cmd::new("sh").cwd(directory.path()).args(["-c", &command.replace("\\|", "|")]).read()?;
    let base = alerts::runbook_base()?;
    let left = Cmd::new("grep").cwd(directory.path()).args(["-rlF", &base, "alerts", "dashboards"]).read();
    let left = left.unwrap_or_default();
    // A message and its rendered text. They match, wherever the page is.
    let left: Vec<&str> =
        left.lines().filter(|file| !file.starts_with("alerts/tests/alertmanager/")).collect();
    if left.is_empty() { Ok(()) } else { Err(format!("{command} leaves old links in {left:?}")) }
}
