//! `cargo xtask dist`: builds the release files in target/dist-out: a tarball, a Debian package and their digests.

mod deb;
mod files;
mod notices;
mod pages;
mod release;
mod stage;
mod tarball;

use std::path::Path;

use crate::{
    sh::{Cmd, Context, Result},
    tree, workspace,
};

pub(crate) use release::Release;
pub(crate) use stage::Stage;

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Build with another profile of Cargo.toml, such as `dev` or `release`, which is faster
    #[arg(long, default_value = "dist")]
    profile: String,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    let release = Release::find()?;
    let stage = Stage::build(&opts.profile, &release)?;
    let out = workspace::bin_dir("dist-out")?;
    if out.exists() {
        std::fs::remove_dir_all(&out).context(out.display())?;
    }
    std::fs::create_dir_all(&out).context(out.display())?;
    stage.tarball(&release, &out)?;
    stage.deb(&release, &out)?;
    digests(&out)
}

/// Writes SHA256SUMS in the format of `sha256sum --check`, and lists the files.
fn digests(out: &Path) -> Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(out).context(out.display())? {
        names.push(entry.context(out.display())?.file_name());
    }
    names.sort();
    let sums = Cmd::new("sha256sum").cwd(out).args(["--"]).args(&names).read()?;
    files::write(&out.join("SHA256SUMS"), &sums)?;
    print!("\n{}{sums}", tree::draw(out)?);
    Ok(())
}
