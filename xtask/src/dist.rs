//! `cargo xtask dist`: the programs as they are shipped.

use crate::{
    sh::{Cmd, Context, Result},
    tree, workspace,
};

pub(crate) fn run() -> Result<()> {
    // A release made from an archive of the sources has no repository to ask.
    let revision = Cmd::new("git").cwd(workspace::root()).args(["rev-parse", "HEAD"]).read();
    workspace::cargo()
        .env("QDRANT_BACKUP_REVISION", revision.unwrap_or_default().trim())
        .args(["build", "--locked", "--profile", "dist"])
        .args(["--package", "qdrant-backup-runner", "--package", "qdrant-backup-exporter", "--bins"])
        .run()?;
    for program in ["qdrant-backup", "qdrant-backup-exporter"] {
        let path = workspace::bin_dir("dist")?.join(program);
        let size_bytes = path.metadata().context(path.display())?.len();
        println!("{:>10}  {}", tree::human_size(size_bytes), path.display());
    }
    Ok(())
}
