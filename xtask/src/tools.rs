//! Tools that a step needs. A missing tool is installed, or the step fails; it is never skipped.

use std::{
    path::{Path, PathBuf},
    sync::Once,
};

use crate::{
    sh::{Cmd, Context, Result},
    workspace,
};

/// Takes 2.5 minutes to build on two cores, once per machine.
const CARGO_DENY: &str = "0.20.2";
const CARGO_FUZZ: &str = "0.13.2";

/// A component of the toolchain (`rustfmt`, `clippy`), identified by its cargo command.
pub(crate) fn rustup_component(component: &str, cargo_command: &str) -> Result<()> {
    if workspace::cargo().args([cargo_command, "--version"]).read().is_ok() {
        return Ok(());
    }
    Cmd::new("rustup").args(["component", "add", component]).run()
}

/// The path of cargo-deny in the version that deny.toml was written for.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    of_cargo("cargo-deny", CARGO_DENY)
}

/// The path of cargo-fuzz. Fails unless a nightly toolchain is installed.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    Cmd::new("rustup").args(["run", "nightly", "rustc", "--version"]).read().map_err(|error| {
        format!("fuzzing needs a nightly toolchain: `rustup toolchain install nightly` ({error})")
    })?;
    of_cargo("cargo-fuzz", CARGO_FUZZ)
}

/// A cargo program in exactly this version, installed separately from the developer's own tools.
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

/// Makes sure that the program at `path` exists, from the Debian package `package`.
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

/// Python packages that check our files: the client library that parses our OpenMetrics output, the Kubernetes
/// schemas, and an S3 server.
pub(crate) const JUDGES: &[&str] =
    &["prometheus_client==0.26.0", "kubernetes-validate==1.37.0", "moto[s3,server]==5.2.5"];

/// A step of `cargo xtask test`: installs the programs that the tests call.
pub(crate) fn judges() -> Result<()> {
    alerting()?;
    // The tools of the archive formats, and strace, which counts the runner's syncs.
    debian("zstd", "/usr/bin/pzstd")?;
    debian("strace", "/usr/bin/strace")?;
    debian("chromium", "/usr/bin/chromium")?;
    // Without a font the browser renders no text.
    debian("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")?;
    // The tools that make and serve offsite copies.
    debian("restic", "/usr/bin/restic")?;
    debian("rclone", "/usr/bin/rclone")?;
    python_with(JUDGES).map(drop)
}

/// The tools that check the alerts.
pub(crate) fn alerting() -> Result<()> {
    debian("prometheus", "/usr/bin/promtool")?;
    debian("prometheus-alertmanager", "/usr/bin/amtool")
}

/// Grafana's models of its dashboards, for version 11.6. Without a version, pip would install those for 10.1.
pub(crate) const FOUNDATION_SDK: &str = "grafana-foundation-sdk==1769699379!11.6.0";

/// A Python environment next to the built programs, where the tests look for it, with `packages` in these versions.
/// Returns the directory of its programs.
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
    // Debian's Python has no venv module without this package.
    debian("python3-venv", "/usr/share/doc/python3-venv")?;
    Cmd::new("python3").args(["-m", "venv"]).arg(&directory).run()?;
    Cmd::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages).run()?;
    Ok(programs)
}

/// A package as pip lists it: `name[extra]==1` is `name==1`.
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
