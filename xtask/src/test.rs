//! `cargo xtask test`: everything that CI runs, in order, stopping at the first failure.
//!
//! A new check is one line in [`STEPS`] and one function.

use std::time::{Duration, Instant};

use crate::{
    acceptance, alerts, campaign, dashboard, deploy, links, package, pages, schema,
    sh::{Cmd, Result},
    structure, tools, workspace,
};

/// A step: its name on the command line, what it checks, and its function.
struct Step {
    name: &'static str,
    claim: &'static str,
    run: fn() -> Result<()>,
}

const fn step(name: &'static str, claim: &'static str, run: fn() -> Result<()>) -> Step {
    Step { name, claim, run }
}

/// The order of the steps, quick ones first. Steps that need the built programs come after `build`.
const STEPS: &[Step] = &[
    step("toolchain", "the toolchain is at least the one that Cargo.toml promises", toolchain),
    step("format", "the code is formatted", format),
    step("prose", "no machine's paths, registry hosts or unfinished business", prose),
    step("links", "links between the documents lead somewhere", links::check_files),
    step("structure", "no modules in a circle, and docs/architecture.md names them all", structure::check),
    step("scripts", "shell scripts parse, and shellcheck has nothing to say", scripts),
    step("dependencies", "licences, bans and sources are as deny.toml says", dependencies),
    step("clippy", "no lint warns", clippy),
    step("build", "the programs build", build),
    step("schema", "docs/schema/ is what the types say", schema::check_current),
    step("settings", "docs/configuration.md is what the declarations say", pages::settings_are_current),
    step("metrics", "docs/metrics.md is what the exporter's table says", pages::metrics_are_current),
    step(
        "reliability",
        "docs/reliability.md lists the defenses that are taken out on trial",
        campaign::page_is_current,
    ),
    step("tools", "the tools of others that judge our output are there", tools::judges),
    step(
        "alerts",
        "alert rules, their tests and Alertmanager's example hold, and no wrong rule passes",
        alerts::check_all,
    ),
    step("acceptance", "the points of the original task hold, as the document says", acceptance::check),
    step("deploy", "Kubernetes, Compose and Prometheus take the files in deploy/", deploy::check_files),
    step(
        "dashboard",
        "the Grafana dashboard links to the runbook, and unknown never looks fine",
        dashboard::check,
    ),
    step(
        "package",
        "the Debian package installs, works, upgrades and is gone after a purge, on a Debian of its own",
        package::check,
    ),
    step("doc", "the documentation builds without a warning", doc),
    step("tests", "unit, property and end-to-end tests pass", tests),
];

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Run only this step (can be repeated)
    #[arg(long, value_name = "STEP", value_parser = step_names())]
    only: Vec<String>,
    /// Skip this step (can be repeated)
    #[arg(long, value_name = "STEP", value_parser = step_names())]
    skip: Vec<String>,
    /// List the steps
    #[arg(long)]
    list: bool,
}

fn step_names() -> clap::builder::PossibleValuesParser {
    STEPS.iter().map(|step| step.name).collect::<Vec<_>>().into()
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    if opts.list {
        for Step { name, claim, .. } in STEPS {
            println!("{name:<13} {claim}");
        }
        return Ok(());
    }
    let wanted = |step: &&Step| {
        let named = |names: &[String]| names.iter().any(|name| name == step.name);
        (opts.only.is_empty() || named(&opts.only)) && !named(&opts.skip)
    };
    let steps: Vec<&Step> = STEPS.iter().filter(wanted).collect();
    if steps.is_empty() {
        return Err("nothing is left to run; --list shows the steps".to_owned());
    }
    let mut passed = Vec::new();
    let started = Instant::now();
    for Step { name, claim, run } in &steps {
        println!("\n== {name}: {claim}");
        let began = Instant::now();
        if let Err(error) = run() {
            let seconds = began.elapsed().as_secs_f64();
            return Err(format!(
                "step {name} failed after {seconds:.1} s: {error}; alone: cargo xtask test --only {name}"
            ));
        }
        println!("== {name}: ok, {:.1} s", began.elapsed().as_secs_f64());
        passed.push((*name, began.elapsed()));
    }
    print!("\n{}", times(&passed, started.elapsed()));
    Ok(())
}

fn times(passed: &[(&str, Duration)], total: Duration) -> String {
    let line = |name: &str, time: Duration| format!("{name:<13} {:>7.1} s\n", time.as_secs_f64());
    let mut text: String = passed.iter().map(|(name, time)| line(name, *time)).collect();
    text.push_str(&line("all", total));
    text.push_str("every step passed\n");
    text
}

fn toolchain() -> Result<()> {
    let printed = Cmd::new("rustc").arg("--version").read()?;
    let version = printed.split_whitespace().nth(1).unwrap_or_default();
    let metadata = workspace::metadata()?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or("a package");
        let promised =
            package["rust_version"].as_str().ok_or_else(|| format!("{name} has no rust-version"))?;
        if version_numbers(version) < version_numbers(promised) {
            return Err(format!("{name} needs Rust {promised}, and this is {version}"));
        }
    }
    println!("{}", printed.trim());
    Ok(())
}

/// The numbers of a version for comparison: `1.95.0-nightly` is 1, 95, 0.
fn version_numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers: Vec<u64> = release.split('.').map(|number| number.parse().unwrap_or(0)).collect();
    numbers.resize(3, 0);
    numbers
}

