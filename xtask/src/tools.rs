//! Tools that a step needs. One that is missing is installed, or the step fails; none is skipped.

use std::{
    path::{Path, PathBuf},
    sync::Once,
};

use crate::{
    sh::{Cmd, Context, Result},
    workspace,
};

/// Takes 2.5 minutes to build on two cores, once a machine.
const CARGO_DENY: &str = "0.20.2";
const CARGO_FUZZ: &str = "0.13.2";

/// A component of the toolchain (`rustfmt`, `clippy`), asked for by the cargo command that it brings.
pub(crate) fn rustup_component(component: &str, cargo_command: &str) -> Result<()> {
    if workspace::cargo().args([cargo_command, "--version"]).read().is_ok() {
        return Ok(());
    }
    Cmd::new("rustup").args(["component", "add", component]).run()
}

/// The path of cargo-deny, in the version that deny.toml was written for.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    of_cargo("cargo-deny", CARGO_DENY)
}

/// The path of cargo-fuzz, and the promise that there is the toolchain that it needs.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    Cmd::new("rustup").args(["run", "nightly", "rustc", "--version"]).read().map_err(|error| {
        format!("fuzzing needs a nightly toolchain: `rustup toolchain install nightly` ({error})")
    })?;
    of_cargo("cargo-fuzz", CARGO_FUZZ)
}

/// A program of cargo's, in exactly this version, installed beside the developer's own tools and not over them.
fn of_cargo(name: &str, version: &str) -> Result<PathBuf> {
    let wanted = format!("{name} {version}");
    let private = cargo_home()?.join("xtask").join(format!("{name}-{version}"));
    for program in [PathBuf::from(name), private.join("bin").join(name)] {
        if Cmd::new(&program).arg("--version").read().is_ok_and(|version| version.trim() == wanted) {
            return Ok(program);
        }
    }
    println!("{wanted} is not installed; building it takes some minutes");
    workspace::cargo()
        .args(["install", "--locked", "--force", "--root"])
        .arg(&private)
        .arg(format!("{name}@{version}"))
        .run()?;
    Ok(private.join("bin").join(name))
}

/// Makes sure that the program at `path` is there, from Debian's `package`.
pub(crate) fn debian(package: &str, path: &str) -> Result<()> {
    static UPDATED: Once = Once::new();
    if Path::new(path).exists() {
        return Ok(());
    }
    let apt_get = || Cmd::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
    let missing = format!("{path} is missing; install the Debian package {package}");
    let mut updated = Ok(());
    UPDATED.call_once(|| updated = apt_get().args(["update", "--quiet"]).run());
    updated.context(&missing)?;
    apt_get()
        .args(["install", "--yes", "--quiet", "--no-install-recommends", package])
        .run()
        .context(&missing)?;
    if Path::new(path).exists() {
        Ok(())
    } else {
        Err(format!("the Debian package {package} was installed, but brought no {path}"))
    }
}

/// Python's packages that judge our files: the client library whose parser reads our OpenMetrics output, the schemas of
/// Kubernetes, and a server of S3.
pub(crate) const JUDGES: &[&str] =
    &["prometheus_client==0.26.0", "kubernetes-validate==1.37.0", "moto[s3,server]==5.2.5"];

/// A step of `cargo xtask test`: what the tests call, installed before they run.
pub(crate) fn judges() -> Result<()> {
    alerting()?;
    // The archive format's own tools, and what counts the runner's syncs.
    debian("zstd", "/usr/bin/pzstd")?;
    debian("strace", "/usr/bin/strace")?;
    debian("chromium", "/usr/bin/chromium")?;
    // Without a font the browser shows no letter.
    debian("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")?;
    // What copies in other places are made with, and served by.
    debian("restic", "/usr/bin/restic")?;
    debian("rclone", "/usr/bin/rclone")?;
    python_with(JUDGES).map(drop)
}

/// What judges the alerts.
pub(crate) fn alerting() -> Result<()> {
    debian("prometheus", "/usr/bin/promtool")?;
    debian("prometheus-alertmanager", "/usr/bin/amtool")
}

/// Grafana's own models of its dashboards, as of its version 11.6. The plain name would bring those of 10.1.
pub(crate) const FOUNDATION_SDK: &str = "grafana-foundation-sdk==1769699379!11.6.0";

/// A Python of our own beside the built programs, where the tests look for it, with `packages` in these versions. Gives the
/// directory of its programs.
pub(crate) fn python_with(packages: &[&str]) -> Result<PathBuf> {
    let directory = workspace::bin_dir("python")?;
    let programs = directory.join("bin");
    let python = programs.join("python");
    let installed = Cmd::new(&python).args(["-m", "pip", "list", "--format", "freeze"]).read();
    let is_there = |wanted: &str, found: &str| found.lines().any(|line| line == without_extras(wanted));
    if installed.is_ok_and(|found| packages.iter().all(|wanted| is_there(wanted, &found))) {
        println!("{}", packages.join(", "));
        return Ok(programs);
    }
    // Debian's Python has no module for environments of its own without this package.
    debian("python3-venv", "/usr/share/doc/python3-venv")?;
    Cmd::new("python3").args(["-m", "venv"]).arg(&directory).run()?;
    Cmd::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages).run()?;
    Ok(programs)
}

/// A package as it is listed: `name[extra]==1` is `name==1`.
fn without_extras(package: &str) -> String {
    match (package.split_once('['), package.split_once(']')) {
        (Some((name, _)), Some((_, version))) => format!("{name}{version}"),
        _ => package.to_owned(),
    }
}

fn cargo_home() -> Result<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .ok_or_else(|| "neither CARGO_HOME nor HOME is set, so there is no place for tools".to_owned())
}
