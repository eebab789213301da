//! The file tree from which the tarball and the package are made.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

use super::{
    Release,
    files::{self, Built, Form, Shipped},
    notices, pages,
};
use crate::{
    sh::{Cmd, Context, Result},
    workspace,
};

/// All shipped files in a temporary directory, with the same paths as below `/`.
pub(crate) struct Stage {
    directory: tempfile::TempDir,
    /// Whether to optimize compression for size instead of speed.
    pub(super) small: bool,
}

impl Stage {
    /// Builds the programs with a profile, and the generated files.
    pub(crate) fn build(profile: &str, release: &Release) -> Result<Self> {
        let programs = programs(profile)?;
        let manual = manual(release)?;
        let directory = tempfile::Builder::new().prefix("qdrant-backup-stage-").tempdir();
        let stage = Self { directory: directory.context("a temporary directory")?, small: profile == "dist" };
        for shipped in files::list(&Built { programs: &programs, manual: manual.path() })? {
            stage.add(&shipped)?;
        }
        let notices = gzip(notices::text(&release.target)?.as_bytes()).context("the licences")?;
        stage.add_text("usr/share/doc/qdrant-backup/third-party-licenses.txt.gz", 0o644, notices)?;
        stage.set_mode("etc/qdrant-backup", 0o750)?;
        Ok(stage)
    }

    /// The staged path of a file below `/`.
    pub(crate) fn path(&self, to: &str) -> PathBuf {
        self.directory.path().join(to)
    }

    fn add(&self, shipped: &Shipped) -> Result<()> {
        let to = self.path(&shipped.to);
        self.make_directories(&shipped.to)?;
        match shipped.form {
            Form::Plain => drop(fs::copy(&shipped.source, &to).context(shipped.source.display())?),
            Form::Gzip => {
                let text = fs::read(&shipped.source).context(shipped.source.display())?;
                files::write(&to, gzip(&text).context(to.display())?)?;
            }
            Form::Document => files::write(&to, pages::installed(shipped)?)?,
            Form::Program => Cmd::new("strip").arg("-o").args([&to, &shipped.source]).read().map(drop)?,
        }
        self.set_mode(&shipped.to, shipped.mode)
    }

    /// Writes a generated file.
    pub(crate) fn add_text(&self, to: &str, mode: u32, text: impl AsRef<[u8]>) -> Result<()> {
        self.make_directories(to)?;
        files::write(&self.path(to), text)?;
        self.set_mode(to, mode)
    }

    /// Creates the parent directories of `to` with a fixed mode, whatever the umask is.
    fn make_directories(&self, to: &str) -> Result<()> {
        let above: Vec<&Path> = Path::new(to).ancestors().skip(1).collect();
        for directory in above.iter().rev().map(|above| self.directory.path().join(above)) {
            if !directory.is_dir() {
                fs::create_dir(&directory).context(directory.display())?;
                fs::set_permissions(&directory, Permissions::from_mode(0o755))
                    .context(directory.display())?;
            }
        }
        Ok(())
    }

    fn set_mode(&self, to: &str, mode: u32) -> Result<()> {
        let path = self.path(to);
        fs::set_permissions(&path, Permissions::from_mode(mode)).context(path.display())
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> &Path {
        self.directory.path()
    }
}

/// Builds the programs and returns their directory.
fn programs(profile: &str) -> Result<PathBuf> {
    let build = workspace::cargo();
    if profile == "dev" {
        // With the same options as the tests, so that nothing is built twice.
        build.args(["build", "--workspace", "--bins", "--locked"]).run()?;
        return workspace::bin_dir("debug");
    }
    // A release built from a source archive has no git repository.
    let revision = Cmd::new("git").cwd(workspace::root()).args(["rev-parse", "HEAD"]).read();
    build
        .env("QDRANT_BACKUP_REVISION", revision.unwrap_or_default().trim())
        .args(["build", "--locked", "--profile", profile])
        .args(["--package", "qdrant-backup-runner", "--package", "qdrant-backup-exporter", "--bins"])
        .run()?;
    workspace::bin_dir(profile)
}

/// Writes manual pages and completions into a temporary directory.
fn manual(release: &Release) -> Result<tempfile::TempDir> {
    workspace::cargo().args(["build", "--workspace", "--bins", "--locked"]).run()?;
    let directory = tempfile::tempdir().context("a temporary directory")?;
    Cmd::new(workspace::bin_dir("debug")?.join("manual"))
        .args(["--date", &release.date("+%F")?])
        .arg(directory.path())
        .read()?;
    Ok(directory)
}

/// Compresses as well as possible, without a name or time in the header.
pub(super) fn gzip(text: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text)?;
    encoder.finish()
}
