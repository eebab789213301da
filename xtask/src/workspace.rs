//! Paths: the repository, its files, and the directory that cargo builds into.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sh::{Cmd, Context, Result};

/// The root directory of the repository.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// A cargo command in the root directory.
pub(crate) fn cargo() -> Cmd {
    Cmd::new("cargo").cwd(root())
}

/// Cargo's metadata about the workspace's own packages.
pub(crate) fn metadata() -> Result<Value> {
    let text = cargo().args(["metadata", "--no-deps", "--format-version", "1", "--locked"]).read()?;
    serde_json::from_str(&text).context("what cargo metadata prints")
}

/// The directory that cargo builds into.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata = metadata()?;
    let target = metadata["target_directory"].as_str().ok_or("cargo metadata names no target directory")?;
    Ok(PathBuf::from(target))
}

/// The directory of the programs built with a profile (`debug`, `release`, `dist`).
pub(crate) fn bin_dir(profile: &str) -> Result<PathBuf> {
    Ok(target_dir()?.join(profile))
}

/// Every file that is in the repository or could be committed, as a relative path, sorted.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let listed = Cmd::new("git")
        .cwd(root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .read()?;
    let mut files: Vec<PathBuf> =
        listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// The contents of a file of the repository. None if it is not text.
pub(crate) fn read_text(file: &Path) -> Result<Option<String>> {
    let bytes = std::fs::read(root().join(file)).context(file.display())?;
    if bytes.contains(&0) {
        return Ok(None);
    }
    Ok(String::from_utf8(bytes).ok())
}
