//! Version, time and platform of a release.

use crate::{
    sh::{Cmd, Context, Result},
    workspace,
};

/// A release, and the Debian revision of its package.
#[derive(Clone)]
pub(crate) struct Release {
    /// The version in Cargo.toml.
    pub(crate) version: String,
    /// The package revision of this version, counted from 1.
    pub(crate) revision: u32,
    /// The timestamp of all files, in seconds since 1970, so that the same sources give the same bytes.
    pub(crate) epoch: u64,
    /// For example `x86_64-unknown-linux-gnu`.
    pub(crate) target: String,
}

impl Release {
    /// The release of the work tree.
    ///
    /// # Errors
    /// Outside of a git repository, unless `SOURCE_DATE_EPOCH` is set.
    pub(crate) fn find() -> Result<Self> {
        let metadata = workspace::metadata()?;
        let package = metadata["packages"]
            .as_array()
            .and_then(|packages| packages.iter().find(|package| package["name"] == "qdrant-backup-runner"));
        let version = package.and_then(|package| package["version"].as_str());
        let version = version.ok_or("cargo metadata names no version of the runner")?.to_owned();
        let rustc = Cmd::new("rustc").arg("-vV").read()?;
        let target = rustc.lines().find_map(|line| line.strip_prefix("host: "));
        let target = target.ok_or("rustc does not say what it compiles for")?.to_owned();
        Ok(Self { version, revision: 1, epoch: epoch()?, target })
    }

    /// The version in Debian's order: `1.0.0-rc.1` comes before `1.0.0`.
    pub(crate) fn debian_version(&self) -> String {
        format!("{}-{}", self.version.replace('-', "~"), self.revision)
    }

    /// The time of the release in a format of `date`.
    pub(crate) fn date(&self, format: &str) -> Result<String> {
        let date = Cmd::new("date").env("LC_ALL", "C").args(["-u", &format!("-d@{}", self.epoch), format]);
        Ok(date.read()?.trim().to_owned())
    }
}

/// The time of the last commit, or `SOURCE_DATE_EPOCH`.
fn epoch() -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => Cmd::new("git")
            .cwd(workspace::root())
            .args(["log", "-1", "--format=%ct"])
            .read()
            .context("the date of the sources is unknown; without git, set SOURCE_DATE_EPOCH")?,
    };
    text.trim().parse().context(format!("SOURCE_DATE_EPOCH {:?}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_older_than_its_release_and_times_are_utc() {
        let release = Release {
            version: "1.0.0-rc.1".to_owned(),
            revision: 2,
            epoch: 1_752_589_800,
            target: String::new(),
        };
        assert_eq!(release.debian_version(), "1.0.0~rc.1-2");
        assert_eq!(release.date("+%F %T").as_deref(), Ok("2025-07-15 14:30:00"));
    }
}
