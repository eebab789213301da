//! The exporter under a separate user in the runner's group: it reads the JSON files but no archives.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::programs::copy_program;
use e2e::users::{NOBODY, allow_core_dumps, need_root};
use e2e::{Directory, Exporter};
use rustix::process::Signal;

use crate::situations;

const PROGRAM: &str = "qdrant-backup-exporter";
const USER: &str = "--reuid=64321";
const GROUP: u32 = 64322;

/// Sets group and modes like the runner: directories 2750, JSON 0640, archives 0600.
fn hand_over(path: &Path) {
    chown(path, None, Some(GROUP)).unwrap();
    let mode = if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            hand_over(&entry.unwrap().path());
        }
        0o2750
    } else if path.extension().is_some_and(|extension| extension == "json") {
        0o640
    } else {
        0o600
    };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A backup directory that the group can read, and a directory with a copy of the program, because the build
/// directory may be private.
fn handed_over() -> (Directory, tempfile::TempDir) {
    let place = situations::healthy();
    hand_over(place.path());
    let public = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    copy_program(PROGRAM, &public.path().join(PROGRAM));
    (place, public)
}

fn as_other_user(command: &Path) -> Command {
    let mut other = Command::new("setpriv");
    other
        .args([USER, &format!("--regid={GROUP}"), "--clear-groups", "--"])
        .arg(command)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    other
}

#[test]
fn another_user_of_the_group_sees_everything_but_the_archives() {
    need_root();
    let (place, public) = handed_over();
    let copy = public.path().join(PROGRAM);

    let archive = fs::read_dir(place.path().join("collections/products"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .unwrap();
    let reading = as_other_user(Path::new("head")).arg("-c1").arg(&archive).output().unwrap();
    assert!(!reading.status.success(), "the archive can be read");

    let mut command = as_other_user(&copy);
    command.arg("--backup-dir").arg(place.path()).arg("--web.listen-address=127.0.0.1:0");
    let exporter = Exporter::spawn(&mut command);
    let text = exporter.get("/metrics").text();
    assert!(text.contains("\nqdrant_backup_up 1\n"), "{text}");
    assert!(text.contains("\nqdrant_backup_backups{collection=\"products\"} 14\n"), "{text}");
    assert!(text.contains("\nqdrant_backup_unreadable_files 0\n"), "{text}");
    assert!(exporter.get("/").text().contains("All 3 collections backed up 2 h ago, verified"));
}

#[test]
fn neither_the_same_user_nor_another_looks_into_the_memory_and_no_core_is_dumped() {
    need_root();
    let (place, public) = handed_over();
    let copy = public.path().join(PROGRAM);
    allow_core_dumps();
    let mut command = as_other_user(&copy);
    command.arg("--backup-dir").arg(place.path()).args(["--web.listen-address=127.0.0.1:0"]);
    let mut exporter = Exporter::spawn(command.env("TOKEN", "s3cret").current_dir("/"));
    for user in [64_321, NOBODY] {
        for file in ["environ", "mem"] {
            let path = format!("/proc/{}/{file}", exporter.id());
            let read = Command::new("head").args(["-c1", &path]).uid(user).gid(GROUP).output().unwrap();
            let said = String::from_utf8_lossy(&read.stderr).into_owned();
            assert!(!read.status.success() && said.contains("ermission denied"), "{user} {file}: {said}");
        }
    }
    // Metrics about the exporter itself still work.
    let metrics = exporter.get("/metrics").text();
    assert!(metrics.contains("qdrant_backup_up 1") && metrics.contains("process_open_fds "), "{metrics}");
    exporter.signal(Signal::ABORT);
    let ended = exporter.wait();
    assert!(ended.signal().is_some() && !ended.core_dumped(), "{ended:?}");
}
