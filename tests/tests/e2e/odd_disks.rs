//! File systems without some features of a local disk, and disks that fail. strace injects the errors, so no such
//! file system is needed.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::qdrant_stand_in::StandIn;
use e2e::strace::under_strace;
use e2e::{Place, Planted, Ran, Scene};
use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::{CollectionName, FailureKind};

use crate::traces::{json, log_lines, put, server_of};

/// Retention that deletes none of these tests' backups.
const KEEP: &str = "qdrant:\n  retries: 0\nretention:\n  keep_last: 9\n";

/// The errors that a file system returns for some calls.
struct Odd {
    answers: Vec<String>,
    /// Only calls on exactly these paths and on files opened by them. Empty for all paths.
    paths: Vec<PathBuf>,
}

impl Odd {
    fn answering(answers: &[&str]) -> Self {
        Self { answers: answers.iter().map(ToString::to_string).collect(), paths: Vec::new() }
    }

    fn on(mut self, path: PathBuf) -> Self {
        self.paths.push(path);
        self
    }

    /// A file system without directory sync.
    fn without_directory_syncs(place: &Place) -> Self {
        let mut odd = Self::answering(&["fsync:error=EINVAL"]).on(place.beside(""));
        for name in ["", "collections", "collections/vectors"] {
            odd = odd.on(place.path().join(name));
        }
        odd
    }

    /// A file system with neither no-replace renames nor hard links.
    fn without_sparing_renames() -> Self {
        Self::answering(&["renameat2:error=EINVAL", "linkat:error=EPERM"])
    }

    /// The program on such a file system.
    fn run(&self, place: &Place, arguments: &[&str]) -> Ran {
        let mut options = vec!["--output=/dev/null".to_owned()];
        options.extend(self.answers.iter().map(|answer| format!("--inject={answer}")));
        for path in &self.paths {
            options.push(format!("--trace-path={}", path.display().to_string().trim_end_matches('/')));
        }
        Ran::of(&mut under_strace(options, &place.command(arguments)))
    }
}

fn place(server: &StandIn) -> Place {
    Place::new(&server.url())
}

fn vectors() -> CollectionName {
    CollectionName::new("vectors").unwrap()
}

/// Corrupts the status file.
fn tear(place: &Place) {
    put(&place.layout().status_file(), "{\"schema_version\": 1, \"runn");
}

/// Two complete runs, a verification and a listing, all without errors.
#[track_caller]
fn works(odd: &Odd, place: &Place) {
    odd.run(place, &["run"]).success();
    odd.run(place, &["run"]).success();
    odd.run(place, &["verify"]).success();
    odd.run(place, &["list"]).success();
    assert_eq!(place.prove(), 2);
    assert_eq!(place.catalog().orphans, Vec::new());
    assert_eq!(place.temporary(), Vec::<String>::new());
}

#[test]
fn a_file_system_that_cannot_sync_directories_takes_backups_and_says_so_once_a_run() {
    let server = server_of(64 << 10);
    let place = place(&server);
    let odd = Odd::without_directory_syncs(&place);
    odd.run(&place, &["init"]).success();
    works(&odd, &place);
    let ran = odd.run(&place, &["backup"]).success();
    let said = log_lines(&ran).iter().filter(|line| line.contains("cannot sync directories")).count();
    assert_eq!(said, 1, "{}", ran.stderr);
}

#[test]
fn a_disk_that_fails_after_the_manifests_rename_fails_the_collection_and_keeps_its_files() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    // The directory is synced after renaming the archive and after renaming the manifest.
    let odd = |call| {
        Odd::answering(&[&format!("fsync:error=EIO:when={call}")])
            .on(place.path().join("collections/vectors"))
    };

    let ran = odd(1).run(&place, &["backup"]).code(1);
    ran.says(&["Backup of vectors failed", "may be lost after a power failure: Input/output error"]);
    assert_eq!(place.catalog().orphans, Vec::new(), "that archive never had a manifest");
    assert_eq!(place.prove(), 1);

    let ran = odd(2).run(&place, &["backup"]).code(1);
    ran.says(&["Backup of vectors failed", "Input/output error", "its files stay in place"]);
    let status = place.status();
    assert_eq!(status.collections[&vectors()].last_outcome, Some(Outcome::Failed));
    let operation = &status.last_run.unwrap().operations[0];
    assert_eq!(operation.collections[0].failure.as_ref().unwrap().kind, FailureKind::Io);
    assert_eq!(place.prove(), 2, "the archive still has its manifest");
    place.run(&["verify", "--backup", "all"]).success();
}

