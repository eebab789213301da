//! `cargo xtask settings`: the table of keys and the example in docs/configuration.md, from the declarations of the settings.

use qdrant_backup_shared::config_file::reference;

use crate::{
    sh::{Context, Result},
    workspace,
};

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Change nothing; fail when docs/configuration.md is not what would be written
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    let path = workspace::root().join("docs/configuration.md");
    let on_disk = std::fs::read_to_string(&path).context(path.display())?;
    let text = reference::fill(&on_disk).ok_or("docs/configuration.md has lost its marks")?;
    if !opts.check {
        #[expect(
            clippy::disallowed_methods,
            reason = "a file of the work tree, which git keeps, not a backup"
        )]
        std::fs::write(&path, text).context(path.display())?;
        println!("wrote docs/configuration.md");
        return Ok(());
    }
    if on_disk != text {
        return Err("docs/configuration.md has drifted; `cargo xtask settings` writes it anew".to_owned());
    }
    println!("docs/configuration.md is current");
    Ok(())
}

/// A step of `cargo xtask test`.
pub(crate) fn check_current() -> Result<()> {
    run(&Opts { check: true })
}
