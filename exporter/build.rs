//! Passes build information to the program: the compiler, and the commit if it is known.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=QDRANT_BACKUP_REVISION");
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let compiler = printed(&rustc, &["--version"]).unwrap_or_default();
    let rust_version = compiler.split_whitespace().nth(1).unwrap_or("unknown");
    println!("cargo::rustc-env=QDRANT_BACKUP_RUST_VERSION={rust_version}");
    // `cargo xtask dist` sets the commit. A commit read from git here would soon be outdated, because a new commit
    // does not trigger a rebuild, and a wrong revision is worse than none.
    let revision = std::env::var("QDRANT_BACKUP_REVISION").unwrap_or_default();
    println!("cargo::rustc-env=QDRANT_BACKUP_BUILT_FROM={revision}");
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=QDRANT_BACKUP_TARGET={target}");
}

fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
