//! `schedule`: entries for cron and systemd, and a real cron that makes a backup with one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::programs::program;
use e2e::qdrant_stand_in::{Endpoint, Fault};
use e2e::scene::IMPATIENT;
use e2e::users::need_root;
use e2e::{Place, Ran, Scene, repository};
use qdrant_backup_shared::atomic;

/// A scene with all settings in files, as a scheduled run needs.
fn scheduled(cron: &str) -> Scene {
    let scene = Scene::new();
    scene.place.configure(&format!(
        "{IMPATIENT}  url: {}\nbackup:\n  path: {}\nschedule:\n  cron: \"{cron}\"\n",
        scene.server.url(),
        scene.place.path().display()
    ));
    scene
}

fn by_files_alone(place: &Place, arguments: &[&str]) -> Ran {
    let mut command = place.command(arguments);
    Ran::of(command.env_remove("QDRANT_URL").env_remove("QDRANT_BACKUP_PATH").env_remove("QDRANT_API_KEY"))
}

/// A root directory for another machine's files, with the directories of cron and systemd.
fn root_of(place: &Place, directories: &[&str]) -> String {
    let root = place.beside("root");
    for directory in directories {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    root.display().to_string()
}

#[test]
fn an_entry_says_when_as_whom_and_with_which_files() {
    let scene = scheduled("30 2 * * 1-5");
    let config = scene.place.beside("backup.yaml").display().to_string();
    let cron = by_files_alone(&scene.place, &["schedule", "cron"]).success().says(&[
        "INFO: \"30 2 * * 1-5\" (this machine's time, ",
        "At 02:30",
        "next ",
        " UTC, in ",
    ]);
    let entry = cron.stdout.lines().last().unwrap();
    assert!(entry.starts_with("30 2 * * 1-5 "), "{entry}");
    assert!(entry.contains(&format!("qdrant-backup run --config {config}")), "{entry}");
    let owner = Command::new("stat").args(["-c", "%U"]).arg(scene.place.path()).output().unwrap().stdout;
    let owner = String::from_utf8(owner).unwrap();
    assert_eq!(entry.split_whitespace().nth(5), Some(owner.trim()), "{entry}");

    let systemd = by_files_alone(&scene.place, &["schedule", "systemd", "--user", "root"]).success();
    for line in [
        "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 02:30:00",
        "User=root",
        &format!("ReadWritePaths=-{}", scene.place.path().display()),
    ] {
        assert!(systemd.stdout.lines().any(|found| found == line), "{line}: {}", systemd.stdout);
    }
}

#[test]
fn cron_has_something_to_mail_only_when_a_run_failed() {
    let scene = scheduled("0 2 * * *");
    let table = by_files_alone(&scene.place, &["schedule", "cron"]).success().stdout;
    let job = table.lines().last().unwrap().splitn(7, ' ').nth(6).expect("a command").to_owned();
    let job = |path: &str| Ran::of(Command::new("sh").args(["-c", &job]).env_clear().env("PATH", path));
    let ran = job("/usr/bin:/bin").success();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    // Its output is kept, as the runbook promises.
    let log = || fs::read_to_string(scene.place.path().join("last_run.log")).expect("a log");
    assert!(log().contains("INFO: "), "{}", log());

    scene.server.faults(|all| all.add(Fault::status(500).on(Endpoint::Collections)));
    let ran = job("/usr/bin:/bin").code(1);
    assert!(ran.stdout.contains("ERROR: Backup failed"), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
    assert_eq!(log(), ran.stdout);

    // An unwritable log does not prevent the run.
    scene.server.faults(|all| all.clear());
    fs::remove_file(scene.place.path().join("last_run.log")).unwrap();
    fs::create_dir(scene.place.path().join("last_run.log")).unwrap();
    let before = scene.place.prove();
    let ran = job("/usr/bin:/bin").success();
    assert!(ran.stderr.contains("last_run.log"), "{}", ran.stderr);
    assert_eq!(scene.place.prove(), before + 1);
}

#[test]
fn the_entry_keeps_the_env_file_and_the_variables_of_the_packaged_one() {
    let scene = scheduled("0 2 * * *");
    let root = root_of(&scene.place, &["etc/cron.d", "etc/qdrant-backup"]);
    let table = scene.place.beside("root/etc/cron.d/qdrant-backup");
    let packaged = repository::read("deploy/cron/qdrant-backup");
    atomic::write(&table, 0o644, packaged.replace("#MAILTO=root", "MAILTO=ops@example.org").as_bytes())
        .unwrap();
    let env_file = scene.place.beside("root/etc/qdrant-backup/env");
    atomic::write(&env_file, 0o644, b"# BACKUP_COMPRESSION=none\n").unwrap();
    let write = || {
        by_files_alone(&scene.place, &["schedule", "cron", "--write", "--root", &root]).success();
        fs::read_to_string(&table).unwrap()
    };
    let written = write();
    assert!(written.contains("\nMAILTO=ops@example.org\n"), "{written}");
    assert!(written.contains(" --env-file /etc/qdrant-backup/env 2>&1"), "{written}");
    assert_eq!(write(), written, "and the second time as well");

    // A missing one would prevent every run from starting.
    fs::remove_file(env_file).unwrap();
    assert!(!write().contains("--env-file"));
}

#[test]
fn what_cannot_be_an_entry_is_refused_with_the_reason() {
    let scene = scheduled("0 2 L * *");
    by_files_alone(&scene.place, &["schedule", "cron"]).code(78).says(&["cron does not understand \"l\""]);
    let scene = Scene::new();
    scene.place.run(&["schedule", "cron"]).code(78).says(&["no schedule is configured", "BACKUP_SCHEDULE"]);
    let scene = scheduled("0 2 * * *");
    by_files_alone(&scene.place, &["schedule", "cron", "--user", "no-such-user"])
        .code(78)
        .says(&["--user NAME"]);
    // Variables of this shell are missing in a scheduled run.
    let root = root_of(&scene.place, &["etc/cron.d"]);
    scene
        .place
        .run(&["schedule", "cron", "--write", "--root", &root])
        .code(78)
        .says(&["QDRANT_URL, QDRANT_BACKUP_PATH", "backup.yaml"]);
    scene.place.run(&["schedule", "cron"]).success().says(&["WARN", "QDRANT_URL"]);

    let yaml = fs::read_to_string(scene.place.beside("backup.yaml")).unwrap();
    scene.place.configure(&format!("{yaml}  timezone: Pacific/Chatham\n"));
    by_files_alone(&scene.place, &["schedule", "cron"])
        .code(78)
        .says(&["Pacific/Chatham", "schedule systemd"]);
    let told = by_files_alone(&scene.place, &["schedule", "cron", "--cron-tz"]).success();
    assert!(told.stdout.contains("\nCRON_TZ=Pacific/Chatham\n"), "{}", told.stdout);
    let systemd = by_files_alone(&scene.place, &["schedule", "systemd"]).success();
    assert!(systemd.stdout.contains("OnCalendar=*-*-* 02:00:00 Pacific/Chatham\n"), "{}", systemd.stdout);
}

#[test]
fn an_entry_is_installed_once_and_nobody_elses_is_replaced() {
    let scene = scheduled("0 2 * * *");
    let root = root_of(&scene.place, &["etc/cron.d", "etc/systemd/system/timers.target.wants"]);
    let table = scene.place.beside("root/etc/cron.d/qdrant-backup");
    let write = |kind: &str, more: &[&str]| {
        let arguments = [&["schedule", kind, "--write", "--root", &root], more].concat();
        by_files_alone(&scene.place, &arguments)
    };
    atomic::write(&table, 0o644, b"0 3 * * * me /usr/local/bin/own-script\n").unwrap();
    write("cron", &[]).code(78).says(&["was not written by", "--force"]);
    assert!(fs::read_to_string(&table).unwrap().contains("own-script"));
    write("cron", &["--force"]).success().says(&["INFO: Wrote ", "etc/cron.d/qdrant-backup"]);
    write("cron", &[]).success().says(&["is up to date"]);
    assert_eq!(fs::metadata(&table).unwrap().permissions().mode() & 0o7777, 0o644);

    write("systemd", &[]).success().says(&["WARN", "cron.d/qdrant-backup also starts runs"]);
    let units = scene.place.beside("root/etc/systemd/system");
    assert!(units.join("qdrant-backup.timer").exists() && units.join("qdrant-backup.service").exists());

    // If the package's units exist, only the differences are written.
    fs::create_dir_all(scene.place.beside("root/lib/systemd/system")).unwrap();
    atomic::write(&scene.place.beside("root/lib/systemd/system/qdrant-backup.service"), 0o644, b"x").unwrap();
    write("systemd", &[]).success();
    let drop_in = fs::read_to_string(units.join("qdrant-backup.timer.d/schedule.conf")).unwrap();
    assert!(drop_in.ends_with("[Timer]\nOnCalendar=\nOnCalendar=*-*-* 02:00:00\n"), "{drop_in}");
}

#[cfg(feature = "outside")]
#[test]
fn units_are_what_systemd_understands() {
    let scene = scheduled("0 3 1 * 0");
    let root = root_of(&scene.place, &["etc/systemd/system"]);
    by_files_alone(&scene.place, &["schedule", "systemd", "--write", "--root", &root]).success();
    let unit = |name: &str| scene.place.beside("root/etc/systemd/system").join(name);
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args([unit("qdrant-backup.service"), unit("qdrant-backup.timer")])
        .output()
        .expect("systemd-analyze, of the Debian package systemd, is installed");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("qdrant-backup")).collect();
    assert_eq!(ours, Vec::<&str>::new(), "{said}");
}

/// Debian's cron in a mount namespace where ours is the only table. Killed when it is dropped.
struct Cron(std::process::Child);

impl Cron {
    fn start(place: &Place) -> Self {
        let empty = place.beside("empty");
        fs::create_dir_all(empty.join("crontabs")).unwrap();
        let script = "set -e; mount --bind \"$1/root/etc/cron.d\" /etc/cron.d; \
                      mount --bind \"$1/empty\" /var/spool/cron; : > \"$1/empty/none\"; \
                      mount --bind \"$1/empty/none\" /etc/crontab; mount -t tmpfs tmpfs /run; exec cron -f -L 15";
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "--kill-child", "sh", "-c", script, "sh"])
            .arg(place.beside(""))
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare (util-linux) is installed");
        Self(child)
    }
}

impl Drop for Cron {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(feature = "outside")]
#[test]
fn a_real_cron_makes_a_backup_by_the_entry() {
    // Cron starts jobs as other users.
    need_root();
    assert!(std::path::Path::new("/usr/sbin/cron").exists(), "install the Debian package cron");
    let scene = scheduled("* * * * *");
    let root = root_of(&scene.place, &["etc/cron.d"]);
    by_files_alone(&scene.place, &["schedule", "cron", "--write", "--root", &root]).success();
    assert!(program("qdrant-backup").exists());

    let mut cron = Cron::start(&scene.place);
    // Cron reads its tables once a minute.
    let begun = Instant::now();
    while scene.place.catalog().collections.is_empty() {
        assert!(cron.0.try_wait().unwrap().is_none(), "cron ended");
        assert!(begun.elapsed() < Duration::from_secs(180), "cron has made no backup in three minutes");
        std::thread::sleep(Duration::from_millis(200));
    }
    drop(cron);

    assert!(scene.place.prove() >= 1);
}
