//! The exporter's view of what the runner really leaves.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::TimeDelta;
use e2e::directory::name;
use e2e::users::{NOBODY, need_root};
use e2e::{Directory, Place, Ran, Scene, programs};
use qdrant_backup_shared::BackupId;
use qdrant_backup_shared::status::{CollectionStatus, Status};

fn once(place: &Place, program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--once", "--config"])
        .arg(place.beside("backup.yaml"))
        .arg("--backup-dir")
        .arg(place.path())
        .env_clear()
        .stdin(Stdio::null());
    command
}

fn look(place: &Place) -> Ran {
    Ran::of(&mut once(place, &programs::program("qdrant-backup-exporter")))
}

#[track_caller]
fn shows(ran: &Ran, line: &str) {
    let line = format!("qdrant_backup_{line}");
    assert!(ran.stdout.lines().any(|is| is == line), "no line {line}\n{}\n{}", ran.stdout, ran.stderr);
}

#[test]
fn before_the_first_run_nothing_is_claimed() {
    let Scene { server: _server, place } = Scene::with_samples();
    let ran = look(&place).success();
    // It is known that nothing has run yet.
    shows(&ran, "up 1");
    shows(&ran, "scrape_collector_success{collector=\"status\"} 1");
    shows(&ran, "scrape_collector_success{collector=\"directory\"} 1");
    shows(&ran, "unreadable_files 0");
    for claim in ["runs_total", "last_success_timestamp_seconds", "backups{", "collection_on_server"] {
        assert!(!ran.stdout.contains(&format!("\nqdrant_backup_{claim}")), "{claim}: {}", ran.stdout);
    }
}

#[test]
fn what_a_run_left_is_shown() {
    let scene = Scene::with_samples();
    scene.backup().success();
    scene.backup().success();
    let Scene { server, place } = scene;
    let ran = look(&place).success();
    shows(&ran, "up 1");
    shows(&ran, "runs_total{operation=\"backup\"} 2");
    shows(&ran, "last_run_success{operation=\"backup\"} 1");
    shows(&ran, "run_in_progress{operation=\"backup\"} 0");
    shows(&ran, "orphan_files 0");
    for (collection, points) in server.collections().iter().zip([0, 100, 250]) {
        shows(&ran, &format!("backups{{collection=\"{collection}\"}} 2"));
        shows(&ran, &format!("collection_points{{collection=\"{collection}\"}} {points}"));
        shows(&ran, &format!("incomplete_backups{{collection=\"{collection}\"}} 0"));
        shows(&ran, &format!("unverified_backups{{collection=\"{collection}\"}} 2"));
    }

    // The archive is missing although the runner reported success.
    let backup = &place.backups(&server.collections()[1])[1];
    let archive = &backup.manifest.archives[0].file_name;
    fs::remove_file(place.layout().collection(&backup.manifest.collection).join(archive)).unwrap();
    let ran = look(&place).success();
    shows(&ran, &format!("backups{{collection=\"{}\"}} 1", server.collections()[1]));
    shows(&ran, &format!("incomplete_backups{{collection=\"{}\"}} 1", server.collections()[1]));
}

#[cfg(feature = "outside")]
#[test]
fn another_user_in_the_runners_group_sees_everything_and_can_read_no_archive() {
    let scene = Scene::with_samples();
    scene.backup().success();
    let Scene { server, place } = scene;
    let layout = place.layout();
    let backup = &place.backups(&server.collections()[1])[0];
    let archive = &backup.archive;
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(archive), 0o600);
    assert_eq!(mode(&layout.status_file()), 0o640);
    assert_eq!(mode(&layout.repository_file()), 0o640);
    assert_eq!(mode(&layout.manifest(&backup.manifest.collection, backup.manifest.backup_id)), 0o640);
    assert_eq!(mode(archive.parent().unwrap()), 0o2750);
    need_root();
    let group = fs::metadata(layout.status_file()).unwrap().gid();
    // The directories of the place and the programs may be private.
    fs::set_permissions(place.beside("."), Permissions::from_mode(0o755)).unwrap();
    let program = place.beside("exporter");
    programs::copy_program("qdrant-backup-exporter", &program);
    let ran = Ran::of(once(&place, &program).uid(NOBODY).gid(group)).success();
    shows(&ran, "up 1");
    shows(&ran, "unreadable_files 0");
    shows(&ran, &format!("backups{{collection=\"{}\"}} 1", server.collections()[1]));
    let read = Ran::of(Command::new("cat").arg(archive).uid(NOBODY).gid(group));
    assert_ne!(read.code, Some(0), "only the owner can read archives");

    // For a user outside the group the state is unknown.
    let ran = Ran::of(once(&place, &program).uid(NOBODY).gid(NOBODY)).code(1);
    shows(&ran, "up 0");
    assert!(!ran.stdout.contains("qdrant_backup_backups{"), "{}", ran.stdout);
}

/// A directory with a backup dated days ahead by a wrong clock and, if `made_since`, a newer one with the right time.
fn after_a_wrong_clock(made_since: bool) -> (Directory, BackupId) {
    let place = Directory::repository();
    let now = e2e::exporter::now();
    let ahead = BackupId::at(now + TimeDelta::days(3));
    let last = if made_since { BackupId::at(now) } else { ahead };
    for id in [BackupId::at(now - TimeDelta::days(9)), last, ahead] {
        if !place.layout().manifest(&name("docs"), id).exists() {
            place.backup("docs", id.time(), 10);
        }
    }
    let mut status = Status::new("0.1.0".to_owned(), "db-1".to_owned());
    let docs = CollectionStatus {
        on_server: Some(true),
        last_success_at: Some(last.time()),
        last_backup_id: Some(last),
        ..CollectionStatus::default()
    };
    status.collections.insert(name("docs"), docs);
    place.put_status(&status);
    (place, last)
}

fn status_of(place: &Directory) -> Ran {
    let mut command = Command::new(programs::program("qdrant-backup"));
    command.args(["status", "--config", "/dev/null", "--backup-path"]).arg(place.path());
    Ran::of(command.env_clear().env("BACKUP_SCHEDULE", "0 * * * *"))
}

#[test]
fn a_backup_that_was_made_since_the_clock_is_right_again_is_the_newest() {
    let (place, last) = after_a_wrong_clock(true);
    let ran = status_of(&place).success();
    assert!(ran.stdout.starts_with("Every collection (1) has a good backup"), "{}", ran.stdout);
    assert!(ran.stdout.contains(&last.to_string()) && !ran.stdout.contains("TOO OLD"), "{}", ran.stdout);
}

#[test]
fn a_backup_from_the_future_is_neither_too_old_nor_fine() {
    let (place, _) = after_a_wrong_clock(false);
    let ran = status_of(&place).code(5);
    assert!(
        ran.stdout.starts_with("AGE UNKNOWN: the newest backup is dated in the future"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("DATED IN THE FUTURE") && !ran.stdout.contains("OLD"), "{}", ran.stdout);
}
