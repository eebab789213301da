//! The tarball for systems without dpkg: `bin`, `share` and `lib` can be unpacked to /usr/local.

use std::path::Path;

use super::{Release, Stage};
use crate::{
    sh::{Cmd, Result},
    workspace,
};

impl Stage {
    /// Packs everything into `qdrant-backup-<version>-<target>.tar.gz`.
    pub(super) fn tarball(&self, release: &Release, out: &Path) -> Result<()> {
        let name = format!("qdrant-backup-{}-{}", release.version, release.target);
        Cmd::new("tar")
            .args(["--create", "--use-compress-program=gzip -n", "--format=gnu", "--sort=name"])
            .args(["--owner=0", "--group=0", "--numeric-owner", &format!("--mtime=@{}", release.epoch)])
            .args(["--transform=s,^usr/,,", &format!("--transform=s,^,{name}/,")])
            .arg("--file")
            .arg(out.join(format!("{name}.tar.gz")))
            .arg("--directory")
            .arg(self.root())
            .args(["etc", "lib", "usr/bin", "usr/share", "--directory"])
            .arg(workspace::root())
            .arg("LICENSE")
            .run()
    }
}