#[test]
fn without_sparing_renames_and_hard_links_everything_works_and_nothing_is_replaced() {
    let server = server_of(64 << 10);
    let place = place(&server);
    let odd = Odd::without_sparing_renames();
    odd.run(&place, &["init"]).success().says(&["WARN: File system of", "nor hard links"]);
    let first = json(&place.path().join("repository.json"));
    odd.run(&place, &["init"]).success().says(&["nothing changed"]);
    assert_eq!(json(&place.path().join("repository.json")), first);
    works(&odd, &place);
}

#[test]
fn a_torn_status_stops_nothing_where_it_cannot_be_moved_aside_without_looking_first() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.configure(KEEP);
    place.run(&["backup"]).success();
    let odd = Odd::without_sparing_renames();
    let commands: [&[&str]; 6] = [
        &["verify"],
        &["restore", "--collection", "vectors", "--force", "--no-safety-backup"],
        &["drill", "--on-source"],
        &["prune"],
        &["list"],
        &["run"],
    ];
    for arguments in commands {
        tear(&place);
        let ran = odd.run(&place, arguments).success();
        assert_eq!(ran.stderr.contains("moved aside to"), arguments != ["list"], "{}", ran.stderr);
    }
    let kept = place.files().into_iter().filter(|name| name.contains("unreadable-")).count();
    assert_eq!(kept, 5, "each of them is kept");
}

#[test]
fn a_status_that_cannot_even_be_moved_aside_keeps_nobody_from_restoring_or_verifying() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    let restore: &[&str] = &["restore", "--collection", "vectors", "--force", "--no-safety-backup"];
    let odd = Odd::answering(&["renameat2:error=EIO"]).on(place.layout().status_file());
    for arguments in [&["verify"], restore, &["run"]] {
        tear(&place);
        odd.run(&place, arguments).success().says(&["WARN: ", "cannot be moved aside (Input/output error"]);
        assert!(place.status().current_run.is_none(), "a new one is in its place");
    }
    // A directory in its place can be moved away. If not, the run still does its work.
    for answers in [&[][..], &["renameat2:error=EIO"]] {
        let path = place.layout().status_file();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let odd = Odd::answering(answers).on(path.clone());
        odd.run(&place, restore).success().says(&["Restore succeeded"]);
        if path.is_dir() {
            odd.run(&place, &["run"])
                .code(1)
                .says(&["the work is done, but the status file could not be written"]);
            fs::remove_dir(&path).unwrap();
            put(&path, "");
        }
    }
    // The same applies to a state directory that cannot be created.
    let mut command = place.command(restore);
    command.env("QDRANT_BACKUP_STATE_DIR", place.beside("not/there"));
    Ran::of(&mut command).success().says(&["WARN: state directory", "cannot be created"]);
}

#[test]
fn a_file_system_that_keeps_no_modes_takes_backups_from_the_first_run_on_and_init_says_what_that_means() {
    for answer in ["error=EPERM", "error=EOPNOTSUPP", "retval=0"] {
        let server = server_of(64 << 10);
        let place = place(&server);
        let calls = format!("?chmod,fchmod,?fchmodat,?fchmodat2:{answer}");
        let odd = Odd::answering(&[&calls]);
        odd.run(&place, &["init"]).success().says(&["WARN: File system of", "do not pass on their group"]);
        works(&odd, &place);
        let check = odd.run(&place, &["config", "check"]).success();
        assert!(check.stdout.contains("warn  file system"), "{}", check.stdout);
    }
}

#[test]
fn a_file_system_that_does_not_say_how_much_room_there_is_takes_backups() {
    // Fields of the answer: type and block size, then blocks in total, free, and free for non-root users.
    let zero = format!("statfs,?fstatfs:poke_exit=@arg2={}", "00".repeat(40));
    for answer in [zero.as_str(), "statfs:error=ENOSYS"] {
        let server = server_of(64 << 10);
        let place = place(&server);
        let odd = Odd::answering(&[answer]);
        odd.run(&place, &["init"]).success().says(&["does not report its free space"]);
        works(&odd, &place);
        let ran = odd.run(&place, &["backup"]).success();
        let said =
            log_lines(&ran).iter().filter(|line| line.contains("does not report its free space")).count();
        assert_eq!(said, 1, "{}", ran.stderr);
        let check = odd.run(&place, &["config", "check"]).success();
        assert!(check.stdout.contains("room              not known"), "{}", check.stdout);
    }
}

