//! A step of `cargo xtask test`: the Debian package on a clean Debian, from nothing and back to nothing.

mod life;
mod manual;
mod packages;
mod places;
mod root;
mod service;

use crate::{
    sh::{Cmd, Context, Result},
    tools,
};

use packages::build;
use root::Root;

/// What lintian calls an error or a warning fails; what is not one here is in deploy/deb/lintian-overrides, with the reason.
const FAIL_ON: &str = "--fail-on=error,warning";

/// Builds the package, and has it judged, installed, used, upgraded and purged.
pub(crate) fn check() -> Result<()> {
    if Cmd::new("id").arg("-u").read()?.trim() != "0" {
        return Err("this installs a package into a Debian of its own (chroot), which only root can do; \
            run it as root, or leave it out with --skip package"
            .to_owned());
    }
    tools::debian("lintian", "/usr/bin/lintian")?;
    let out = tempfile::tempdir().context("a temporary directory")?;
    let packages = build(out.path())?;
    // It warns about the user that it runs as.
    Cmd::new("lintian").args([FAIL_ON, "--allow-root"]).arg(&packages.first).run()?;

    let root = Root::make()?;
    let before = places::listing(&root)?;
    root.install(&packages.first)?;
    places::check_installed(&root)?;
    manual::check(&root)?;
    service::check_units(&root)?;
    let kept = life::use_upgrade_and_remove(&root, &packages)?;
    root.dpkg(&["--purge", "qdrant-backup"])?;
    places::check_gone(&root, &before)?;
    life::check_backups_are(&root, &kept)?;
    println!("installed, used, upgraded, taken back, removed and purged; the backups are still there");
    Ok(())
}
