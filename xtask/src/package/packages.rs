//! The packages under test.

use std::path::{Path, PathBuf};

use crate::{
    dist::{Release, Stage},
    sh::{Context, Result},
    workspace,
};

/// Version 0.1.0, as that version built it.
const RELEASED: &str = "tests/data/version-0.1.0/qdrant-backup_0.1.0-1_amd64.deb";

/// Versions of the package.
pub(super) struct Packages {
    pub(super) released: PathBuf,
    pub(super) first: PathBuf,
    /// A later version with different configuration files.
    pub(super) second: PathBuf,
}

/// The line that the later version adds to its configuration files.
pub(super) const NEWS: &str = "# News of the second version.";

pub(super) fn build(out: &Path) -> Result<Packages> {
    let mut release = Release::find()?;
    let stage = Stage::build("dev", &release)?;
    let first = stage.deb(&release, out)?;
    release.revision += 1;
    for name in ["backup.yaml", "env"] {
        let to = format!("etc/qdrant-backup/{name}");
        let text = std::fs::read_to_string(stage.path(&to)).context(&to)?;
        stage.add_text(&to, 0o640, format!("{text}\n{NEWS}\n"))?;
    }
    let second = stage.deb(&release, out)?;
    Ok(Packages { released: workspace::root().join(RELEASED), first, second })
}
