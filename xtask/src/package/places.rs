//! The files that the installed package creates, and that a purge leaves nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::root::Root;
use crate::{links, sh::Result};

/// The directory of the documents.
const DOCUMENTS: &str = "/usr/share/doc/qdrant-backup";

/// Path, mode, owner and group.
const INSTALLED: &[(&str, &str, &str)] = &[
    ("/usr/bin/qdrant-backup", "755", "root:root"),
    ("/usr/bin/qdrant-backup-exporter", "755", "root:root"),
    ("/etc/qdrant-backup", "750", "root:qdrant-backup"),
    ("/etc/qdrant-backup/backup.yaml", "640", "root:qdrant-backup"),
    ("/etc/qdrant-backup/env", "640", "root:qdrant-backup"),
    ("/etc/default/qdrant-backup-exporter", "644", "root:root"),
    ("/etc/cron.d/qdrant-backup", "644", "root:root"),
    ("/var/lib/qdrant-backup", "2750", "qdrant-backup:qdrant-backup"),
    ("/lib/systemd/system/qdrant-backup.service", "644", "root:root"),
    ("/lib/systemd/system/qdrant-backup.timer", "644", "root:root"),
    ("/lib/systemd/system/qdrant-backup-exporter.service", "644", "root:root"),
    ("/usr/share/qdrant-backup/alerts/qdrant-backup.rules.yml", "644", "root:root"),
    ("/usr/share/qdrant-backup/alerts/alertmanager.yml", "644", "root:root"),
    ("/usr/share/qdrant-backup/dashboards/qdrant-backup.json", "644", "root:root"),
    ("/usr/share/qdrant-backup/scripts/backup_collections.sh", "755", "root:root"),
    ("/usr/share/doc/qdrant-backup/docs/install.md", "644", "root:root"),
    ("/usr/share/doc/qdrant-backup/examples/encrypted-api-key.conf", "644", "root:root"),
    ("/usr/share/doc/qdrant-backup/examples/without-credentials.conf", "644", "root:root"),
    ("/usr/share/doc/qdrant-backup/copyright", "644", "root:root"),
];

/// The link that enables the timer.
pub(super) const TIMER_IS_ON: &str = "/etc/systemd/system/timers.target.wants/qdrant-backup.timer";
const EXPORTER_IS_ON: &str = "/etc/systemd/system/multi-user.target.wants/qdrant-backup-exporter.service";

/// Checks files, modes, owners and versions, and that no backup runs before it is configured.
pub(super) fn check_installed(root: &Root) -> Result<()> {
    check_owners(root)?;
    check_links(root)?;
    for program in ["qdrant-backup", "qdrant-backup-exporter"] {
        let version = root.sh(&format!("{program} --version"))?;
        if !version.contains(env!("CARGO_PKG_VERSION")) {
            return Err(format!("{program} --version says {version:?}"));
        }
    }
    let is_link = |path: &str| root.path(path).symlink_metadata().is_ok();
    if is_link(TIMER_IS_ON) || !is_link(EXPORTER_IS_ON) {
        return Err("the timer is on before anything is configured, or the exporter is off".to_owned());
    }
    let cron = root.text("/etc/cron.d/qdrant-backup")?;
    match cron.lines().find(|line| !line.is_empty() && !line.starts_with('#') && !line.contains('=')) {
        Some(line) => Err(format!("the cron job is on before anything is configured: {line:?}")),
        None => Ok(()),
    }
}

/// Checks that every link in the installed documents leads to an existing file.
fn check_links(root: &Root) -> Result<()> {
    let mut pages = BTreeMap::new();
    for path in root.sh(&format!("find {DOCUMENTS} -name '*.md'"))?.lines() {
        pages.insert(PathBuf::from(path.trim_start_matches('/')), root.text(path)?);
    }
    let broken = links::broken_links(&pages, |path| root.path(&path.to_string_lossy()).exists());
    if pages.is_empty() || !broken.is_empty() {
        return Err(format!("{} installed documents, with these broken links: {broken:?}", pages.len()));
    }
    println!("{} installed documents; every link leads to an installed file", pages.len());
    Ok(())
}

/// Checks the mode and owner of every path.
pub(super) fn check_owners(root: &Root) -> Result<()> {
    for (path, mode, owner) in INSTALLED {
        let found = root.sh(&format!("stat -c '%a %U:%G' {path}"))?;
        if found.trim() != format!("{mode} {owner}") {
            return Err(format!("{path} is {} and not {mode} {owner}", found.trim()));
        }
    }
    Ok(())
}

/// The state that a purge must restore: every path that survives a reboot, and the accounts.
pub(super) fn listing(root: &Root) -> Result<BTreeSet<String>> {
    let listed = root.sh("find / -xdev \\( -path /dev -o -path /proc -o -path /run -o -path /sys -o -path /tmp \\) -prune -o -print
        sed 's/^/account /' /etc/passwd /etc/group")?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Files that dpkg, adduser and man keep for themselves, and the backups.
fn may_stay(path: &str) -> bool {
    const OTHERS: &[&str] = &["/var/lib/dpkg/", "/var/log/", "/var/cache/man/", "/etc/.pwd.lock"];
    let copy_of_accounts = ["/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"].contains(&path);
    copy_of_accounts
        || OTHERS.iter().any(|others| path.starts_with(others))
        || path.starts_with("/opt/qdrant")
}

/// Checks that nothing is left and nothing is missing, except for the backups.
pub(super) fn check_gone(root: &Root, before: &BTreeSet<String>) -> Result<()> {
    let after = listing(root)?;
    let left: Vec<&String> = after.difference(before).filter(|path| !may_stay(path)).collect();
    let lost: Vec<&String> = before.difference(&after).filter(|path| !may_stay(path)).collect();
    if left.is_empty() && lost.is_empty() {
        return Ok(());
    }
    Err(format!("after the purge these files remain: {left:?}, and these are missing: {lost:?}"))
}
