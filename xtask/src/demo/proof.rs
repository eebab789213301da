//! Verifies the programs' files without using the programs' code: every archive is decompressed and hashed here, and
//! compared with its manifest.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::sh::{Context, Result};
use crate::tree;

/// Checks every backup in the directory, and returns a description of each archive.
pub(super) fn prove_all(backups: &Path) -> Result<Vec<String>> {
    let mut proven = Vec::new();
    for manifest in &manifests(backups)? {
        proven.extend(prove(manifest)?);
    }
    if proven.is_empty() { Err(format!("there is no backup in {}", backups.display())) } else { Ok(proven) }
}

/// Every manifest of a backup, sorted.
pub(super) fn manifests(backups: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let collections = backups.join("collections");
    for collection in std::fs::read_dir(&collections).context(collections.display())? {
        let collection = collection.context(collections.display())?.path();
        for file in std::fs::read_dir(&collection).context(collection.display())? {
            let file = file.context(collection.display())?.path();
            if file.to_string_lossy().ends_with(".manifest.json") {
                found.push(file);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Checks every archive of a backup against its manifest.
fn prove(manifest: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(manifest).context(manifest.display())?;
    let json: Value = serde_json::from_str(&text).context(manifest.display())?;
    let archives =
        json["archives"].as_array().ok_or_else(|| format!("{}: no archives", manifest.display()))?;
    if archives.is_empty() {
        return Err(format!("{}: no archives", manifest.display()));
    }
    archives.iter().map(|archive| prove_archive(manifest, archive).context(manifest.display())).collect()
}

fn prove_archive(manifest: &Path, archive: &Value) -> Result<String> {
    let name = archive["file_name"].as_str().ok_or("an archive without a file name")?;
    let path = manifest.with_file_name(name);
    let open = || File::open(&path).map(BufReader::new).context(name);
    let stored = measure(open()?).context(name)?;
    let encoding: Vec<&str> =
        archive["encoding"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let snapshot = match encoding.as_slice() {
        [] => stored.clone(),
        ["gzip"] => {
            measure(MultiGzDecoder::new(open()?)).context(format!("{name} cannot be decompressed"))?
        }
        other => return Err(format!("{name} is encoded as {other:?}, which this command cannot read")),
    };
    compare(name, "stored", &stored, &archive["stored"])?;
    compare(name, "decompressed", &snapshot, &archive["snapshot"])?;
    let server = archive["server_checksum"].as_str().unwrap_or("missing");
    if server != "matched" {
        return Err(format!("{name}: the server's checksum is {server}, not matched"));
    }
    Ok(format!(
        "  {name}\n    stored       {}  {:>10}\n    decompressed {}  {:>10}  as in the manifest; server's checksum: {server}",
        stored.sha256,
        tree::human_size(stored.size_bytes),
        snapshot.sha256,
        tree::human_size(snapshot.size_bytes),
    ))
}

/// Length and digest of a stream.
#[derive(Clone, Debug, PartialEq)]
struct Measured {
    size_bytes: u64,
    sha256: String,
}

fn measure(mut reader: impl Read) -> std::io::Result<Measured> {
    let mut hasher = Sha256::new();
    let mut size_bytes = 0;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(Measured { size_bytes, sha256: hex::encode(hasher.finalize()) });
        }
        hasher.update(&buffer[..count]);
        size_bytes += count as u64;
    }
}

fn compare(name: &str, what: &str, measured: &Measured, recorded: &Value) -> Result<()> {
    let recorded = Measured {
        size_bytes: recorded["size_bytes"].as_u64().ok_or_else(|| format!("{name}: no {what} size"))?,
        sha256: recorded["sha256"].as_str().ok_or_else(|| format!("{name}: no {what} digest"))?.to_owned(),
    };
    if *measured == recorded {
        return Ok(());
    }
    Err(format!(
        "{name} {what}: the manifest says {} bytes with SHA-256 {}, but there are {} bytes with {}",
        recorded.size_bytes, recorded.sha256, measured.size_bytes, measured.sha256
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;

    use super::*;

    fn sha256(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    /// A directory with one backup whose manifest was changed by `change`.
    fn backup(change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let collection = directory.path().join("collections/docs");
        std::fs::create_dir_all(&collection).unwrap();
        let snapshot = b"a snapshot".repeat(100);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&snapshot).unwrap();
        let stored = encoder.finish().unwrap();
        let mut archive = json!({
            "file_name": "docs-1.snapshot.gz",
            "encoding": ["gzip"],
            "snapshot": {"size_bytes": snapshot.len(), "sha256": sha256(&snapshot)},
            "stored": {"size_bytes": stored.len(), "sha256": sha256(&stored)},
            "server_checksum": "matched",
        });
        change(&mut archive);
        let manifest = json!({"schema_version": 1, "archives": [archive]}).to_string();
        File::create(collection.join("docs-1.snapshot.gz")).unwrap().write_all(&stored).unwrap();
        File::create(collection.join("docs-1.manifest.json"))
            .unwrap()
            .write_all(manifest.as_bytes())
            .unwrap();
        directory
    }

    #[test]
    fn a_true_manifest_is_proven() {
        assert_eq!(prove_all(backup(|_| {}).path()).unwrap().len(), 1);
    }

    #[test]
    fn a_manifest_that_says_anything_else_is_not() {
        type Change = fn(&mut Value);
        let wrong: [(&str, Change); 5] = [
            ("decompressed", |archive| archive["snapshot"]["sha256"] = sha256(b"other").into()),
            ("decompressed", |archive| archive["snapshot"]["size_bytes"] = 1.into()),
            ("stored", |archive| archive["stored"]["sha256"] = sha256(b"other").into()),
            ("checksum is absent", |archive| archive["server_checksum"] = "absent".into()),
            ("encoded as", |archive| archive["encoding"] = json!(["zstd"])),
        ];
        for (expected, change) in wrong {
            let error = prove_all(backup(change).path()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_empty_directory_proves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("collections")).unwrap();
        assert!(prove_all(directory.path()).unwrap_err().contains("no backup"));
    }
}
