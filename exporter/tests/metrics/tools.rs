//! The tools of others that judge our output. A test fails when one is missing: `cargo xtask test --only tools`
//! installs them.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const INSTALL: &str = "`cargo xtask test --only tools` installs it";

/// Prints what Python's client library reads: one line a sample, as JSON.
const PARSE: &str = "\
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    for sample in family.samples:
        print(json.dumps([sample.name, sample.labels, float(sample.value)]))
";

fn pipe(command: &mut Command, input: &str) -> (bool, String) {
    let program = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be run: {error}; {INSTALL}", program.display()));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    drop(writer.join());
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    (output.status.success(), said)
}

/// `promtool check metrics` must have nothing to say.
#[track_caller]
pub fn promtool_check_metrics(text: &str) {
    let (ok, said) = pipe(Command::new("promtool").args(["check", "metrics"]), text);
    assert!(ok && said.is_empty(), "promtool says:\n{said}");
}

/// Every sample that `prometheus_client` finds.
#[track_caller]
pub fn parse_openmetrics(text: &str) -> Vec<(String, serde_json::Map<String, serde_json::Value>, f64)> {
    let python = python();
    let (ok, said) = pipe(Command::new(&python).args(["-c", PARSE]), text);
    assert!(ok, "prometheus_client says ({INSTALL}):\n{said}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The Python of the environment that `cargo xtask test --only tools` makes beside the built programs.
fn python() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // target/debug/deps/test-0123 is three below.
    let target = test.ancestors().nth(3).unwrap();
    target.join("python/bin/python")
}
