//! `cargo xtask acceptance`: the acceptance test of the project's original task. Runs the commands for each point and
//! writes them with their output to docs/Basic_Backup_Configuration_Results.md.
//!
//! `cargo xtask test` runs it again: each command must end as expected, and the document must contain the same
//! commands.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    serving::Serving,
    sh::{Context, Result},
    tools, workspace,
};

#[derive(clap::Args)]
pub(crate) struct Opts {
    /// Change nothing; fail if a command fails or the document contains other commands
    #[arg(long)]
    check: bool,
}

const DOCUMENT: &str = "docs/Basic_Backup_Configuration_Results.md";
/// Maximum number of output lines to show per command.
const SHOWN_LINES: usize = 30;

/// One point of the task.
struct Point {
    title: &'static str,
    criterion: &'static str,
    commands: &'static [&'static str],
}

/// The task's points in order, each with shell lines. The documented paths are replaced by temporary ones.
const POINTS: &[Point] = &[
    Point {
        title: "Directories and configuration",
        criterion: "The backup directory and its configuration exist, with modes that keep the data private and let the exporter read what is not secret.",
        commands: &[
            "qdrant-backup setup --yes --no-trial --url http://localhost:6333 --backup-path /opt/qdrant/backups --schedule '0 2 * * *' --keep-days 7 --config /opt/qdrant/config/backup.yaml",
            "cat /opt/qdrant/config/backup.yaml",
            "stat -c '%A %n' /opt/qdrant/backups /opt/qdrant/backups/repository.json /opt/qdrant/config/backup.yaml",
        ],
    },
    Point {
        title: "Snapshots of all collections",
        criterion: "One command makes, downloads and proves a snapshot of every collection, compressed, and leaves nothing on the server.",
        commands: &[
            "for days in 10 9 8 7 6 5 4 3 2 1; do faketime -f -${days}d qdrant-backup backup --quiet --config /opt/qdrant/config/backup.yaml || exit 1; done # as if made in the last ten nights",
            "qdrant-backup backup --config /opt/qdrant/config/backup.yaml",
            "ls -l /opt/qdrant/backups/collections/mixtral_embeddings | tail -n 2",
            "curl -s http://localhost:6333/collections/mixtral_embeddings/snapshots",
        ],
    },
    Point {
        title: "Retention of 7 days",
        criterion: "Backups older than 7 days are deleted, younger ones and the last good one never.",
        commands: &[
            "qdrant-backup prune --dry-run --config /opt/qdrant/config/backup.yaml -c mixtral_embeddings",
            "qdrant-backup prune --config /opt/qdrant/config/backup.yaml -c mixtral_embeddings",
            "qdrant-backup list --config /opt/qdrant/config/backup.yaml -c mixtral_embeddings",
        ],
    },
    Point {
        title: "Verification",
        criterion: "Stored backups are read whole and held against their digests, and a damaged one is found.",
        commands: &[
            "qdrant-backup verify --config /opt/qdrant/config/backup.yaml",
            "cd /opt/qdrant/backups/collections/minilm_general && cp \"$(ls minilm_general-*.snapshot.gz | tail -n 1)\" /opt/qdrant/config/whole.gz && printf X | dd of=\"$(ls minilm_general-*.snapshot.gz | tail -n 1)\" bs=1 seek=5000 conv=notrunc status=none",
            "qdrant-backup verify --config /opt/qdrant/config/backup.yaml -c minilm_general; test $? -eq 4",
            "cd /opt/qdrant/backups/collections/minilm_general && cat /opt/qdrant/config/whole.gz > \"$(ls minilm_general-*.snapshot.gz | tail -n 1)\" && qdrant-backup verify --config /opt/qdrant/config/backup.yaml -c minilm_general",
        ],
    },
    Point {
        title: "Recovery, tested",
        criterion: "A collection is restored beside the original with the same number of points, and a drill restores to another server and compares points by content.",
        commands: &[
            "qdrant-backup restore --dry-run --config /opt/qdrant/config/backup.yaml -c mixtral_embeddings --as mixtral_restored",
            "qdrant-backup restore --config /opt/qdrant/config/backup.yaml -c mixtral_embeddings --as mixtral_restored",
            "for name in mixtral_embeddings mixtral_restored; do curl -s -H 'content-type: application/json' -d '{\"exact\": true}' http://localhost:6333/collections/$name/points/count; echo; done",
            "qdrant-backup drill --config /opt/qdrant/config/backup.yaml -c mixtral_embeddings --to http://qdrant-test:6333",
        ],
    },
    Point {
        title: "Daily schedule",
        criterion: "Backups run every day at 02:00, by cron or by a systemd timer.",
        commands: &[
            "qdrant-backup schedule cron --user root --config /opt/qdrant/config/backup.yaml",
            "qdrant-backup schedule systemd --user root --config /opt/qdrant/config/backup.yaml | sed -n '/^# .*timer$/,$p'",
            "qdrant-backup run --config /opt/qdrant/config/backup.yaml",
        ],
    },
    Point {
        title: "Monitoring",
        criterion: "Whether there is a good backup of everything is seen on the command line, by Prometheus and in alerts.",
        commands: &[
            "qdrant-backup status --config /opt/qdrant/config/backup.yaml",
            "qdrant-backup-exporter --once --config /opt/qdrant/config/backup.yaml 2>/dev/null > /opt/qdrant/config/metrics.prom; promtool check metrics < /opt/qdrant/config/metrics.prom",
            "grep -E '^qdrant_backup_(up|newest_timestamp_seconds|backups|newest_verified_timestamp_seconds)' /opt/qdrant/config/metrics.prom",
            "promtool check rules alerts/qdrant-backup.rules.yml",
        ],
    },
];

