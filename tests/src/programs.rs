//! Paths of the built programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of the built program `name`, as in `qdrant-backup`.
///
/// `cargo xtask test` builds the programs first and passes their directory in `QDRANT_BACKUP_BIN_DIR`. A plain
/// `cargo test` builds them here, once per process, so that no test runs an outdated program.
pub fn program(name: &str) -> PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| match std::env::var_os("QDRANT_BACKUP_BIN_DIR") {
        Some(directory) => directory.into(),
        None => build(),
    });
    let path = directory.join(name);
    assert!(path.is_file(), "{} is not built", path.display());
    path
}

/// Copies the program `name` to `to` in another process. If this process had the copy open for writing, programs that
/// other tests start at that moment would inherit it, and running the copy would fail with "text file busy".
pub fn copy_program(name: &str, to: &Path) {
    let copied = Command::new("cp").arg(program(name)).arg(to).status().expect("cp runs");
    assert!(copied.success(), "{name} cannot be copied to {}", to.display());
}

fn build() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--bins", "--manifest-path"])
        .arg(manifest)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the programs cannot be built");
    let test = std::env::current_exe().expect("a running test has a path");
    // The test is target/debug/deps/test-0123; the programs are two levels up.
    test.ancestors().nth(2).expect("tests are in target/<profile>/deps").to_owned()
}
