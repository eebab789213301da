//! The entry for `/etc/cron.d`.

use std::path::{Path, PathBuf};

use super::command_line::{CommandLine, UnusablePath};

/// The file of the package, which is disabled.
const SHIPPED: &str = include_str!("../../../../deploy/cron/qdrant-backup");

/// Parts of an existing entry that are kept when it is replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Variables added by users, such as `MAILTO`, including commented ones.
    variables: Vec<String>,
    /// The env file of its command.
    pub env_file: Option<PathBuf>,
}

impl Kept {
    /// The parts to keep of the file `text`.
    pub fn of(text: &str) -> Self {
        let variables = text.lines().map(str::trim).filter(|line| {
            let name = line.trim_start_matches('#').split_once('=').map(|(name, _)| name.trim_end());
            let is_name = |name: &str| {
                !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            };
            name.is_some_and(|name| is_name(name) && !OWN.contains(&name))
        });
        let command = text.lines().find(|line| line.contains("qdrant-backup run"));
        let words: Vec<&str> = command.unwrap_or_default().split_whitespace().collect();
        let env_file = words.windows(2).find(|pair| pair[0] == "--env-file").map(|pair| pair[1]);
        Self {
            variables: variables.map(str::to_owned).collect(),
            env_file: env_file.filter(|path| path.starts_with('/')).map(PathBuf::from),
        }
    }
}

/// Variables that every entry sets.
const OWN: [&str; 3] = ["SHELL", "PATH", "CRON_TZ"];

/// The enabled file with `expression`, `user` and the command. With `zone` it sets the time zone (`CRON_TZ`), which cronie
/// supports and Debian's cron does not.
///
/// Cron mails all output of a job. To mail only failures, the output goes to the file `log`, and is printed only if the run
/// failed. If the log cannot be written, the run still starts.
///
/// # Errors
/// When a path needs quoting.
pub fn cron_file(
    expression: &str,
    user: &str,
    command: &CommandLine,
    zone: Option<&str>,
    log: &Path,
    kept: &Kept,
) -> Result<String, UnusablePath> {
    let program = super::command_line::plain(&command.program)?;
    let log = super::command_line::plain(log)?;
    let words = command.words(&[])?;
    let job = format!(
        "test ! -x {program} || {{ said=\"$({words} 2>&1)\"; code=$?; echo \"$said\" >{log}; \
         test $code = 0 || {{ echo \"$said\"; exit $code; }}; }}"
    );
    // Only the variables of the package's file, without its comments about enabling it.
    let variables = SHIPPED.lines().filter(|line| line.starts_with("SHELL=") || line.starts_with("PATH="));
    let mut lines = vec![
        super::installed::MARK.to_owned(),
        format!("# The output of the last run is in {log}. If the run failed, cron also mails it,"),
        "# to the user below or to MAILTO. Variables such as MAILTO stay when this file is replaced."
            .to_owned(),
    ];
    lines.extend(variables.map(str::to_owned));
    lines.extend(zone.map(|zone| format!("CRON_TZ={zone}")));
    lines.extend(kept.variables.iter().cloned());
    lines.push("# minute hour day-of-month month day-of-week user command".to_owned());
    lines.push(format!("{expression} {user} {job}"));
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(env_file: Option<&Path>, kept: &Kept) -> String {
        let command = CommandLine {
            program: "/usr/bin/qdrant-backup".into(),
            config: None,
            env_file: env_file.map(Path::to_owned),
        };
        let log = Path::new("/var/lib/qdrant-backup/last_run.log");
        cron_file("0 2 * * *", "qdrant-backup", &command, Some("Europe/Berlin"), log, kept).unwrap()
    }

    #[test]
    fn the_packaged_entry_is_what_is_written_switched_off() {
        let kept = Kept::of(SHIPPED);
        assert_eq!(kept.env_file.as_deref(), Some(Path::new("/etc/qdrant-backup/env")));
        let file = entry(kept.env_file.as_deref(), &kept);
        let written = file.lines().last().unwrap();
        assert_eq!(SHIPPED.lines().last(), Some(format!("#{written}").as_str()));
        assert!(file.contains("\nCRON_TZ=Europe/Berlin\n") && file.contains("\nSHELL=/bin/sh\n"), "{file}");
        assert!(file.contains("\n#MAILTO=root\n"), "{file}");
        assert_eq!(file.matches("qdrant-backup run").count(), 1);
        // Cron reads % as a line break.
        assert!(!written.contains('%'));
    }

    #[test]
    fn what_stands_beside_the_command_is_kept_however_often_it_is_replaced() {
        let first = SHIPPED.replace("#MAILTO=root", "MAILTO = ops@example.org\nMAILFROM=backup@example.org");
        let first = first.replace("/etc/qdrant-backup/env", "/srv/env");
        let kept = Kept::of(&first);
        assert_eq!(kept.variables, ["MAILTO = ops@example.org", "MAILFROM=backup@example.org"]);
        let written = entry(kept.env_file.as_deref(), &kept);
        assert!(written.contains("--env-file /srv/env"), "{written}");
        assert_eq!(Kept::of(&written), kept);
        assert_eq!(Kept::of(""), Kept::default());
    }
}
