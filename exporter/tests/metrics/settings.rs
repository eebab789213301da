//! The location of the backups: command line, environment, `backup.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Parser;
use qdrant_backup_exporter::cli::{Cli, Directories};
use qdrant_backup_exporter::stop::Stop;
use qdrant_backup_shared::atomic;
use qdrant_backup_shared::config_file::DEFAULT_BACKUP_PATH;

fn find(arguments: &[&str], variables: &[(&str, &str)], yaml: &str) -> Result<Directories, Stop> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backup.yaml");
    atomic::write(&file, 0o600, yaml.as_bytes()).unwrap();
    let cli = Cli::parse_from([&["x"], arguments].concat());
    let environment = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Directories::find(&cli, &environment, &[directory.path().join("none"), file])
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
    // A value that a flag overrides does not matter.
    let found = find(&["--backup-dir=/cli"], &[], "backup: {path: relative}\n").unwrap();
    assert!(found.backup == Path::new("/cli") && found.warnings[0].contains("backup.path: expected an"));
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let cli = Cli::parse_from(["x", "--config=/nowhere/backup.yaml"]);
    let error = Directories::find(&cli, &BTreeMap::new(), &["/none"]).unwrap_err().to_string();
    assert!(error.starts_with("--config: cannot read /nowhere/backup.yaml"), "{error}");
    let cli = Cli::parse_from(["x", "--config=/dev/zero"]);
    let error = Directories::find(&cli, &BTreeMap::new(), &["/none"]).unwrap_err().to_string();
    assert_eq!(error, "--config: cannot read /dev/zero: not a regular file");
}
