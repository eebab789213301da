//! `cargo xtask demo`: the built programs at work in a temporary directory, and a proof of what they wrote that
//! uses none of their code.

use std::{
    ffi::OsString,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    serving::Serving,
    sh::{Cmd, Context, Result},
    tree, workspace,
};

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Leave the temporary directory and say where it is
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    workspace::cargo().args(["build", "--workspace", "--bins", "--locked"]).run()?;
    let directory =
        tempfile::Builder::new().prefix("qdrant-backup-demo-").tempdir().context("temporary directory")?;
    let outcome = show(directory.path());
    if opts.keep {
        println!("\nleft for you to look at: {}", directory.keep().display());
    } else {
        let path = directory.path().to_owned();
        directory.close().context(path.display())?;
    }
    let proven = outcome?;
    println!(
        "\nDEMO PASSED: archives proven: {proven}, each with the digest in its manifest, which is the server's."
    );
    Ok(())
}

/// Runs the programs in `directory` and returns how many archives were proven.
fn show(directory: &Path) -> Result<usize> {
    let bin_dir = workspace::bin_dir("debug")?;
    let given = std::env::var("QDRANT_URL").ok().filter(|url| !url.is_empty());
    let stand_in = if given.is_some() { None } else { Some(Serving::stand_in(&bin_dir, &[])?) };
    let url = match (&stand_in, given) {
        (Some(stand_in), _) => {
            println!("\nThe Qdrant stand-in with its sample collections listens on {}", stand_in.url());
            stand_in.url().to_owned()
        }
        (None, given) => given.unwrap_or_default(),
    };

    let backups = directory.join("backups");
    let envs: [(&str, OsString); 3] = [
        ("QDRANT_URL", url.clone().into()),
        ("QDRANT_BACKUP_PATH", backups.clone().into()),
        ("BACKUP_SCHEDULE", "0 2 * * *".into()),
    ];
    println!("\n$ export QDRANT_URL={}", without_credentials(&url));
    println!("$ export QDRANT_BACKUP_PATH={}", backups.display());
    println!("$ export BACKUP_SCHEDULE='0 2 * * *'");
    for command in ["init", "backup", "list", "status"] {
        println!();
        let mut runner = Cmd::new(bin_dir.join("qdrant-backup")).shown_as("qdrant-backup").arg(command);
        for name in ["BACKUP_COMPRESSION", "BACKUP_RETENTION_DAYS"] {
            runner = runner.env_remove(name);
        }
        if stand_in.is_some() {
            runner = runner.env_remove("QDRANT_API_KEY").env_remove("QDRANT_API_KEY_FILE");
        }
        runner.quiet_envs(&envs).run()?;
    }

    show_a_copy(directory, &bin_dir, &envs)?;
    println!("\n{}", tree::draw(&backups)?);
    println!("Decompressed and hashed here, without the programs:");
    prove_all(&backups)
}

/// Copies what was backed up to another place, and lists it from there. Only where restic is installed.
fn show_a_copy(directory: &Path, bin_dir: &Path, envs: &[(&str, OsString)]) -> Result<()> {
    if Cmd::new("restic").arg("version").read().is_err() {
        println!("\nrestic is not installed, so no copy in another place is shown (docs/offsite.md).");
        return Ok(());
    }
    let [config, password] = ["backup.yaml", "restic-password"].map(|name| directory.join(name));
    let repository = directory.join("another-disk");
    let yaml = format!(
        "offsite:\n  - name: nas\n    repository: {}\n    password_file: {}\n",
        repository.display(),
        password.display()
    );
    std::fs::write(&password, "of a demonstration\n").context(password.display())?;
    std::fs::write(&config, &yaml).context(config.display())?;
    println!("\n$ cat {}\n{}", config.display(), yaml.trim_end());
    for command in [&["offsite", "init", "nas"][..], &["offsite", "copy"], &["list", "--from", "nas"]] {
        println!();
        let runner = Cmd::new(bin_dir.join("qdrant-backup")).shown_as("qdrant-backup").args(command);
        runner.arg("--config").arg(&config).quiet_envs(envs).run()?;
    }
    Ok(())
}

/// Checks every backup in the directory and returns the number of archives.
fn prove_all(backups: &Path) -> Result<usize> {
    let manifests = manifests(backups)?;
    let mut count = 0;
    for manifest in &manifests {
        count += prove(manifest)?;
    }
    if count == 0 { Err(format!("there is no backup in {}", backups.display())) } else { Ok(count) }
}

/// Every manifest of a collection's backup, in order.
fn manifests(backups: &Path) -> Result<Vec<PathBuf>> {
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

/// Checks every archive of a backup against its manifest and returns their number.
fn prove(manifest: &Path) -> Result<usize> {
    let text = std::fs::read_to_string(manifest).context(manifest.display())?;
    let json: Value = serde_json::from_str(&text).context(manifest.display())?;
    let archives =
        json["archives"].as_array().ok_or_else(|| format!("{}: no archives", manifest.display()))?;
    if archives.is_empty() {
        return Err(format!("{}: no archives", manifest.display()));
    }
    for archive in archives {
        prove_archive(manifest, archive).context(manifest.display())?;
    }
    Ok(archives.len())
}

fn prove_archive(manifest: &Path, archive: &Value) -> Result<()> {
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
    println!(
        "  {name}\n    stored       {}  {:>10}\n    decompressed {}  {:>10}  as in the manifest; server's checksum: {server}",
        stored.sha256,
        tree::human_size(stored.size_bytes),
        snapshot.sha256,
        tree::human_size(snapshot.size_bytes),
    );
    Ok(())
}

/// What a stream of bytes amounts to.
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

/// The URL as it may be shown: what comes before `@` may be a password.
fn without_credentials(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://…@{host}"),
        None => url.to_owned(),
    }
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

    /// A directory with one backup, whose manifest is as `change` left it.
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
        assert_eq!(prove_all(backup(|_| {}).path()), Ok(1));
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

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        assert_eq!(without_credentials("http://me:secret@db:6333/x"), "http://…@db:6333/x");
        assert_eq!(without_credentials("http://db:6333"), "http://db:6333");
    }
}
