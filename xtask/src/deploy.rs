//! What Kubernetes, Compose and Prometheus say of the files in deploy/, by their own schemas and programs. That the files fit our
//! programs and each other is what the end-to-end tests look at.

use std::path::{Path, PathBuf};

use crate::{
    sh::{Cmd, Context, Result},
    tools, workspace,
};

const KUBERNETES: &str = "deploy/kubernetes";
/// The oldest Kubernetes that has all fields (a CronJob's time zone), and the newest whose schemas there are.
const VERSIONS: [&str; 2] = ["1.27.1", "1.37.0"];
const COMPOSE: &str = "deploy/docker/compose.yml";
const PROMETHEUS: &str = "deploy/docker/prometheus.yml";
const RULES: &str = "alerts/qdrant-backup.rules.yml";

/// A step of `cargo xtask test`. Every file is judged as it is, and with the lines that it comments out for some.
pub(crate) fn check_files() -> Result<()> {
    let directory = tempfile::tempdir().context("a temporary directory")?;
    kubernetes(directory.path())?;
    compose(directory.path())?;
    prometheus(directory.path())
}

fn kubernetes(directory: &Path) -> Result<()> {
    let judge = tools::python_with(tools::JUDGES)?.join("kubernetes-validate");
    let mut files: Vec<PathBuf> = workspace::files()?;
    files.retain(|file| file.starts_with(KUBERNETES));
    if files.is_empty() {
        return Err(format!("there is nothing in {KUBERNETES}"));
    }
    let uncommented: Vec<PathBuf> =
        files.iter().map(|file| uncommented(file, directory)).collect::<Result<_>>()?;
    for version in VERSIONS {
        Cmd::new(&judge)
            .shown_as("kubernetes-validate")
            .cwd(workspace::root())
            .args(["--strict", "--quiet", "-k", version])
            .args(files.iter().chain(&uncommented))
            .run()?;
    }
    Ok(())
}

/// Debian's Compose is of 2021 and knows the same format; it needs no daemon for this.
fn compose(directory: &Path) -> Result<()> {
    tools::debian("docker-compose", "/usr/bin/docker-compose")?;
    let uncommented = uncommented(Path::new(COMPOSE), directory)?;
    for file in [workspace::root().join(COMPOSE), uncommented] {
        Cmd::new("docker-compose")
            .cwd(workspace::root())
            .args(["--project-directory", "deploy/docker", "--profile", "cli", "--file"])
            .arg(file)
            .args(["config", "--quiet"])
            .run()?;
    }
    Ok(())
}

/// The configuration of the trial's Prometheus, beside the rules as compose.yml mounts them.
fn prometheus(directory: &Path) -> Result<()> {
    tools::alerting()?;
    for file in [PROMETHEUS, RULES] {
        uncommented(Path::new(file), directory)?;
    }
    Cmd::new("promtool").args(["check", "config"]).arg(directory.join("prometheus.yml")).run()
}

/// A copy of a file of the repository in `directory`, with the lines uncommented that begin with `#:`.
#[expect(clippy::disallowed_methods, reason = "a temporary file, not a backup")]
fn uncommented(file: &Path, directory: &Path) -> Result<PathBuf> {
    let text = workspace::read_text(file)?.ok_or_else(|| format!("{} is not text", file.display()))?;
    let lines: String =
        text.lines().map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line))).collect();
    let copy = directory.join(file.file_name().unwrap_or_default());
    std::fs::write(&copy, lines).context(copy.display())?;
    Ok(copy)
}