#[test]
fn a_file_system_without_locks_is_refused_by_init_and_check_and_by_every_run() {
    for answer in ["flock:error=ENOLCK", "flock:error=ENOSYS"] {
        let server = server_of(64 << 10);
        let place = place(&server);
        let odd = Odd::answering(&[answer]);
        odd.run(&place, &["init"]).code(78).says(&["ERROR: file system of", "no locks (flock)"]);
        assert!(!place.path().join("repository.json").exists());

        place.run(&["init"]).success();
        place.configure(KEEP);
        place.run(&["backup"]).success();
        let check = odd.run(&place, &["config", "check"]).code(78);
        assert!(check.stdout.contains("FAIL  file system"), "{}", check.stdout);
        for arguments in [&["run"][..], &["prune"], &["verify"]] {
            odd.run(&place, arguments).code(78).says(&["ERROR: ", "this file system has no locks"]);
        }
        // Existing backups can still be exported.
        odd.run(&place, &["list"]).success();
        let target = place.beside("snapshot");
        odd.run(&place, &["export", "--collection", "vectors", "--output", &target.display().to_string()])
            .success();
        assert!(Path::new(&target).exists());
    }
}

#[test]
fn a_disk_without_room_for_the_status_can_be_pruned() {
    for answer in ["EDQUOT", "ENOSPC"] {
        let place = Place::initialised("http://127.0.0.1:9");
        place.configure("qdrant:\n  retries: 0\nretention:\n  keep_last: 2\n");
        place.plant_daily("docs", "2025-07-01", 5);
        place.plant("notes", "2025-07-01T00:00:00Z", Planted::Good);
        // As on a network file system, where only the sync fails. The first two syncs are those of the status.
        let odd = Odd::answering(&[&format!("fsync:error={answer}:when=1..2")]);
        let ran = odd.run(&place, &["prune", "--yes"]).success();
        let ran = ran.says(&["WARN: ", "status.json: cannot be written"]);
        ran.says(&["Prune succeeded: deleted 3 backups"]);
        assert_eq!(place.ids("docs").len(), 2);
        assert_eq!(place.catalog().orphans, Vec::new());
        let status = place.status();
        assert_eq!((status.pruning.len(), status.current_run), (0, None));
        assert_eq!(status.last_run.unwrap().outcome, Outcome::Success);
    }
    // Old backups are deleted only after an error about lack of space.
    let place = Place::initialised("http://127.0.0.1:9");
    place.configure("qdrant:\n  retries: 0\nretention:\n  keep_last: 2\n");
    place.plant_daily("docs", "2025-07-01", 5);
    let odd = Odd::answering(&["fsync:error=EIO:when=1..2"]);
    odd.run(&place, &["prune", "--yes"]).code(1).says(&["nothing was deleted"]);
    assert_eq!(place.ids("docs").len(), 5);
}

#[test]
fn whoever_looks_for_a_backup_is_told_what_could_not_be_read() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.configure(KEEP);
    place.run(&["backup"]).success();
    let manifest = place.layout().manifest(&vectors(), place.newest("vectors").backup_id);
    let target = place.beside("snapshot").display().to_string();
    let odd = Odd::answering(&["?open,openat:error=ESTALE"]).on(manifest.clone());
    let commands: [(&[&str], i32); 6] = [
        (&["prune"], 0),
        (&["restore", "--collection", "vectors", "--force"], 1),
        (&["restore", "--collection", "vectors", "--dry-run"], 1),
        (&["drill", "--on-source", "--collection", "vectors"], 1),
        (&["export", "--collection", "vectors", "--output", &target], 1),
        (&["compare", "--on-source", "--collection", "vectors"], 1),
    ];
    for (arguments, code) in commands {
        let ran = odd.run(&place, arguments).code(code);
        ran.says(&["WARN: ", &manifest.display().to_string(), "cannot be read: Stale file handle"]);
    }
    odd.run(&place, &["status"]).says(&["WARN: ", "Stale file handle"]);
    assert_eq!(place.prove(), 1);
}
