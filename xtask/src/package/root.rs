//! A minimal Debian in a directory, with dpkg, adduser, systemd's tools and three shells, but no running services.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use crate::{
    sh::{Cmd, Context, Result},
    tools, workspace,
};

/// Packages to install in addition to the essential ones.
const PACKAGES: &str = "adduser,bash-completion,fish,man-db,systemd,zsh";

/// A Debian root directory, removed when it is dropped.
pub(super) struct Root {
    directory: tempfile::TempDir,
}

impl Root {
    /// Unpacks a new root. It is downloaded once, which takes a minute or two, and cached in target/.
    pub(super) fn make() -> Result<Self> {
        let release = release()?;
        let kept = workspace::bin_dir("package")?;
        let tar = kept.join(format!("{release}-{}.tar", PACKAGES.replace(',', "-")));
        if !tar.exists() {
            download(&release, &tar)?;
        }
        let directory = tempfile::Builder::new().prefix("root-").tempdir_in(&kept).context(kept.display())?;
        Cmd::new("tar")
            .arg("--extract")
            .arg("--file")
            .arg(&tar)
            .arg("--directory")
            .arg(directory.path())
            .run()?;
        Ok(Self { directory })
    }

    /// The path outside the root of a path inside.
    pub(super) fn path(&self, absolute: &str) -> PathBuf {
        self.directory.path().join(absolute.trim_start_matches('/'))
    }

    /// Reads a file of the root.
    pub(super) fn text(&self, absolute: &str) -> Result<String> {
        fs::read_to_string(self.path(absolute)).context(absolute)
    }

    /// Replaces `from` in a file of the root, as an administrator would. Owner and mode stay.
    pub(super) fn edit(&self, absolute: &str, from: &str, to: &str) -> Result<()> {
        let text = self.text(absolute)?;
        if !text.contains(from) {
            return Err(format!("{absolute} has no {from:?}"));
        }
        #[expect(clippy::disallowed_methods, reason = "a file of a test, not a backup")]
        fs::write(self.path(absolute), text.replace(from, to)).context(absolute)
    }

    /// A program in the root, without this process's environment.
    pub(super) fn cmd(&self, program: &str) -> Cmd {
        Cmd::new("chroot").arg(self.directory.path()).args([
            "/usr/bin/env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C.UTF-8",
            "HOME=/tmp",
            "DEBIAN_FRONTEND=noninteractive",
            program,
        ])
    }

    /// Runs a shell script in the root and returns its output. Any exit code other than 0 is an error with the
    /// complete output.
    pub(super) fn sh(&self, script: &str) -> Result<String> {
        let output = self.output(self.cmd("sh").args(["-ec", script]))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("in the Debian root, `{script}` failed with {}: {said}{complaint}", output.status))
    }

    /// Output and exit status of a command.
    pub(super) fn output(&self, command: Cmd) -> Result<Output> {
        command.into_command().stdin(Stdio::null()).output().context("cannot run chroot")
    }

    /// Installs a package file from outside the root like a noninteractive `apt-get`: changed configuration files
    /// stay.
    pub(super) fn install(&self, package: &Path) -> Result<()> {
        let inside = self.path("/package.deb");
        fs::copy(package, &inside).context(package.display())?;
        self.dpkg(&["--force-confdef", "--force-confold", "--install", "/package.deb"])?;
        fs::remove_file(&inside).context(inside.display())
    }

    pub(super) fn dpkg(&self, args: &[&str]) -> Result<()> {
        self.cmd("dpkg").args(args).run()
    }
}

/// The Debian release that the programs are built on, for example `bookworm`.
fn release() -> Result<String> {
    let os = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let release = os.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    release.map(str::to_owned).ok_or_else(|| "/etc/os-release names no release of Debian".to_owned())
}

fn download(release: &str, tar: &Path) -> Result<()> {
    tools::debian("mmdebstrap", "/usr/bin/mmdebstrap")?;
    let directory = tar.parent().unwrap_or(tar);
    fs::create_dir_all(directory).context(directory.display())?;
    // Renamed when complete, because an incomplete file would be used forever.
    let partial = directory.join(format!("partial-{}.tar", std::process::id()));
    Cmd::new("mmdebstrap")
        .args(["--quiet", "--variant=essential", &format!("--include={PACKAGES}"), release])
        .arg(&partial)
        .run()?;
    #[expect(clippy::disallowed_methods, reason = "a file of a test, not a backup")]
    fs::rename(&partial, tar).context(tar.display())
}
