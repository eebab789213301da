//! The entry for `/etc/cron.d`.

use super::command_line::{CommandLine, UnusablePath};

/// What the package ships, switched off.
const SHIPPED: &str = include_str!("../../../deploy/cron/qdrant-backup");

/// The file with `expression`, `user` and the command in it, switched on. With `zone`, cron is told the time zone (`CRON_TZ`),
/// which cronie knows and Debian's cron does not.
///
/// Cron mails whatever a job prints. So that only failures are mailed, what the run says is kept back until it has failed.
///
/// # Errors
/// When a path needs quoting.
pub fn cron_file(
    expression: &str,
    user: &str,
    command: &CommandLine,
    zone: Option<&str>,
) -> Result<String, UnusablePath> {
    let program = super::command_line::plain(&command.program)?;
    let words = command.words(&[])?;
    let job = format!(
        "test ! -x {program} || said=\"$({words} 2>&1)\" || {{ code=$?; echo \"$said\"; exit $code; }}"
    );
    // The variables as they are shipped, and nothing of what is said about switching it on.
    let variables = SHIPPED.lines().filter(|line| line.starts_with("SHELL=") || line.starts_with("PATH="));
    let mut lines = vec![
        super::place::MARK.to_owned(),
        "# What a run said is mailed when it failed: to the user below, or to whom MAILTO names.".to_owned(),
    ];
    lines.extend(variables.map(str::to_owned));
    lines.extend(zone.map(|zone| format!("CRON_TZ={zone}")));
    lines.push("# minute hour day-of-month month day-of-week user command".to_owned());
    lines.push(format!("{expression} {user} {job}"));
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_gets_the_configured_entry() {
        let command = CommandLine {
            program: "/usr/bin/qdrant-backup".into(),
            config: None,
            env_file: Some("/etc/qdrant-backup/env".into()),
        };
        let file = cron_file("0 2 * * *", "backup", &command, Some("Europe/Berlin")).unwrap();
        let entry = "0 2 * * * backup test ! -x /usr/bin/qdrant-backup || \
                     said=\"$(/usr/bin/qdrant-backup run --env-file /etc/qdrant-backup/env 2>&1)\" || \
                     { code=$?; echo \"$said\"; exit $code; }\n";
        assert!(file.ends_with(entry), "{file}");
        assert!(file.contains("\nCRON_TZ=Europe/Berlin\n") && file.contains("\nSHELL=/bin/sh\n"), "{file}");
        assert_eq!(file.matches("qdrant-backup run").count(), 1);
        // Cron reads % as a line break.
        assert!(!entry.contains('%'));
    }
}
