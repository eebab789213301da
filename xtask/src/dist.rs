//! `cargo xtask dist`: the programs as they are shipped.

use crate::{
    sh::{Context, Result},
    tree, workspace,
};

pub(crate) fn run() -> Result<()> {
    workspace::cargo()
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
