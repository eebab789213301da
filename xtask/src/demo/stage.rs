//! The environment of the demo: the programs, a directory, a server, and the output.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::daemon::Daemon;
use crate::sh::{Cmd, Context, Result};

/// The programs and their environment.
pub(super) struct Stage {
    bin_dir: PathBuf,
    backups: PathBuf,
    envs: [(&'static str, OsString); 3],
    /// Variables of the caller that would change the demo.
    removed: &'static [&'static str],
    verbose: bool,
}

/// Output of a program.
pub(super) struct Said {
    /// The last log line without time and level.
    pub last: String,
}

impl Stage {
    /// A demo in `directory` for the server at `url`.
    pub(super) fn new(
        bin_dir: &Path,
        directory: &Path,
        url: String,
        is_stand_in: bool,
        verbose: bool,
    ) -> Self {
        let backups = directory.join("backups");
        let envs = [
            ("QDRANT_URL", url.into()),
            ("QDRANT_BACKUP_PATH", backups.clone().into()),
            ("BACKUP_SCHEDULE", "0 2 * * *".into()),
        ];
        let removed: &[&str] = if is_stand_in {
            &["BACKUP_COMPRESSION", "BACKUP_RETENTION_DAYS", "QDRANT_API_KEY", "QDRANT_API_KEY_FILE"]
        } else {
            &["BACKUP_COMPRESSION", "BACKUP_RETENTION_DAYS"]
        };
        Self { bin_dir: bin_dir.to_owned(), backups, envs, removed, verbose }
    }

    /// The backup directory.
    pub(super) fn backups(&self) -> &Path {
        &self.backups
    }

    /// Runs the runner, which must exit with this code.
    pub(super) fn call(&self, arguments: &[&str], code: i32) -> Result<Said> {
        let shown = format!("qdrant-backup {}", arguments.join(" "));
        let command = Cmd::new(self.bin_dir.join("qdrant-backup")).args(arguments).quiet_envs(&self.envs);
        let command = self.removed.iter().fold(command, |command, name| command.env_remove(name));
        let output = command.into_command().output().context(&shown)?;
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        self.detail(&format!("\n$ {shown}\n{stderr}{stdout}"));
        if output.status.code() != Some(code) {
            return Err(format!("`{shown}` ended with {}, not with {code}:\n{stderr}", output.status));
        }
        let line =
            stderr.lines().chain(stdout.lines()).rfind(|line| line.starts_with('[')).unwrap_or_default();
        let message = line.splitn(3, ' ').nth(2).unwrap_or(line);
        let message =
            message.trim_start_matches(|letter: char| letter.is_ascii_uppercase()).trim_start_matches(": ");
        Ok(Said { last: message.to_owned() })
    }

    /// Starts the exporter for the directory.
    pub(super) fn exporter(&self) -> Result<Exporter> {
        let command = |address| {
            Cmd::new(self.bin_dir.join("qdrant-backup-exporter"))
                .arg(format!("--web.listen-address={address}"))
                .quiet_envs(&self.envs)
        };
        Ok(Exporter(Daemon::start("qdrant-backup-exporter", command)?))
    }

    /// Prints one step in two lines: what was done, and what it proves.
    pub(super) fn tell(&self, step: &str, done: &str, proves: &str) {
        println!("{step:<9} {done}\n{:<9} → {proves}", "");
    }

    /// Prints text only with `--verbose`.
    pub(super) fn detail(&self, text: &str) {
        if self.verbose {
            println!("{text}");
        }
    }
}

/// A running exporter.
pub(super) struct Exporter(Daemon);

impl Exporter {
    /// The exporter's answer about the backups.
    pub(super) fn verdict(&self) -> Result<String> {
        let status: Value =
            serde_json::from_str(&self.0.get("/api/v1/status")?).context("the exporter's status")?;
        let verdict = |key: &str| status["verdict"][key].as_str().unwrap_or_default().to_owned();
        Ok(format!("{}: {}", verdict("severity"), verdict("headline")))
    }
}
