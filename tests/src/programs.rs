//! Where the built programs are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of the built program `name`, as in `qdrant-backup`.
///
/// `cargo xtask test` builds the programs first and says where they are in `QDRANT_BACKUP_BIN_DIR`; a plain `cargo test` has them
/// built here, once a process, so that no test ever runs yesterday's program.
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

/// Copies the program `name` to `to`. Another process does it: while this one has a file open for writing, whatever another
/// test starts at that moment has it open too, and the copy would be busy.
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
    // target/debug/deps/test-0123 is two below the programs.
    test.ancestors().nth(2).expect("tests lie in target/<profile>/deps").to_owned()
}
