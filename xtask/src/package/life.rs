//! What an administrator does with the installed package, from setup to removal.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use super::{
    packages::{NEWS, Packages},
    places::{TIMER_IS_ON, check_owners},
    root::Root,
    service::Service,
};
use crate::{
    serving::Serving,
    sh::{Cmd, Context, Result, lines_of},
    workspace,
};

const PATIENCE: Duration = Duration::from_secs(60);
const YAML: &str = "/etc/qdrant-backup/backup.yaml";
/// Runs a command as the user of the backups.
const AS_RUNNER: &str = "setpriv --reuid=qdrant-backup --regid=qdrant-backup --init-groups";
const CRON: &str = "/etc/cron.d/qdrant-backup";

/// Sets the package up, backs up by timer and by cron, monitors, upgrades, downgrades and removes. Returns the
/// backups.
pub(super) fn use_upgrade_and_remove(root: &Root, packages: &Packages) -> Result<String> {
    let runner = Service::read(root, "qdrant-backup.service")?;
    expect_exit(root, runner.command(root)?, 78, "a backup before anything is configured")?;

    let stand_in = Serving::stand_in(&workspace::bin_dir("debug")?, &[])?;
    root.edit("/etc/default/qdrant-backup-exporter", "ARGS=\"\"", "ARGS=--web.listen-address=127.0.0.1:0")?;
    // The trial backup needs /proc, which requires a mount. The first backup follows anyway.
    let setup = format!("qdrant-backup setup --yes --no-trial --url {}", stand_in.url());
    root.sh(&format!("install -d /opt/qdrant; {setup}; systemctl enable qdrant-backup.timer"))?;
    expect_exit(root, runner.command(root)?, 0, "the timer's backup")?;
    scrape(root)?;
    let before = backups(root)?;
    cron(root)?;
    let kept = backups(root)?;
    if kept.matches(".manifest.json").count() <= before.matches(".manifest.json").count() {
        return Err(format!("the cron job made no backup: {kept}"));
    }

    root.install(&packages.second)?;
    check_upgraded(root)?;
    root.install(&packages.first)?;
    check_owners(root)?;
    check_backups_are(root, &kept)?;
    expect_exit(root, runner.command(root)?, 0, "a backup of the older version")?;

    let kept = backups(root)?;
    root.dpkg(&["--remove", "qdrant-backup"])?;
    check_backups_are(root, &kept)?;
    let stays = [YAML, "/etc/qdrant-backup/env", CRON, "/var/lib/qdrant-backup/status.json"];
    if let Some(path) = stays.iter().find(|path| !root.path(path).exists()) {
        return Err(format!("the removal deleted {path}"));
    }
    if root.path("/usr/bin/qdrant-backup").exists() {
        return Err("the removal left the program".to_owned());
    }
    // Its cron entry would remain, and cron would send a mail every night.
    cron(root)?;
    Ok(kept)
}

/// Backs up with version 0.1.0, upgrades it, and goes back. All backups must be good for both versions.
pub(super) fn upgrade_from_released_and_go_back(root: &Root, packages: &Packages) -> Result<()> {
    let stand_in = Serving::stand_in(&workspace::bin_dir("debug")?, &[])?;
    root.edit("/etc/default/qdrant-backup-exporter", "ARGS=\"\"", "ARGS=--web.listen-address=127.0.0.1:0")?;
    let setup = format!("qdrant-backup setup --yes --no-trial --url {}", stand_in.url());
    root.sh(&format!("install -d /opt/qdrant; {setup}; systemctl enable qdrant-backup.timer"))?;
    let settings = root.text(YAML)?;
    for (package, version) in [
        (None, "0.1.0"),
        (Some(&packages.first), env!("CARGO_PKG_VERSION")),
        (Some(&packages.released), "0.1.0"),
    ] {
        if let Some(package) = package {
            let kept = backups(root)?;
            root.install(package)?;
            check_backups_are(root, &kept)?;
        }
        let said = root.sh("qdrant-backup --version")?;
        if !said.contains(version) {
            return Err(format!("version {version} is installed, but it says {said:?}"));
        }
        let runner = Service::read(root, "qdrant-backup.service")?;
        expect_exit(root, runner.command(root)?, 0, &format!("a run of version {version}"))?;
        for command in ["verify --backup all", "status"] {
            root.sh(&format!("{AS_RUNNER} qdrant-backup {command}"))?;
        }
        scrape(root)?;
        if root.text(YAML)? != settings || root.path(TIMER_IS_ON).symlink_metadata().is_err() {
            return Err(format!("version {version} changed the settings, or switched the timer off"));
        }
    }
    Ok(())
}

