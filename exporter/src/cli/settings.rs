//! The location of the backups: from command line, environment, `backup.yaml` or the default, in this order, as for
//! the runner.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::config_file::keys::{BACKUP_PATH, STATE_DIR};
use qdrant_backup_shared::config_file::{About, ConfigFile, Problem};
use qdrant_backup_shared::regular_file::{self, Links};
use qdrant_backup_shared::text::one_line;

use super::args::Cli;
use crate::stop::Stop;

/// Larger files are not configurations.
const MAX_BYTES: u64 = 1 << 20;

/// The directories to observe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// The backup directory.
    pub backup: PathBuf,
    /// The directory of the status files.
    pub state: PathBuf,
    /// Problems in `backup.yaml` that do not concern the exporter, one per line.
    pub warnings: Vec<String>,
}

impl Directories {
    /// Determines the directories. Without `--config`, the first existing file of `defaults` is read.
    ///
    /// # Errors
    /// When a configuration file cannot be read or parsed, or a path is relative.
    pub fn find(
        cli: &Cli,
        environment: &BTreeMap<OsString, OsString>,
        defaults: &[impl AsRef<Path>],
    ) -> Result<Self, Stop> {
        let (path, state_dir) = (BACKUP_PATH.about(), STATE_DIR.about());
        let variable = |about: &About| {
            let name = about.variable?;
            let value = environment.get(&OsString::from(name)).filter(|value| !value.is_empty())?;
            Some((name, PathBuf::from(value)))
        };
        let flag = |name, value: &Option<PathBuf>| Some((name, value.clone()?));
        let backup = flag("--backup-dir", &cli.backup_dir).or_else(|| variable(path));
        let state = flag("--state-dir", &cli.state_dir).or_else(|| variable(state_dir));
        let asked = [(path, &backup), (state_dir, &state)];
        let asked = asked.into_iter().filter(|(_, given)| given.is_none()).map(|(about, _)| about.key);
        let (config, warnings) = read_config(cli.config.as_deref(), defaults, &asked.collect::<Vec<_>>())?;
        let backup = match backup {
            Some(backup) => absolute(backup)?,
            None => config.get(&BACKUP_PATH).map_or_else(|| BACKUP_PATH.default_value(), |path| path.value),
        };
        let state = match state {
            Some(state) => absolute(state)?,
            None => config.get(&STATE_DIR).and_then(|path| path.value).unwrap_or_else(|| backup.clone()),
        };
        Ok(Self { backup, state, warnings })
    }
}

/// Paths on the command line may be relative to the current directory; paths in files and variables may not.
fn absolute((place, path): (&str, PathBuf)) -> Result<PathBuf, Stop> {
    let found = if place.starts_with("--") { std::path::absolute(path).ok() } else { Some(path) };
    found.filter(|path| path.is_absolute()).ok_or_else(|| {
        Stop::Configuration(format!("{place}: expected an absolute path, one that begins with /"))
    })
}

/// Reads `backup.yaml`: the requested file, which must exist, or the first existing default. Only the directories
/// that are not set elsewhere (`keys`) are used. Problems with other keys are reported, and the exporter continues.
fn read_config(
    asked: Option<&Path>,
    defaults: &[impl AsRef<Path>],
    keys: &[&str],
) -> Result<(ConfigFile, Vec<String>), Stop> {
    let paths = match asked {
        Some(path) => vec![path],
        None => defaults.iter().map(AsRef::as_ref).collect(),
    };
    for path in paths {
        match regular_file::read_text(path, Links::Follow, MAX_BYTES) {
            Ok(text) => return understand(path, &text, keys),
            Err(error)
                if asked.is_none()
                    && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => {
                let asked = if asked.is_some() { "--config" } else { "configuration" };
                let text = format!("{asked}: cannot read {}: {error}", path.display());
                return Err(Stop::Configuration(text));
            }
        }
    }
    Ok((ConfigFile::default(), Vec::new()))
}

fn understand(path: &Path, text: &str, keys: &[&str]) -> Result<(ConfigFile, Vec<String>), Stop> {
    let invalid = match ConfigFile::parse(path, text) {
        Ok(config) => return Ok((config, Vec::new())),
        Err(invalid) => invalid,
    };
    let concerns = |problem: &Problem| {
        problem.key.as_deref().is_none_or(|key| key == BACKUP_PATH.about().section() || keys.contains(&key))
    };
    let (ours, others): (Vec<_>, Vec<_>) = invalid.problems.into_iter().partition(concerns);
    if ours.is_empty() {
        Ok((*invalid.readable, others.iter().map(|problem| one_line(&problem.to_string())).collect()))
    } else {
        let lines: Vec<String> = ours.iter().map(Problem::to_string).collect();
        Err(Stop::Configuration(lines.join("\n")))
    }
}
