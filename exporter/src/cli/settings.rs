//! Where the backups are: command line, then environment, then `backup.yaml`, then the default, as for the runner.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use qdrant_backup_shared::config_file::keys::{BACKUP_PATH, STATE_DIR};
use qdrant_backup_shared::config_file::{About, ConfigFile, DEFAULT_FILES, Problem};
use qdrant_backup_shared::regular_file::{self, Links};
use qdrant_backup_shared::text::one_line;

use super::args::Cli;
use crate::stop::Stop;

/// Larger files are no configuration.
const MAX_BYTES: u64 = 1 << 20;

/// The directories to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// The backup directory.
    pub backup: PathBuf,
    /// The directory of the status files.
    pub state: PathBuf,
    /// What is wrong in `backup.yaml` without being of any concern here, a line each.
    pub warnings: Vec<String>,
}

impl Directories {
    /// Finds the directories.
    ///
    /// # Errors
    /// When a configuration file cannot be read or understood, or when a path is relative.
    pub fn find(cli: &Cli, environment: &BTreeMap<OsString, OsString>) -> Result<Self, Stop> {
        Self::find_with(cli, environment, &DEFAULT_FILES.map(PathBuf::from))
    }

    fn find_with(
        cli: &Cli,
        environment: &BTreeMap<OsString, OsString>,
        defaults: &[PathBuf],
    ) -> Result<Self, Stop> {
        let (path, state_dir) = (BACKUP_PATH.about(), STATE_DIR.about());
        let variable = |about: &About| {
            let name = about.variable?;
            let value = environment.get(&OsString::from(name)).filter(|value| !value.is_empty())?;
            Some((name.to_owned(), PathBuf::from(value)))
        };
        let flag = |name: &str, value: &Option<PathBuf>| Some((name.to_owned(), value.clone()?));
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

/// The flags are people's, who mean the directory they are in; files and variables are read from anywhere.
fn absolute((place, path): (String, PathBuf)) -> Result<PathBuf, Stop> {
    let found = if place.starts_with("--") { std::path::absolute(path).ok() } else { Some(path) };
    found.filter(|path| path.is_absolute()).ok_or_else(|| {
        Stop::Configuration(format!("{place}: expected an absolute path, one that begins with /"))
    })
}

/// Reads `backup.yaml`: the one asked for, which must exist, or the first default that does. Only what it says of the
/// directories that nobody else names (`keys`) counts; the exporter goes on watching when another key is wrong, and says so.
fn read_config(
    asked: Option<&Path>,
    defaults: &[PathBuf],
    keys: &[&str],
) -> Result<(ConfigFile, Vec<String>), Stop> {
    let paths = match asked {
        Some(path) => vec![path],
        None => defaults.iter().map(PathBuf::as_path).collect(),
    };
    for path in paths {
        match regular_file::read_text(path, Links::Follow, MAX_BYTES) {
            Ok(text) => return understand(path, &text, keys),
            Err(error) if asked.is_none() && is_absent(&error) => {}
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

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use qdrant_backup_shared::config_file::DEFAULT_BACKUP_PATH;

    use super::*;

    fn find(arguments: &[&str], variables: &[(&str, &str)], yaml: &str) -> Result<Directories, Stop> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("backup.yaml");
        qdrant_backup_shared::atomic::write(&file, 0o600, yaml.as_bytes()).unwrap();
        let cli = Cli::parse_from([&["x"], arguments].concat());
        let environment = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Directories::find_with(&cli, &environment, &[directory.path().join("none"), file])
    }

    #[test]
    fn command_line_before_environment_before_file_before_default() {
        let yaml = "backup: {path: /yaml, state_dir: /yaml-state}\n";
        let variables = [("QDRANT_BACKUP_PATH", "/env"), ("QDRANT_BACKUP_STATE_DIR", "")];
        let paths = |found: Directories| (found.backup, found.state);
        let is = |backup: &str, state: &str| (PathBuf::from(backup), PathBuf::from(state));
        assert_eq!(paths(find(&[], &[], "").unwrap()), is(DEFAULT_BACKUP_PATH, DEFAULT_BACKUP_PATH));
        assert_eq!(paths(find(&[], &[], yaml).unwrap()), is("/yaml", "/yaml-state"));
        assert_eq!(paths(find(&[], &variables, yaml).unwrap()), is("/env", "/yaml-state"));
        assert_eq!(
            paths(find(&["--backup-dir=/cli", "--state-dir=/s"], &variables, yaml).unwrap()),
            is("/cli", "/s")
        );
    }

    #[test]
    fn only_what_concerns_the_directories_stops_the_exporter() {
        let found = find(&[], &[], "backup: {path: /yaml}\nretention: {keep_dayz: 7}\n").unwrap();
        assert_eq!(found.backup, Path::new("/yaml"));
        assert!(found.warnings[0].ends_with("keep_dayz: unknown key; did you mean keep_days?"));
        for yaml in ["backup: {path: }\n", "backup: [\n", "backup: {path: relative}\n"] {
            assert!(find(&[], &[], yaml).is_err(), "{yaml}");
        }
        // What a flag says as well is of no concern.
        let found = find(&["--backup-dir=/cli"], &[], "backup: {path: relative}\n").unwrap();
        assert!(found.backup == Path::new("/cli") && found.warnings[0].contains("backup.path: expected an"));
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let cli = Cli::parse_from(["x", "--config=/nowhere/backup.yaml"]);
        let error = Directories::find_with(&cli, &BTreeMap::new(), &[]).unwrap_err().to_string();
        assert!(error.starts_with("--config: cannot read /nowhere/backup.yaml"), "{error}");
        let cli = Cli::parse_from(["x", "--config=/dev/zero"]);
        let error = Directories::find_with(&cli, &BTreeMap::new(), &[]).unwrap_err().to_string();
        assert_eq!(error, "--config: cannot read /dev/zero: not a regular file");
    }
}
