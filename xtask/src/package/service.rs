//! The installed systemd units: the checks of systemd, and their commands run without systemd.

use super::root::Root;
use crate::sh::{Cmd, Result};

const UNITS: &str = "/lib/systemd/system";

/// Maximum exposure level of `systemd-analyze security` in tenths: 20 is 2.0.
const EXPOSURE: &str = "--threshold=20";

/// Checks that units are valid and services are well confined.
pub(super) fn check_units(root: &Root) -> Result<()> {
    for unit in ["qdrant-backup.service", "qdrant-backup.timer", "qdrant-backup-exporter.service"] {
        let output = root.output(root.cmd("systemd-analyze").args(["verify", &format!("{UNITS}/{unit}")]))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || !said.trim().is_empty() {
            return Err(format!("systemd-analyze verify {unit}: {said}"));
        }
        if unit.ends_with(".service") {
            let judged =
                root.sh(&format!("systemd-analyze security --no-pager --offline=true {EXPOSURE} {unit}"))?;
            println!("{}", judged.lines().last().unwrap_or_default());
        }
    }
    Ok(())
}

/// A service as defined in its installed unit.
pub(super) struct Service {
    unit: String,
    text: String,
}

impl Service {
    pub(super) fn read(root: &Root, unit: &str) -> Result<Self> {
        Ok(Self { unit: unit.to_owned(), text: root.text(&format!("{UNITS}/{unit}"))? })
    }

    /// The values of a setting, in order.
    fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.text.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='))
    }

    fn one<'a>(&'a self, key: &'a str) -> Result<&'a str> {
        self.all(key).last().ok_or_else(|| format!("{} has no {key}=", self.unit))
    }

    /// The command of `ExecStart=` with the unit's user, groups, variables and umask, without privileges.
    pub(super) fn command(&self, root: &Root) -> Result<Cmd> {
        let files: String =
            self.all("EnvironmentFile").map(|file| format!(". {}; ", file.trim_start_matches('-'))).collect();
        let groups = match self.all("SupplementaryGroups").last() {
            Some(groups) => format!("--groups={}", groups.replace(' ', ",")),
            None => "--clear-groups".to_owned(),
        };
        let script = format!(
            "set -ea; {files}set +a; umask {}; exec setpriv --reuid={} --regid={} {groups} --no-new-privs \
             --inh-caps=-all --bounding-set=-all {}",
            self.one("UMask")?,
            self.one("User")?,
            self.one("Group")?,
            self.one("ExecStart")?,
        );
        Ok(root.cmd("sh").args(["-c", &script]))
    }
}
