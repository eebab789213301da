//! The Debian package, built with dpkg's own programs.

use std::path::{Path, PathBuf};

use super::{Release, Stage, files, stage::gzip};
use crate::{
    sh::{Cmd, Context, Result},
    tools, tree, workspace,
};

/// The directory of the package's control files and scripts.
const CONTROL: &str = "deploy/deb";

impl Stage {
    /// Adds the files that only the package has, builds it, and returns its path.
    pub(crate) fn deb(&self, release: &Release, out: &Path) -> Result<PathBuf> {
        tools::debian("dpkg-dev", "/usr/bin/dpkg-shlibdeps")?;
        let version = release.debian_version();
        let architecture = Cmd::new("dpkg").arg("--print-architecture").read()?.trim().to_owned();
        let doc = "usr/share/doc/qdrant-backup";
        self.add_text(&format!("{doc}/copyright"), 0o644, source("copyright")?)?;
        let changelog = gzip(changelog(&version, release)?.as_bytes()).context("the changelog")?;
        self.add_text(&format!("{doc}/changelog.Debian.gz"), 0o644, changelog)?;
        self.add_text("usr/share/lintian/overrides/qdrant-backup", 0o644, source("lintian-overrides")?)?;

        let installed_kib = tree::size_bytes(&self.path("usr"))?.div_ceil(1024).to_string();
        let control = source("control")?
            .replace("@VERSION@", &version)
            .replace("@ARCHITECTURE@", &architecture)
            .replace("@INSTALLED_SIZE@", &installed_kib)
            .replace("@DEPENDS@", &self.libraries()?);
        self.add_text("DEBIAN/control", 0o644, control)?;
        self.add_text("DEBIAN/conffiles", 0o644, self.conffiles()?)?;
        self.add_text("DEBIAN/md5sums", 0o644, self.md5sums()?)?;
        for script in ["postinst", "prerm", "postrm"] {
            self.add_text(&format!("DEBIAN/{script}"), 0o755, source(script)?)?;
        }

        let path = out.join(format!("qdrant-backup_{version}_{architecture}.deb"));
        let compression: &[&str] = if self.small { &["-Zxz"] } else { &["-Zgzip", "-z1"] };
        Cmd::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
            .args(["--root-owner-group", "--build"])
            .args(compression)
            .args([self.root(), &path])
            .run()?;
        Ok(path)
    }

    /// The Debian packages of the libraries that the programs need, in the format of `Depends`.
    fn libraries(&self) -> Result<String> {
        let directory = tempfile::tempdir().context("a temporary directory")?;
        let debian = directory.path().join("debian");
        std::fs::create_dir(&debian).context(debian.display())?;
        files::write(
            &debian.join("control"),
            "Source: qdrant-backup\n\nPackage: qdrant-backup\nArchitecture: any\n",
        )?;
        let printed = Cmd::new("dpkg-shlibdeps")
            .cwd(directory.path())
            .arg("-O")
            .args([self.path("usr/bin/qdrant-backup"), self.path("usr/bin/qdrant-backup-exporter")])
            .read()?;
        let depends = printed.trim().strip_prefix("shlibs:Depends=").filter(|depends| !depends.is_empty());
        depends.map(str::to_owned).ok_or_else(|| format!("dpkg-shlibdeps said {printed:?}"))
    }

    /// All files in /etc: dpkg keeps an administrator's changes to them.
    fn conffiles(&self) -> Result<String> {
        let files = files::below(&self.path("etc"))?;
        Ok(files.iter().map(|file| format!("/etc/{}\n", file.display())).collect())
    }

    fn md5sums(&self) -> Result<String> {
        let mut files = Vec::new();
        for part in ["lib", "usr"] {
            files.extend(files::below(&self.path(part))?.iter().map(|file| Path::new(part).join(file)));
        }
        Cmd::new("md5sum").cwd(self.root()).arg("--").args(&files).read()
    }
}

/// A source file of the package.
fn source(name: &str) -> Result<String> {
    let path = workspace::root().join(CONTROL).join(name);
    std::fs::read_to_string(&path).context(path.display())
}

/// Debian's changelog, in addition to the project's.
fn changelog(version: &str, release: &Release) -> Result<String> {
    let maintainer = source("control")?
        .lines()
        .find_map(|line| line.strip_prefix("Maintainer: ").map(str::to_owned))
        .ok_or("deploy/deb/control names no maintainer")?;
    Ok(format!(
        "qdrant-backup ({version}) stable; urgency=medium\n\n  * What is new is in changelog.gz.\n\n -- {maintainer}  {}\n",
        release.date("-R")?
    ))
}
