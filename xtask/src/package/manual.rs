//! The installed manual pages and completions, tested in the programs that read them.

use super::root::Root;
use crate::sh::Result;

/// The completions that each shell offers for the start of a command. The shell finds the files by itself.
const SHELLS: &[(&str, &str)] = &[
    (
        "bash",
        r#". /usr/share/bash-completion/bash_completion
        _completion_loader qdrant-backup || [ $? = 124 ]
        COMP_WORDS=(qdrant-backup rest) COMP_CWORD=1
        set -- $(complete -p qdrant-backup); while [ "$1" != -F ]; do shift; done
        "$2" qdrant-backup rest qdrant-backup; echo "${COMPREPLY[@]}""#,
    ),
    (
        "zsh",
        r#"autoload -U compinit; compinit -u -D
        autoload +X $_comps[qdrant-backup] $_comps[qdrant-backup-exporter]
        which $_comps[qdrant-backup] _qdrant-backup_commands"#,
    ),
    ("fish", "complete -C 'qdrant-backup rest'"),
];

/// Checks that every page is found and rendered without a warning, and that every shell completes.
pub(super) fn check(root: &Root) -> Result<()> {
    let pages = root.sh("cd /usr/share/man; basename -a man?/qdrant-backup* | sed 's/\\.[0-9]\\.gz$//'")?;
    for page in pages.lines() {
        let warnings = root.sh(&format!("man --warnings -E UTF-8 {page} 2>&1 >/dev/null"))?;
        if !warnings.is_empty() {
            return Err(format!("man {page}: {warnings}"));
        }
    }
    let page = root.sh("MANWIDTH=80 man qdrant-backup")?;
    for section in ["SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO"]
    {
        if !page.lines().any(|line| line == section) {
            return Err(format!("man qdrant-backup has no {section}"));
        }
    }
    for (shell, script) in SHELLS {
        let output = root.output(root.cmd(shell).args(["-c", script]))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !said.contains("restore") {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{shell} does not complete `qdrant-backup rest`: {said}{complaint}"));
        }
    }
    println!("{} manual pages without a warning; {} shells complete", pages.lines().count(), SHELLS.len());
    Ok(())
}
