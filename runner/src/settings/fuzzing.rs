//! Fuzz targets for `backup.yaml` with everything derived from it, and for env files.

#![expect(clippy::unwrap_used, reason = "a broken promise ends the run")]

use std::collections::BTreeMap;
use std::path::Path;

use qdrant_backup_shared::config_file::ConfigFile;
use qdrant_backup_shared::config_file::keys::variables;
use qdrant_backup_shared::fuzzing::{assert_line, text};

use super::env_file::{EnvFile, assignments};
use super::opts::{Keys, Opts};
use super::{Settings, render_settings, settings_json};

/// A `backup.yaml`. Files named in it are not read.
pub fn configuration(data: &[u8]) {
    let text = text(data);
    let path = Path::new("/etc/qdrant-backup/backup.yaml");
    let lines = text.split(['\n', '\r']).count();
    if let Err(invalid) = ConfigFile::parse(path, &text) {
        assert!(!invalid.problems.is_empty());
        for problem in &invalid.problems {
            assert_line(&problem.to_string());
            // The end of the text is on the line after the last.
            assert!(
                problem.line.is_none_or(|line| (1..=lines + 1).contains(&line)),
                "{problem} of {lines} lines"
            );
        }
    }
    let opts = Opts { keys: Keys::Unneeded, ..Opts::default() };
    match Settings::of_text(path, &text, &opts, &BTreeMap::new()) {
        Ok(settings) => {
            render_settings(&settings);
            settings_json(&settings);
            settings.warnings.iter().for_each(|warning| assert_line(warning));
        }
        Err(error) => error.problems.iter().for_each(|problem| assert_line(problem)),
    }
}

/// An env file, with our variables and those of another program.
pub fn env_file(data: &[u8]) {
    let text = text(data);
    let (file, problems) = EnvFile::parse(Path::new("/etc/qdrant-backup/env"), &text);
    problems.iter().chain(&file.warnings).for_each(|line| assert_line(line));
    file.has_secret();
    for name in variables() {
        let Some((line, value)) = file.get(name) else { continue };
        assert!(line <= text.lines().count() && !value.contains('\n'));
        if !value.contains('\'') {
            let (again, problems) = EnvFile::parse(Path::new("env"), &format!("{name}='{value}'"));
            assert!(problems.is_empty(), "{problems:?}");
            assert_eq!(again.get(name), Some((1, value)));
        }
    }
    match assignments(&text) {
        Ok(values) => {
            let quoted = values.iter().filter(|(_, value)| !value.contains('\''));
            let written: String = quoted.clone().map(|(name, value)| format!("{name}='{value}'\n")).collect();
            let again = assignments(&written).unwrap();
            assert!(again.iter().eq(quoted));
        }
        Err(problem) => assert_line(&problem),
    }
}