pub(crate) fn run(opts: &Opts) -> Result<()> {
    tools::debian("curl", "/usr/bin/curl")?;
    tools::alerting()?;
    tools::debian("faketime", "/usr/bin/faketime")?;
    workspace::cargo().args(["build", "--workspace", "--bins", "--locked"]).run()?;
    let site = Site::start()?;
    let mut document = String::from(HEAD);
    for (number, point) in (1..).zip(POINTS) {
        println!("{number}. {}", point.title);
        document.push_str(&format!("\n## {number}. {}\n\n{}\n\n```console\n", point.title, point.criterion));
        for command in point.commands {
            let output = site.run(command)?;
            document.push_str(&format!("$ {command}\n{}", shortened(&output)));
        }
        document.push_str("```\n");
    }
    let path = workspace::root().join(DOCUMENT);
    if opts.check {
        let before = std::fs::read_to_string(&path).context(DOCUMENT)?;
        if commands(&before) != commands(&document) {
            return Err(format!("{DOCUMENT} has other commands; `cargo xtask acceptance` writes it anew"));
        }
        return Ok(());
    }
    #[expect(clippy::disallowed_methods, reason = "a file of the work tree, which git keeps, not a backup")]
    std::fs::write(&path, document).context(DOCUMENT)?;
    println!("wrote {DOCUMENT}");
    Ok(())
}

/// A step of `cargo xtask test`.
pub(crate) fn check() -> Result<()> {
    run(&Opts { check: true })
}

const HEAD: &str = "# Basic backup configuration: results

The acceptance of the task that this project began with, point by point: what was asked for, the commands, and what they printed. Written by
`cargo xtask acceptance`, which runs them against the Qdrant stand-in with genuine snapshots; `cargo xtask test` runs all of them again. Only the
paths and addresses were replaced by those of a usual installation. Long outputs are cut where it says so. One user, who owns the
directories, typed everything: here root. A real Qdrant 1.18.3 printed the same, except for numbers, times, and the line about Qdrant's own disk.
";

/// Two servers, and a directory that stands for `/opt/qdrant`.
struct Site {
    source: Serving,
    test: Serving,
    directory: tempfile::TempDir,
    bin_dir: PathBuf,
}

impl Site {
    fn start() -> Result<Self> {
        let bin_dir = workspace::bin_dir("debug")?;
        let directory = tempfile::tempdir().context("temporary directory")?;
        std::fs::create_dir(directory.path().join("config")).context("temporary directory")?;
        Ok(Self {
            source: Serving::stand_in(&bin_dir, &[])?,
            test: Serving::stand_in(&bin_dir, &["--empty"])?,
            directory,
            bin_dir,
        })
    }

    /// Documented paths and URLs, and their replacements.
    fn names(&self) -> [(&'static str, String); 3] {
        [
            ("/opt/qdrant", self.directory.path().display().to_string()),
            ("http://localhost:6333", self.source.url().to_owned()),
            ("http://qdrant-test:6333", self.test.url().to_owned()),
        ]
    }

    /// Runs a documented line and returns its output, with both streams in order.
    fn run(&self, line: &str) -> Result<String> {
        let here = self
            .names()
            .iter()
            .fold(line.to_owned(), |line, (documented, here)| line.replace(documented, here));
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.bin_dir.display());
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {here}")])
            .env_clear()
            .env("PATH", path)
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .current_dir(workspace::root())
            .stdin(Stdio::null())
            .output()
            .context(line)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return Err(format!(
                "`{line}` ended with {}: {}",
                output.status,
                said.trim_end().replace('\n', " | ")
            ));
        }
        Ok(self.documented(&said))
    }

    /// The output with the documented paths.
    fn documented(&self, said: &str) -> String {
        let names = self.names();
        let said = names
            .iter()
            .fold(said.to_owned(), |said, (documented, here)| said.replace(here.as_str(), documented));
        said.replace(&self.bin_dir.display().to_string(), "/usr/bin")
    }
}

/// The first lines, and a note how many were omitted.
fn shortened(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    let mut text: String = lines.iter().take(SHOWN_LINES).map(|line| format!("{line}\n")).collect();
    if lines.len() > SHOWN_LINES {
        text.push_str(&format!("[{} more lines]\n", lines.len() - SHOWN_LINES));
    }
    text
}

fn commands(document: &str) -> Vec<&str> {
    document.lines().filter_map(|line| line.strip_prefix("$ ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_says_how_much_is_left_out() {
        assert_eq!(shortened("a \nb\n"), "a\nb\n");
        let long = shortened(&"line\n".repeat(36));
        assert!(long.ends_with("line\n[6 more lines]\n"), "{long}");
    }

    #[test]
    fn the_document_in_the_repository_has_these_commands() {
        let document = std::fs::read_to_string(workspace::root().join(DOCUMENT)).unwrap();
        let wanted: Vec<&str> = POINTS.iter().flat_map(|point| point.commands).copied().collect();
        assert_eq!(commands(&document), wanted);
    }
}
