//! The licenses of the crates in the programs, which must be distributed with them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    sh::{Context, Result},
    workspace,
};

/// The prefixes of license and notice files.
const NAMES: &[&str] = &["license", "licence", "copying", "copyright", "notice", "unlicense"];

/// One text: a list of the crates with their licenses, then each license text once with the crates that use it.
pub(super) fn text(target: &str) -> Result<String> {
    let mut found = Vec::new();
    for (name, manifest, licence) in crates(target)? {
        let directory = manifest.parent().unwrap_or(&manifest);
        found.push((format!("{name} ({licence})"), texts(directory)?));
    }
    if found.is_empty() {
        return Err("cargo tree names no crate that the programs are made of".to_owned());
    }
    Ok(together(&found))
}

/// Every linked third-party crate: name and version, manifest, license.
fn crates(target: &str) -> Result<Vec<(String, PathBuf, String)>> {
    let tree = workspace::cargo()
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args([
            "--target",
            target,
            "--package",
            "qdrant-backup-runner",
            "--package",
            "qdrant-backup-exporter",
        ])
        .read()?;
    let linked: BTreeSet<String> = tree.lines().filter_map(name_and_version).collect();
    let metadata = workspace::cargo()
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target])
        .read()?;
    let metadata: Value = serde_json::from_str(&metadata).context("what cargo metadata prints")?;
    let mut crates = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let name = format!("{} {}", text("name"), text("version"));
        if linked.contains(&name) && !package["source"].is_null() {
            crates.push((name, PathBuf::from(text("manifest_path")), text("license")));
        }
    }
    crates.sort();
    Ok(crates)
}

/// Returns `serde 1.0.1` for `serde v1.0.1 (proc-macro)`.
fn name_and_version(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
}

/// The license texts in a crate.
fn texts(directory: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(directory).context(directory.display())? {
        let path = entry.context(directory.display())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if path.is_file() && NAMES.iter().any(|wanted| name.starts_with(wanted)) {
            let text = std::fs::read(&path).context(path.display())?;
            texts.push(String::from_utf8_lossy(&text).replace('\r', "").trim().to_owned());
        }
    }
    Ok(texts)
}

/// Crates and their texts, each text once.
fn together(crates: &[(String, Vec<String>)]) -> String {
    let mut by_text: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut all = "The programs contain these crates, under these licences:\n\n".to_owned();
    for (name, texts) in crates {
        let remark = if texts.is_empty() { ", which comes without a text" } else { "" };
        all.push_str(&format!("  {name}{remark}\n"));
        for text in texts {
            by_text.entry(text).or_default().push(name);
        }
    }
    for (text, names) in by_text {
        let line = "-".repeat(80);
        all.push_str(&format!("\n{line}\n{}\n{line}\n\n{text}\n", names.join("\n")));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_there_once_with_every_crate_that_has_it() {
        let apache = || "Apache text".to_owned();
        let crates = [
            ("a 1 (MIT OR Apache-2.0)".to_owned(), vec!["MIT of A".to_owned(), apache()]),
            ("b 2 (Apache-2.0)".to_owned(), vec![apache()]),
            ("c 3 (MIT)".to_owned(), vec![]),
        ];
        let text = together(&crates);
        assert_eq!(text.matches("Apache text").count(), 1);
        assert!(text.contains("a 1 (MIT OR Apache-2.0)\nb 2 (Apache-2.0)\n---"), "{text}");
        assert!(text.contains("  c 3 (MIT), which comes without a text\n"), "{text}");
    }

    #[test]
    fn names_are_read_from_cargo_tree() {
        assert_eq!(name_and_version("serde v1.0.1 (proc-macro)").as_deref(), Some("serde 1.0.1"));
        assert_eq!(name_and_version(""), None);
    }
}
