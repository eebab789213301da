//! Documentation pages that are generated from the code: `cargo xtask settings`, `cargo xtask metrics`.

use qdrant_backup_shared::config_file::reference;

use crate::{
    sh::{Context, Result},
    workspace,
};

const SETTINGS: &str = "docs/configuration.md";
const METRICS: &str = "docs/metrics.md";

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Change nothing; fail if the page is not current
    #[arg(long)]
    check: bool,
}

/// The table of keys and the example, from the declarations of the settings.
pub(crate) fn settings(opts: &Opts) -> Result<()> {
    let text = reference::fill(&read(SETTINGS)?).ok_or(format!("{SETTINGS} has lost its marks"))?;
    page(opts, SETTINGS, "settings", &text)
}

/// The table at the end of the page, from the exporter's own table.
pub(crate) fn metrics(opts: &Opts) -> Result<()> {
    let example =
        ["run", "--quiet", "--locked", "--package", "qdrant-backup-exporter", "--example", "reference"];
    let table = workspace::cargo().args(example).read()?;
    let text = read(METRICS)?;
    let words = table.lines().next().and_then(|head| text.split(head).next()).unwrap_or_default();
    page(opts, METRICS, "metrics", &format!("{words}{table}"))
}

/// A step of `cargo xtask test`.
pub(crate) fn settings_are_current() -> Result<()> {
    settings(&Opts { check: true })
}

/// A step of `cargo xtask test`.
pub(crate) fn metrics_are_current() -> Result<()> {
    metrics(&Opts { check: true })
}

fn page(opts: &Opts, page: &str, command: &str, text: &str) -> Result<()> {
    if !opts.check {
        #[expect(
            clippy::disallowed_methods,
            reason = "a file of the work tree, which git keeps, not a backup"
        )]
        std::fs::write(workspace::root().join(page), text).context(page)?;
        println!("wrote {page}");
        return Ok(());
    }
    if read(page)? != text {
        return Err(format!("{page} has drifted; `cargo xtask {command}` writes it anew"));
    }
    println!("{page} is current");
    Ok(())
}

fn read(page: &str) -> Result<String> {
    std::fs::read_to_string(workspace::root().join(page)).context(page)
}
