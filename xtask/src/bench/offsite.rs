//! A first copy of a backup to a new restic repository, compared with a manual `gunzip | restic backup --stdin` to
//! another one.

use std::path::{Path, PathBuf};

use qdrant_backup_shared::atomic;

use super::{
    lab::{COMPRESSIONS, Lab, shell},
    turns::{Row, Way, take_turns},
};
use crate::{
    sh::{Cmd, Context, Result},
    tools, tree,
};

const BY_HAND: &str = r#"
set -euo pipefail
gunzip -c "$1" | restic --quiet backup --stdin --stdin-filename snapshot
"#;

pub(super) fn run(lab: &Lab, rounds: u32) -> Result<Vec<Row>> {
    tools::debian("restic", "/usr/bin/restic")?;
    let (gzipped, _) = lab.backup("gzip")?;
    let archive = lab.archive(&gzipped)?;
    let mut ways = vec![Way::new("`gunzip | restic backup --stdin`", |scratch| {
        let place = Place::fresh(scratch)?;
        // Every restic in the shell uses these variables.
        let script = format!(
            "export RESTIC_REPOSITORY='{}' RESTIC_PASSWORD_FILE='{}'\n{BY_HAND}",
            place.repository.display(),
            place.password_file.display()
        );
        let sample = shell(scratch, &script, &[&archive])?;
        Ok((sample, Some(tree::size_bytes(&place.repository)?)))
    })];
    for compression in COMPRESSIONS.into_iter().filter(|compression| *compression != "gzip") {
        lab.backup(compression)?;
    }
    for compression in COMPRESSIONS {
        let backups = lab.directory().join(compression);
        ways.push(Way::new(format!("qdrant-backup, {compression}"), move |scratch| {
            let place = Place::fresh(scratch)?;
            let config = place.config.display().to_string();
            let sample =
                lab.measure(scratch, &backups, compression, &["offsite", "copy", "--config", &config])?;
            forget_records(&backups)?;
            Ok((sample, Some(tree::size_bytes(&place.repository)?)))
        }));
    }
    take_turns("offsite", rounds, &ways)
}

/// Creates a repository in a scratch directory, and a configuration with it.
struct Place {
    repository: PathBuf,
    password_file: PathBuf,
    config: PathBuf,
}

impl Place {
    fn fresh(scratch: &Path) -> Result<Self> {
        let [repository, password_file, config] =
            ["repository", "password", "backup.yaml"].map(|name| scratch.join(name));
        let write =
            |path: &Path, text: &str| atomic::write(path, 0o600, text.as_bytes()).context(path.display());
        write(&password_file, "of no secret\n")?;
        let yaml = format!(
            "offsite:\n  - name: bench\n    repository: {}\n    password_file: {}\n",
            repository.display(),
            password_file.display()
        );
        write(&config, &yaml)?;
        Cmd::new("restic")
            .args(["--quiet", "init"])
            .quiet_envs(&[
                ("RESTIC_REPOSITORY", repository.clone().into()),
                ("RESTIC_PASSWORD_FILE", password_file.clone().into()),
            ])
            .read()?;
        Ok(Self { repository, password_file, config })
    }
}

/// Deletes the records of copies in deleted repositories.
fn forget_records(backups: &Path) -> Result<()> {
    let directory = backups.join("collections").join(super::lab::COLLECTION);
    for entry in std::fs::read_dir(&directory).context(directory.display())?.flatten() {
        if entry.file_name().to_string_lossy().contains(".offsite-") {
            std::fs::remove_file(entry.path()).context(entry.path().display())?;
        }
    }
    Ok(())
}
