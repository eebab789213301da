//! Damaged places: each is reported, and none hides good backups.

use std::fs;
use std::path::Path;

use qdrant_backup_exporter::once::once;
use qdrant_backup_shared::{BackupId, Layout, json_file};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::situations;
use crate::watched::{Watched, at, block_on, manifest, name, now};

/// Whether `scrape` has this line.
#[track_caller]
fn has(scrape: &str, line: &str) {
    let line = format!("qdrant_backup_{line}");
    assert!(scrape.lines().any(|is| is == line), "no line {line}\n{scrape}");
}

#[track_caller]
fn has_nothing_of(scrape: &str, metric: &str) {
    let start = format!("qdrant_backup_{metric}");
    assert!(!scrape.lines().any(|line| line.starts_with(&start)), "there is {start}\n{scrape}");
}

fn pipe(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
}

#[test]
fn a_directory_that_is_missing_or_no_directory_says_nothing_about_backups() {
    let place = situations::healthy();
    let away = place.path().with_extension("away");
    fs::create_dir(&away).unwrap();
    let observer = qdrant_backup_exporter::observe::Observer::new(away.join("gone"), place.path());
    let seen = crate::watched::observe(&observer, now());
    fs::remove_dir(&away).unwrap();
    assert!(seen.status.success() && !seen.is_up() && seen.directory.value.is_none());
    assert!(
        seen.directory.problem.as_ref().unwrap().ends_with("gone: no such directory; is the disk mounted?")
    );
    assert!(seen.storage.value.is_none() && !seen.storage.success());

    let file = place.layout().repository_file();
    let observer = qdrant_backup_exporter::observe::Observer::new(file, place.path());
    let seen = crate::watched::observe(&observer, now());
    assert!(seen.directory.problem.as_ref().unwrap().ends_with("is not a directory"));
}

#[test]
fn an_empty_mount_point_says_nothing_about_backups() {
    let place = Watched::bare();
    for _ in 0..2 {
        let seen = place.look();
        assert!(seen.directory.value.is_none(), "not even that there is none");
        assert!(seen.directory.problem.as_ref().unwrap().contains("is the disk mounted?"));
        let scrape = place.scrape();
        has(&scrape, "up 0");
        has(&scrape, "scrape_collector_success{collector=\"status\"} 0");
        has(&scrape, "scrape_collector_success{collector=\"directory\"} 0");
        has_nothing_of(&scrape, "backups");
        has_nothing_of(&scrape, "orphan_files");
        fs::create_dir_all(place.layout().collections()).unwrap();
    }
}

#[test]
fn backups_are_shown_although_the_repository_file_is_gone_or_torn() {
    let place = situations::healthy();
    let file = place.layout().repository_file();
    fs::remove_file(&file).unwrap();
    let scrape = place.scrape();
    has(&scrape, "up 0");
    has(&scrape, "unreadable_files 0");
    has(&scrape, "backups{collection=\"docs\"} 3");
    place.put_bytes(&file, b"{\"schema_version\": 9}");
    let scrape = place.scrape();
    has(&scrape, "up 0");
    has(&scrape, "unreadable_files 1");
    has(&scrape, "backups{collection=\"docs\"} 3");
}

#[test]
fn a_directory_of_collections_that_cannot_be_listed_is_a_failed_look() {
    let place = situations::healthy();
    fs::remove_dir_all(place.layout().collections()).unwrap();
    place.put_bytes(&place.layout().collections(), b"a file");
    let scrape = place.scrape();
    has(&scrape, "up 0");
    has(&scrape, "scrape_collector_success{collector=\"status\"} 1");
    has_nothing_of(&scrape, "backups");
    has(&scrape, "collection_points{collection=\"docs\"} 1000");
}

#[test]
fn a_repository_without_collections_has_none() {
    let place = Watched::new();
    place.put_status(&situations::status());
    let scrape = place.scrape();
    has(&scrape, "up 1");
    has(&scrape, "backups{collection=\"docs\"} 0");
    has_nothing_of(&scrape, "newest_timestamp_seconds");
}

#[test]
fn a_status_that_is_missing_torn_or_newer_leaves_what_is_on_disk() {
    let place = situations::healthy();
    let file = place.layout().status_file();
    let backups = "backups{collection=\"docs\"} 3";
    fs::remove_file(&file).unwrap();
    let seen = place.look();
    assert!(seen.status.value.is_none() && seen.status.problem.is_none(), "never ran is no fault");
    let scrape = place.scrape();
    has(&scrape, "up 1");
    has(&scrape, "scrape_collector_success{collector=\"status\"} 1");
    has(&scrape, "unreadable_files 0");
    has(&scrape, backups);
    has_nothing_of(&scrape, "runs_total");
    for contents in ["{\"schema_version\": 1, \"runner", "{\"schema_version\": 2}", ""] {
        place.put_bytes(&file, contents.as_bytes());
        let seen = place.look();
        assert!(seen.status.value.is_none() && seen.status.problem.is_some());
        assert_eq!(seen.problems.len(), 1);
        assert_eq!(seen.problems[0].path, file);
        let scrape = place.scrape();
        has(&scrape, "up 0");
        has(&scrape, "unreadable_files 1");
        has(&scrape, backups);
        has_nothing_of(&scrape, "runs_total");
    }
    place.put_status(&situations::status());
    has(&place.scrape(), "up 1");
}

