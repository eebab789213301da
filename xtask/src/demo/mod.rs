//! `cargo xtask demo`: shows on one screen what the built programs do, in a temporary directory.

mod proof;
mod stage;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::atomic;

use self::stage::Stage;
use crate::serving::Serving;
use crate::sh::{Cmd, Context, Result};
use crate::{tree, workspace};

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Show every command with its output, the files, and an offsite copy
    #[arg(long, short)]
    verbose: bool,
    /// Keep the temporary directory and print its path
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(opts: &Opts) -> Result<()> {
    workspace::cargo().args(["build", "--quiet", "--workspace", "--bins", "--locked"]).run()?;
    let directory =
        tempfile::Builder::new().prefix("qdrant-backup-demo-").tempdir().context("temporary directory")?;
    let outcome = show(directory.path(), opts.verbose);
    if opts.keep {
        println!("\nkept for inspection: {}", directory.keep().display());
    } else {
        let path = directory.path().to_owned();
        directory.close().context(path.display())?;
    }
    outcome?;
    println!(
        "\nDEMO PASSED: backed up, proven without the programs, damaged, found out, replaced, restored."
    );
    Ok(())
}

fn show(directory: &Path, verbose: bool) -> Result<()> {
    let bin_dir = workspace::bin_dir("debug")?;
    let given = std::env::var("QDRANT_URL").ok().filter(|url| !url.is_empty());
    let stand_in = if given.is_some() { None } else { Some(Serving::stand_in(&bin_dir, &[])?) };
    let url = stand_in.as_ref().map_or(given.unwrap_or_default(), |stand_in| stand_in.url().to_owned());
    let which = if stand_in.is_some() { " (a stand-in with sample collections)" } else { "" };
    println!("\nQdrant at {}{which}. --verbose shows every command and file.\n", without_credentials(&url));
    let stage = Stage::new(&bin_dir, directory, url, stand_in.is_some(), verbose);
    let backups = stage.backups();

    stage.call(&["init"], 0)?;
    let said = stage.call(&["backup"], 0)?;
    stage.tell("Back up", &said.last, "Every collection is whole, or there is no backup of it.");
    let proven = proof::prove_all(backups)?;
    stage.detail(&proven.join("\n"));
    let archives = format!("{} archives decompressed and hashed by this demo's own code", proven.len());
    stage.tell("Prove", &archives, "Each has the checksum that Qdrant gave when it made the snapshot.");
    let said = stage.call(&["verify"], 0)?;
    stage.tell("Verify", &said.last, "Every byte was read back from the disk, down to the segments inside.");
    let exporter = stage.exporter()?;
    stage.tell(
        "Monitor",
        &exporter.verdict()?,
        "The exporter reads only the files, and says this in its metrics too.",
    );

    let (name, at) = damage(backups)?;
    let said = stage.call(&["verify"], 4)?;
    let done = format!("1 bit of {name} flipped, at byte {at}");
    stage.tell("Damage", &done, "As a failing disk does it: the size stays, and nothing complains.");
    stage.tell("Find it", &said.last, "Exit code 4. No restore would have used that archive.");
    stage.tell("Monitor", &exporter.verdict()?, "This is what wakes somebody up.");

    stage.call(&["backup"], 0)?;
    stage.call(&["verify"], 0)?;
    let said = stage.call(&["prune", "--bad", "--yes"], 0)?;
    stage.tell("Replace", &said.last, "A new backup was made first; the last good one is never deleted.");
    let new_server = Serving::stand_in(&bin_dir, &["--empty"])?;
    let said = stage.call(&["restore", "--all", "--to", new_server.url()], 0)?;
    stage.tell("Restore", &said.last, "To an empty server; the points are counted there.");
    stage.tell("Monitor", &exporter.verdict()?, "All is well again.");

    if verbose {
        show_a_copy(&stage, directory)?;
        println!("\n{}", tree::draw(backups)?);
    }
    Ok(())
}

/// Flips one bit in the middle of the largest archive, and returns its name and the offset.
fn damage(backups: &Path) -> Result<(String, u64)> {
    let mut largest: Option<(u64, PathBuf)> = None;
    for manifest in proof::manifests(backups)? {
        let directory = manifest.parent().unwrap_or(backups);
        for entry in std::fs::read_dir(directory).context(directory.display())? {
            let path = entry.context(directory.display())?.path();
            let size_bytes = std::fs::metadata(&path).context(path.display())?.len();
            if path.to_string_lossy().ends_with(".snapshot.gz")
                && largest.as_ref().is_none_or(|(most, _)| size_bytes > *most)
            {
                largest = Some((size_bytes, path));
            }
        }
    }
    let (size_bytes, path) = largest.ok_or("there is no archive to damage")?;
    let file = OpenOptions::new().read(true).write(true).open(&path).context(path.display())?;
    let (at, mut byte) = (size_bytes / 2, [0]);
    file.read_exact_at(&mut byte, at).context(path.display())?;
    file.write_all_at(&[byte[0] ^ 1], at).context(path.display())?;
    Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), at))
}

/// Copies the backups to an offsite place and lists the copies, if restic is installed.
fn show_a_copy(stage: &Stage, directory: &Path) -> Result<()> {
    if Cmd::new("restic").arg("version").read().is_err() {
        println!("\nrestic is not installed, so no offsite copy is shown (docs/offsite.md).");
        return Ok(());
    }
    let [config, password] = ["backup.yaml", "restic-password"].map(|name| directory.join(name));
    let repository = directory.join("another-disk");
    let yaml = format!(
        "offsite:\n  - name: nas\n    repository: {}\n    password_file: {}\n",
        repository.display(),
        password.display()
    );
    atomic::write(&password, 0o600, b"of a demonstration\n").context(password.display())?;
    atomic::write(&config, 0o644, yaml.as_bytes()).context(config.display())?;
    println!("\n$ cat {}\n{}", config.display(), yaml.trim_end());
    let config = config.display().to_string();
    for command in [&["offsite", "init", "nas"][..], &["offsite", "copy"], &["list", "--from", "nas"]] {
        stage.call(&[command, &["--config", &config]].concat(), 0)?;
    }
    Ok(())
}

/// The URL without credentials, because the part before `@` may contain a password.
fn without_credentials(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1))) {
        Some((scheme, host)) => format!("{scheme}://…@{host}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        assert_eq!(without_credentials("http://me:secret@db:6333/x"), "http://…@db:6333/x");
        assert_eq!(without_credentials("http://db:6333"), "http://db:6333");
    }
}
