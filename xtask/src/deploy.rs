//! Checks the files in deploy/ with the schemas and programs of Kubernetes, Compose and Prometheus. The end-to-end
//! tests check that they match our programs and each other.

use std::path::{Path, PathBuf};

use crate::{
    sh::{Cmd, Context, Result},
    tools, workspace,
};

const KUBERNETES: &str = "deploy/kubernetes";
/// The oldest Kubernetes that has all fields (the time zone of a CronJob), and the newest with published schemas.
const VERSIONS: [&str; 2] = ["1.27.1", "1.37.0"];
const COMPOSE: &str = "deploy/docker/compose.yml";
const PROMETHEUS: &str = "deploy/docker/prometheus.yml";
const RULES: &str = "alerts/qdrant-backup.rules.yml";

/// A step of `cargo xtask test`. Checks every file as it is, and with the optional lines uncommented.
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

/// Debian's Compose is from 2021 but knows the same format. This needs no daemon.
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

/// The Prometheus configuration of the trial setup, next to the rules as in compose.yml.
fn prometheus(directory: &Path) -> Result<()> {
    tools::alerting()?;
    for file in [PROMETHEUS, RULES] {
        uncommented(Path::new(file), directory)?;
    }
    Cmd::new("promtool").args(["check", "config"]).arg(directory.join("prometheus.yml")).run()
}

/// Copies a file of the repository to `directory`, with the lines that begin with `#:` uncommented.
#[expect(clippy::disallowed_methods, reason = "a temporary file, not a backup")]
fn uncommented(file: &Path, directory: &Path) -> Result<PathBuf> {
    let text = workspace::read_text(file)?.ok_or_else(|| format!("{} is not text", file.display()))?;
    let lines: String =
        text.lines().map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line))).collect();
    let copy = directory.join(file.file_name().unwrap_or_default());
    std::fs::write(&copy, lines).context(copy.display())?;
    Ok(copy)
}
