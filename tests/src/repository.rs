//! Files of the repository that tests check: documents, examples, scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The path of a file of the repository.
pub fn path(file: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    root.join(file)
}

/// The text of a file of the repository.
///
/// # Panics
/// When it does not exist.
pub fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The text with every line that begins with `#:` uncommented: the optional parts of an example.
pub fn uncommented(text: &str) -> String {
    text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect()
}

/// A program that `cargo xtask test --only tools` installs with Python.
///
/// # Panics
/// When it is not installed.
pub fn python_program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    // The test is target/debug/deps/test-0123; the repository is three levels up.
    let target = test.ancestors().nth(3).expect("tests are in target/<profile>/deps");
    let program = target.join("python/bin").join(name);
    assert!(
        program.is_file(),
        "{} is missing; `cargo xtask test --only tools` installs it",
        program.display()
    );
    program
}

/// The documents of a YAML file of the repository, parsed by Python the way Kubernetes and Compose parse them,
/// including octal numbers, anchors and merges. `cargo xtask test --only tools` installs the required Python package.
///
/// # Panics
/// When it is not valid YAML, or the Python package is not installed.
pub fn yaml(file: &str) -> Vec<Value> {
    const PRINT: &str = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let input = fs::File::open(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let output = Command::new(python_program("python"))
        .args(["-c", PRINT])
        .stdin(input)
        .output()
        .expect("Python runs; `cargo xtask test --only tools` installs it");
    assert!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