#[test]
fn pipes_in_place_of_files_are_unreadable_and_never_waited_for() {
    let place = situations::healthy();
    let layout = place.layout();
    let id = BackupId::at(at("10T00:00:00"));
    pipe(&layout.manifest(&name("docs"), id));
    let fine = BackupId::at(at("15T02:00:00"));
    fs::remove_file(layout.verification(&name("images"), fine)).unwrap();
    pipe(&layout.verification(&name("images"), fine));
    pipe(&layout.last_skipped_file());
    let scrape = place.scrape();
    has(&scrape, "up 1");
    has(&scrape, "unreadable_files 3");
    has(&scrape, "backups{collection=\"docs\"} 3");
    has(&scrape, "unverified_backups{collection=\"images\"} 1");
    fs::remove_file(layout.status_file()).unwrap();
    pipe(&layout.status_file());
    has(&place.scrape(), "unreadable_files 4");
}

#[test]
fn foreign_files_count_for_nothing_however_many() {
    let place = situations::healthy();
    let before = place.look();
    let docs = place.layout().collection(&name("docs"));
    for number in 0..5000 {
        fs::File::create(docs.join(format!("foreign-{number}"))).unwrap();
    }
    fs::create_dir(docs.join("a directory")).unwrap();
    fs::create_dir(place.layout().collections().join("lost+found")).unwrap();
    std::os::unix::fs::symlink("/", place.layout().collections().join("link")).unwrap();
    fs::File::create(place.layout().collections().join("file")).unwrap();
    std::os::unix::fs::symlink("nowhere", place.path().join("dangling")).unwrap();
    let after = place.look();
    assert_eq!(before.directory.value, after.directory.value);
    assert_eq!(after.problems, []);
}

#[test]
fn a_manifest_in_another_collections_directory_is_unreadable() {
    let place = situations::healthy();
    let id = BackupId::at(at("10T00:00:00"));
    let other = manifest(&name("images"), id, 5);
    place.put(&place.layout().manifest(&name("docs"), id), &other);
    let scrape = place.scrape();
    has(&scrape, "unreadable_files 1");
    has(&scrape, "backups{collection=\"docs\"} 3");
    has(&scrape, "backups{collection=\"images\"} 3");
}

#[test]
fn a_bad_file_is_named_and_the_good_ones_are_served() {
    let place = situations::corrupt_files();
    let seen = place.look();
    let said: Vec<String> = seen
        .problems
        .iter()
        .map(|unreadable| unreadable.problem.replace(&place.path().display().to_string(), "/b"))
        .collect();
    assert_eq!(
        said,
        [
            "/b/last_skipped.json:1: not a valid record of a skipped run: EOF while parsing a value",
            "/b/collections/docs/docs-2025-07-13-02-00-00.manifest.json: cannot read schema_version 2, only 1; use the newer qdrant-backup that wrote it",
            "/b/collections/docs/docs-2025-07-14-02-00-00.verification.json:1: not a valid verification record: expected value",
            "/b/collections/docs/docs-2025-07-15-02-00-00.manifest.json:1: not a valid backup manifest: EOF while parsing a string",
        ]
    );
    assert_eq!(seen.problems, place.look().problems, "the same, so the log says it once");
}

#[test]
fn every_file_that_cannot_be_read_is_listed() {
    let place = situations::healthy();
    let layout = place.layout();
    let torn = [layout.status_file(), layout.last_skipped_file(), layout.last_refused_file()];
    for file in &torn {
        place.put_bytes(file, b"{ torn");
    }
    let seen = place.look();
    let paths: Vec<_> = seen.problems.iter().map(|problem| problem.path.clone()).collect();
    assert_eq!(paths, torn);
    assert_eq!(seen.status.problem.as_ref(), Some(&seen.problems[0].problem));
    assert!(seen.directory.success() && seen.storage.success());
}

#[test]
fn once_writes_the_file_whatever_it_says_and_tells_whether_all_is_up() {
    use std::os::unix::fs::PermissionsExt;
    let place = situations::healthy();
    let file = place.path().join("qdrant_backup.prom");
    let mut stdout = Vec::new();
    assert!(block_on(once(place.observer(), now(), Some(&file), &mut stdout)).unwrap());
    assert!(stdout.is_empty());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    has(&fs::read_to_string(&file).unwrap(), "up 1");

    place.put_bytes(&place.layout().status_file(), b"{");
    assert!(!block_on(once(place.observer(), now(), Some(&file), &mut stdout)).unwrap());
    has(&fs::read_to_string(&file).unwrap(), "up 0");

    assert!(!block_on(once(place.observer(), now(), None, &mut stdout)).unwrap());
    has(&String::from_utf8(stdout).unwrap(), "up 0");

    let nowhere = place.path().join("no/such/directory");
    let error = block_on(once(place.observer(), now(), Some(&nowhere), &mut Vec::new())).unwrap_err();
    assert!(error.to_string().contains("no/such/directory: cannot be written"), "{error}");
}

#[test]
fn a_place_whose_status_lies_elsewhere_is_read_from_both() {
    let place = situations::healthy();
    let state = tempfile::tempdir().unwrap();
    let layout = Layout::new(place.path(), state.path());
    json_file::write(&layout.status_file(), &situations::status()).unwrap();
    fs::remove_file(place.layout().status_file()).unwrap();
    let observer = qdrant_backup_exporter::observe::Observer::new(place.path(), state.path());
    assert!(crate::watched::observe(&observer, now()).is_up());
}

#[test]
fn a_look_takes_no_lock_and_leaves_no_trace() {
    use std::os::unix::fs::MetadataExt;
    let place = situations::healthy();
    let lock = fs::File::create(place.layout().lock_file()).unwrap();
    lock.lock().unwrap();
    let before = fs::metadata(place.path()).unwrap();
    let entries = || fs::read_dir(place.path()).unwrap().count();
    let count = entries();
    has(&place.scrape(), "up 1");
    let after = fs::metadata(place.path()).unwrap();
    assert_eq!((before.mtime_nsec(), before.ctime_nsec()), (after.mtime_nsec(), after.ctime_nsec()));
    assert_eq!(entries(), count);
}