/// Checks which configuration files an upgrade keeps and which it replaces.
fn check_upgraded(root: &Root) -> Result<()> {
    let version = root.sh("dpkg-query --show --showformat='${Version}' qdrant-backup")?;
    if !version.ends_with("-2") {
        return Err(format!("the upgrade left version {version}"));
    }
    check_owners(root)?;
    if root.text(YAML)?.contains(NEWS) || !root.text(&format!("{YAML}.dpkg-dist"))?.contains(NEWS) {
        return Err(
            "the upgrade replaced a changed backup.yaml, or did not put the new one beside it".to_owned()
        );
    }
    if !root.text("/etc/qdrant-backup/env")?.contains(NEWS) {
        return Err("the upgrade did not bring the new env, although it was unchanged".to_owned());
    }
    if root.path(TIMER_IS_ON).symlink_metadata().is_err() {
        return Err("the upgrade switched the timer off".to_owned());
    }
    root.sh(&format!("{AS_RUNNER} qdrant-backup list")).map(drop)
}

/// Runs the cron job like cron. It must print nothing.
fn cron(root: &Root) -> Result<()> {
    let crontab = root.text(CRON)?;
    let line = crontab.lines().last().and_then(|line| line.strip_prefix('#'));
    let fields: Vec<&str> = line.unwrap_or_default().splitn(7, ' ').collect();
    let [.., user, command] = fields.as_slice() else {
        return Err(format!("{CRON} does not end in a job that is a comment: {line:?}"));
    };
    let job = root.cmd("setpriv").args([
        &format!("--reuid={user}"),
        &format!("--regid={user}"),
        "--init-groups",
        "sh",
        "-c",
        command,
    ]);
    let said = expect_exit(root, job, 0, "the cron job")?;
    if said.is_empty() { Ok(()) } else { Err(format!("the cron job would be mailed: {said}")) }
}

/// Runs a command and returns its output. Any other exit code is an error.
fn expect_exit(root: &Root, command: Cmd, code: i32, what: &str) -> Result<String> {
    let output = root.output(command)?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.code() == Some(code) {
        println!("{what}: exit code {code}, as expected");
        return Ok(said);
    }
    Err(format!("{what} ended with {} instead of exit code {code}: {said}", output.status))
}

/// Every file of the backups: digest, mode, and numeric owner.
fn backups(root: &Root) -> Result<String> {
    let found = root.sh("cd /opt/qdrant/backups; find . -type f -exec sha256sum {} + | sort -k 2
        find . -printf '%p %m %U:%G\\n' | sort")?;
    if found.contains(".manifest.json") { Ok(found) } else { Err(format!("there is no backup: {found}")) }
}

/// Checks that the backups are unchanged.
pub(super) fn check_backups_are(root: &Root, kept: &str) -> Result<()> {
    let now = backups(root)?;
    if now == kept { Ok(()) } else { Err(format!("the backups were {kept} and are {now}")) }
}

/// Checks that the exporter, started as in its unit, sees the backup but cannot read any secrets.
fn scrape(root: &Root) -> Result<()> {
    let service = Service::read(root, "qdrant-backup-exporter.service")?;
    let exporter = Exporter::start(service.command(root)?)?;
    let metrics = exporter.get("/metrics")?;
    for wanted in
        ["qdrant_backup_up 1", "qdrant_backup_last_success_timestamp_seconds{operation=\"backup\"} "]
    {
        if !metrics.lines().any(|line| line.starts_with(wanted)) {
            return Err(format!("a scrape has no {wanted:?}: {metrics}"));
        }
    }
    let as_exporter =
        "setpriv --reuid=qdrant-backup-exporter --regid=qdrant-backup-exporter --groups=qdrant-backup";
    root.sh(&format!(
        "cd /opt/qdrant/backups
        {as_exporter} find . -name '*.manifest.json' -readable | grep -q .
        ! {as_exporter} find . -name '*.snapshot*' -readable | grep ."
    ))?;
    println!("the exporter sees the backup, and cannot read its archives");
    Ok(())
}

/// A running exporter, killed when it is dropped.
struct Exporter {
    child: Child,
    address: String,
}

impl Exporter {
    fn start(command: Cmd) -> Result<Self> {
        let mut command = command.into_command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot run chroot")?;
        let lines = lines_of(child.stderr.take().ok_or("the exporter has no standard error")?);
        let mut exporter = Self { child, address: String::new() };
        let mut log = String::new();
        while let Ok(line) = lines.recv_timeout(PATIENCE) {
            if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                address.trim().clone_into(&mut exporter.address);
                return Ok(exporter);
            }
            log.push_str(&format!("{line}\n"));
        }
        Err(format!("the exporter does not say where it listens: {log}"))
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(&self.address).context(&self.address)?;
        stream.set_read_timeout(Some(PATIENCE)).context(&self.address)?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").context(&self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context(&self.address)?;
        Ok(answer)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // The process may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