fn format() -> Result<()> {
    tools::rustup_component("rustfmt", "fmt")?;
    workspace::cargo().args(["fmt", "--all", "--check"]).run()?;
    workspace::cargo().args(["fmt", "--manifest-path=fuzz/Cargo.toml", "--check"]).run()
}

/// Extended regular expressions. The letter in brackets keeps them from matching this file.
const FORBIDDEN: &str = r"(^|[^[:alnum:]_.~}*-])(/ro[o]t/|/wo[r]k/|/tmp/w[t])
(static|index)\.crates\.i[o]|//crates\.i[o]|pypi\.or[g]|pythonhosted\.or[g]|registry\.npmjs\.or[g]|deb\.debian\.or[g]
(^|[^[:alnum:]_])(TOD[O]|FIXM[E])([^[:alnum:]_]|$)";

fn prose() -> Result<()> {
    // It exits with 1 if nothing matches, and with a higher code on errors.
    let grep = "git grep --untracked -nIE -e \"$1\"; test $? = 1";
    Cmd::new("sh").cwd(workspace::root()).args(["-c", grep, "sh", FORBIDDEN]).run()
}

fn scripts() -> Result<()> {
    tools::debian("shellcheck", "/usr/bin/shellcheck")?;
    let mut count = 0;
    for file in workspace::files()? {
        let Some(text) = workspace::read_text(&file)? else { continue };
        let named = file.extension().is_some_and(|extension| extension == "sh");
        if let Some(shell) = shell_of(text.lines().next().unwrap_or_default(), named) {
            Cmd::new(shell).cwd(workspace::root()).arg("-n").arg(&file).run()?;
            Cmd::new("shellcheck").cwd(workspace::root()).arg(format!("--shell={shell}")).arg(&file).run()?;
            count += 1;
        }
    }
    println!("{count} scripts checked");
    Ok(())
}

/// The shell for a file with this first line. None if it is not a shell script.
fn shell_of(first_line: &str, named_sh: bool) -> Option<&'static str> {
    let interpreter = first_line.strip_prefix("#!").unwrap_or_default();
    let name = interpreter.split(['/', ' ']).rfind(|word| !word.is_empty() && !word.starts_with('-'));
    match name {
        Some("bash") => Some("bash"),
        Some("sh" | "dash") => Some("sh"),
        _ if named_sh => Some("bash"),
        _ => None,
    }
}

fn dependencies() -> Result<()> {
    let cargo_deny = tools::cargo_deny()?;
    let check = |arguments: &[&str]| {
        let deny = Cmd::new(&cargo_deny).shown_as("cargo-deny").cwd(workspace::root()).args(arguments);
        deny.args(["--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]).run()
    };
    check(&["--workspace"])?;
    check(&["--manifest-path=fuzz/Cargo.toml", "--config=fuzz/deny.toml"])
}

fn clippy() -> Result<()> {
    tools::rustup_component("clippy", "clippy")?;
    workspace::cargo()
        .args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--locked",
            "--",
            "-D",
            "warnings",
        ])
        .run()
}

fn build() -> Result<()> {
    workspace::cargo().args(["build", "--workspace", "--bins", "--locked"]).run()
}

fn tests() -> Result<()> {
    // docs/recovery.md uses it for a restore, and so does its test.
    tools::debian("curl", "/usr/bin/curl")?;
    // The entries of `schedule` are tested with the real programs.
    tools::debian("cron", "/usr/sbin/cron")?;
    tools::debian("systemd", "/usr/bin/systemd-analyze")?;
    let mut counts = Counts::default();
    let outcome = workspace::cargo()
        .args(["test", "--workspace", "--locked", "--all-features", "--no-fail-fast"])
        .env("QDRANT_BACKUP_BIN_DIR", workspace::bin_dir("debug")?)
        .run_reading(|line| counts.add(line));
    let Counts { passed, failed, ignored } = counts;
    println!("\ntests: {passed} passed, {failed} failed, {ignored} skipped");
    outcome?;
    if passed == 0 { Err("no test ran".to_owned()) } else { Ok(()) }
}

/// The counts of all test programs together.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Adds the counts in a summary line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, summary)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in summary.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let number: u64 = number.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

fn doc() -> Result<()> {
    workspace::cargo()
        .args(["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(version_numbers("1.100.0") > version_numbers("1.95"));
        assert!(version_numbers("1.95.0-nightly") >= version_numbers("1.95"));
        assert!(version_numbers("1.94.9") < version_numbers("1.95"));
    }

    #[test]
    fn shell_scripts_are_known_by_their_first_line_or_name() {
        assert_eq!(shell_of("#!/usr/bin/env bash", false), Some("bash"));
        assert_eq!(shell_of("#!/bin/sh -e", false), Some("sh"));
        assert_eq!(shell_of("echo sourced", true), Some("bash"));
        assert_eq!(shell_of("#!/usr/bin/env python3", false), None);
        assert_eq!(shell_of("", false), None);
    }

    #[test]
    fn test_summaries_add_up() {
        let mut counts = Counts::default();
        counts.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        counts.add("test a::b ... ok");
        counts.add(
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s",
        );
        assert_eq!(counts, Counts { passed: 5, failed: 1, ignored: 1 });
    }

    #[test]
    fn steps_have_different_names() {
        let names: std::collections::BTreeSet<&str> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
    }
}
