//! `cargo xtask metrics`: docs/metrics.md, from the exporter's own table.

use crate::{
    sh::{Context, Result},
    workspace,
};

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Change nothing; fail when docs/metrics.md is not what would be written
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    let path = workspace::root().join("docs/metrics.md");
    let example =
        ["run", "--quiet", "--locked", "--package", "qdrant-backup-exporter", "--example", "reference"];
    let text = workspace::cargo().args(example).read()?;
    if !opts.check {
        #[expect(
            clippy::disallowed_methods,
            reason = "a file of the work tree, which git keeps, not a backup"
        )]
        std::fs::write(&path, text).context(path.display())?;
        println!("wrote docs/metrics.md");
        return Ok(());
    }
    let on_disk = std::fs::read_to_string(&path).context(path.display())?;
    if on_disk != text {
        return Err("docs/metrics.md has drifted; `cargo xtask metrics` writes it anew".to_owned());
    }
    println!("docs/metrics.md is current");
    Ok(())
}

/// A step of `cargo xtask test`.
pub(crate) fn check_current() -> Result<()> {
    run(&Opts { check: true })
}
