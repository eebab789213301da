//! The command for cron or systemd: the program and its files.

use std::path::{Path, PathBuf};

/// `qdrant-backup run` with its files.
#[derive(Debug, Clone)]
pub struct CommandLine {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// `--config`, if it is not the default.
    pub config: Option<PathBuf>,
    /// `--env-file`.
    pub env_file: Option<PathBuf>,
}

/// A path that needs quoting, for which cron's shell and systemd have different rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path {} cannot be used in a cron or systemd entry: it has characters other than letters, digits and . _ - + @ /", .0.display())]
pub struct UnusablePath(PathBuf);

impl CommandLine {
    /// The words of the command, with `options` after `run`.
    ///
    /// # Errors
    /// When a path needs quoting.
    pub fn words(&self, options: &[&str]) -> Result<String, UnusablePath> {
        let mut words = vec![plain(&self.program)?, "run".to_owned()];
        words.extend(options.iter().map(|option| (*option).to_owned()));
        for (option, path) in [("--config", &self.config), ("--env-file", &self.env_file)] {
            if let Some(path) = path {
                words.push(format!("{option} {}", plain(path)?));
            }
        }
        Ok(words.join(" "))
    }
}

/// A path without special characters for the shell, cron (% is a line break) and systemd (specifiers).
pub fn plain(path: &Path) -> Result<String, UnusablePath> {
    let text = path.to_str().ok_or_else(|| UnusablePath(path.to_owned()))?;
    let allowed = |character: char| character.is_ascii_alphanumeric() || "._-+@/".contains(character);
    if text.chars().all(allowed) { Ok(text.to_owned()) } else { Err(UnusablePath(path.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_need_quoting_are_refused() {
        let line = |config: &str| {
            let config = Some(PathBuf::from(config));
            CommandLine { program: "/usr/bin/qdrant-backup".into(), config, env_file: None }
                .words(&["--quiet"])
        };
        assert_eq!(
            line("/etc/b.yaml").as_deref(),
            Ok("/usr/bin/qdrant-backup run --quiet --config /etc/b.yaml")
        );
        for path in ["/etc/a b", "/etc/100%", "/etc/$x", "/etc/\n", "/etc/ü"] {
            assert!(line(path).is_err(), "{path}");
        }
    }
}
