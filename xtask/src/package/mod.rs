//! A step of `cargo xtask test`: the complete life of the Debian package on a clean Debian, from installation to
//! purge.

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

/// Errors and warnings of lintian fail the step. Exceptions are in deploy/deb/lintian-overrides, with reasons.
const FAIL_ON: &str = "--fail-on=error,warning";

/// Builds, checks, installs, uses, upgrades and purges the package.
pub(crate) fn check() -> Result<()> {
    if Cmd::new("id").arg("-u").read()?.trim() != "0" {
        return Err("this installs a package into a Debian of its own (chroot), which only root can do; \
            run it as root, or leave it out with --skip package"
            .to_owned());
    }
    tools::debian("lintian", "/usr/bin/lintian")?;
    let out = tempfile::tempdir().context("a temporary directory")?;
    let packages = build(out.path())?;
    // lintian warns if it runs as root.
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
    println!("installed, used, upgraded, downgraded, removed and purged; the backups still exist");

    let root = Root::make()?;
    root.install(&packages.released)?;
    life::upgrade_from_released_and_go_back(&root, &packages)?;
    println!("version 0.1.0 was upgraded and downgraded; each version read what the other wrote");
    Ok(())
}
