//! Commands run by root with files placed by other users: what two users on one machine can do to each other. Only
//! root can act as two users, so these tests fail without root.

#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::programs::{copy_program, program};
use e2e::qdrant_stand_in::StandIn;
use e2e::users::{NOBODY, allow_core_dumps, need_root};
use e2e::{Place, Ran, Scene, eventually};
use qdrant_backup_shared::atomic;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

/// A second unprivileged user, who exists on every Debian system.
const GAMES: u32 = 5;

/// A place that everybody can access, with a copy of the program, because the build directory may be private.
struct Shared {
    server: StandIn,
    place: Place,
    program: PathBuf,
}

impl Shared {
    /// With a repository owned by root.
    fn new() -> Self {
        need_root();
        let Scene { server, place } = Scene::on(StandIn::sample());
        fs::set_permissions(place.beside("."), Permissions::from_mode(0o755)).unwrap();
        let program = place.beside("qdrant-backup");
        copy_program("qdrant-backup", &program);
        Self { server, place, program }
    }

    /// With a repository owned by the user nobody.
    fn nobodys() -> Self {
        let shared = Self::new();
        give(shared.place.path());
        shared
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let named = self.place.command(arguments);
        let mut command = Command::new(&self.program);
        command.args(named.get_args()).env_clear();
        command.envs(named.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    fn root(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    fn nobody(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).uid(NOBODY).gid(NOBODY).current_dir("/"))
    }

    /// Fails the test unless the user nobody owns everything in the backup directory.
    #[track_caller]
    fn all_is_nobodys(&self, after: &str) {
        let mut found = vec![self.place.path().to_owned()];
        while let Some(path) = found.pop() {
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert_eq!(metadata.uid(), NOBODY, "{} after {after}", path.display());
            if metadata.is_dir() {
                found.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    }
}

/// Makes the user nobody the owner of everything at `path`.
fn give(path: &Path) {
    lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn what_root_runs_in_somebody_elses_directory_is_done_as_them() {
    let shared = Shared::nobodys();
    shared.place.configure("qdrant:\n  retries: 0\nretention:\n  keep_last: 9\n");
    let ran = shared.root(&["run"]).success();
    ran.says(&["INFO", "Running as nobody, the owner of", &shown(shared.place.path())]);
    shared.all_is_nobodys("run");
    let id = shared.place.backups("minilm_general")[0].manifest.backup_id.to_string();
    let file = shared.place.beside("import.snapshot");
    shared.root(&["export", "-c", "empty", "-o", &shown(&file)]).success();
    chown(&file, Some(NOBODY), None).unwrap();
    let file = shown(&file);
    let to = StandIn::sample();
    let url = to.url();
    for arguments in [
        vec!["init"],
        vec!["backup"],
        vec!["verify"],
        vec!["prune", "--yes"],
        vec!["hold", &id, "-c", "minilm_general"],
        vec!["unhold", &id, "-c", "minilm_general"],
        vec!["import", &file, "-c", "other"],
        vec!["restore", "-c", "minilm_general", "--force"],
        vec!["drill", "--to", &url],
        vec!["accept-source"],
        vec!["config", "check"],
        vec!["export", "-c", "empty", "-o", "-"],
        vec!["status"],
        vec!["list"],
    ] {
        let ran = shared.root(&arguments);
        assert!(ran.code.is_some_and(|code| code < 70), "{arguments:?}: {}", ran.stderr);
        shared.all_is_nobodys(&arguments.join(" "));
    }
    // Root's files do not block the user.
    shared.nobody(&["run"]).success();
    shared.nobody(&["verify", "--backup", "all"]).success();
}

#[test]
fn a_restore_by_root_leaves_a_safety_backup_that_the_owner_can_read() {
    let shared = Shared::nobodys();
    shared.nobody(&["run"]).success();
    shared.root(&["restore", "-c", "minilm_general", "--force"]).success();
    assert_eq!(shared.place.backups("minilm_general").len(), 2);
    shared.nobody(&["verify", "--backup", "all", "-c", "minilm_general"]).success();
}

#[test]
fn the_owner_comes_with_all_their_groups_and_the_arguments_as_they_were() {
    let shared = Shared::nobodys();
    let heard = shared.place.beside("heard");
    atomic::write(&heard, 0o666, b"").unwrap();
    fs::set_permissions(&heard, Permissions::from_mode(0o666)).unwrap();
    shared.place.configure(&format!(
        "qdrant:\n  retries: 0\nhooks:\n  on_success: \"id -un; id -G > {}; echo $FOREIGN >> {}\"\n",
        shown(&heard),
        shown(&heard)
    ));
    let ran = Ran::of(shared.command(&["run", "--json"]).env("FOREIGN", "kept as it is")).success();
    let groups = Command::new("id").args(["-G", "nobody"]).output().unwrap().stdout;
    let groups = String::from_utf8(groups).unwrap();
    assert_eq!(fs::read_to_string(&heard).unwrap(), format!("{groups}kept as it is\n"));
    assert!(ran.stdout.contains("\"command\": \"run\""), "{}", ran.stdout);
}

#[test]
fn a_program_in_roots_home_and_an_owner_without_a_name_are_no_obstacle() {
    let mut shared = Shared::new();
    let hidden = shared.place.beside("home");
    fs::create_dir(&hidden).unwrap();
    fs::set_permissions(&hidden, Permissions::from_mode(0o700)).unwrap();
    let program = hidden.join("qdrant-backup");
    fs::rename(&shared.program, &program).unwrap();
    shared.program = program;
    let nameless = 64_321;
    for path in [shared.place.path(), &shared.place.layout().repository_file()] {
        chown(path, Some(nameless), Some(nameless)).unwrap();
    }
    shared.root(&["run"]).success().says(&["INFO", "Running as 64321, the owner of"]);
    let status = fs::metadata(shared.place.layout().status_file()).unwrap();
    assert_eq!((status.uid(), status.gid()), (nameless, nameless));
}

#[test]
fn root_that_may_not_become_the_owner_is_told_what_to_type() {
    let shared = Shared::nobodys();
    let named = shared.command(&["run", "--lock-wait", "1 s"]);
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-setuid", "--inh-caps=-setuid", "--"]).arg(&shared.program);
    command.args(named.get_args()).env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(named.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = Ran::of(&mut command).code(78);
    ran.says(&["ERROR", "belongs to nobody", "sudo -u nobody", "run --lock-wait '1 s' --config"]);
    shared.all_is_nobodys("a refusal");
}

#[test]
fn what_the_owner_cannot_use_is_named_with_its_chown_before_it_fails() {
    let shared = Shared::nobodys();
    shared.root(&["run"]).success();
    let collections = shared.place.layout().collections();
    let (directory, other) = (collections.join("minilm_general"), collections.join("empty"));
    chown(&directory, Some(0), Some(0)).unwrap();
    let archive = fs::read_dir(&other).unwrap().map(|entry| entry.unwrap().path());
    let archive = archive.into_iter().find(|path| path.extension().is_some_and(|end| end == "gz")).unwrap();
    chown(&archive, Some(0), Some(0)).unwrap();
    for check in [shared.root(&["config", "check"]), shared.nobody(&["config", "check"])] {
        let check = check.code(78);
        let fails = |parts: &[&str]| {
            check.stdout.lines().any(|line| {
                line.starts_with("FAIL  write access") && parts.iter().all(|part| line.contains(part))
            })
        };
        let mends = format!("chown -R nobody:nogroup {}", shown(&directory));
        assert!(fails(&["belongs to root", &mends]), "{}", check.stdout);
        assert!(fails(&[&shown(&archive), &format!("chown -R nobody:nogroup {}", shown(&other))]));
    }
    let ran = shared.root(&["run"]);
    assert_ne!(ran.code, Some(0));
    let mends = format!("chown -R nobody:nogroup {}", shown(&directory));
    ran.says(&["WARN", &mends]).says(&["minilm_general", "ermission denied", &mends]);
    let failure =
        shared.place.status().collections.into_iter().find_map(|(name, status)| {
            (name.as_str() == "minilm_general").then_some(status.failure).flatten()
        });
    assert!(failure.expect("a failure").message.contains(&mends));
    // The suggested command helps.
    for path in [&directory, &other] {
        give(path);
    }
    shared.root(&["config", "check"]).success();
    shared.root(&["run"]).success();
}

#[test]
fn a_key_that_the_owner_may_not_read_says_by_whom_it_must_be() {
    let shared = Shared::nobodys();
    let key = shared.place.beside("key");
    atomic::write(&key, 0o600, b"s3cret\n").unwrap();
    let ran = shared.root(&["run", "--api-key-file", &shown(&key)]).code(78);
    ran.says(&["ERROR", &shown(&key), "belongs to root", "readable by nobody", "chgrp nogroup"])
        .never_says("s3cret");
    // The suggested command helps.
    chown(&key, None, Some(NOBODY)).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    shared.root(&["run", "--api-key-file", &shown(&key)]).success();
}

#[test]
fn a_repository_that_root_makes_anew_is_for_whoever_the_old_one_was_for() {
    let shared = Shared::nobodys();
    let (state, key) = (shared.place.beside("state"), shared.place.beside("key"));
    fs::create_dir(&state).unwrap();
    give(&state);
    atomic::write(&key, 0o400, b"s3cret\n").unwrap();
    chown(&key, Some(NOBODY), None).unwrap();
    fs::rename(shared.place.path(), shared.place.beside("lost")).unwrap();
    let (state, key) = (shown(&state), shown(&key));
    let with = |command| [command, "--state-dir", &state, "--api-key-file", &key];
    shared.root(&with("init")).success().says(&["INFO", "belongs to nobody"]).never_says("chown");
    shared.all_is_nobodys("init");
    shared.root(&with("run")).success().says(&["Running as nobody"]);
    shared.all_is_nobodys("run");
}

#[test]
fn whoever_is_not_the_owner_is_told_to_type_it_as_them_and_not_to_take_anything() {
    let shared = Shared::nobodys();
    shared.root(&["run"]).success();
    let key = shared.place.beside("key");
    atomic::write(&key, 0o400, b"s3cret\n").unwrap();
    chown(&key, Some(NOBODY), None).unwrap();
    let (file, key) = (shown(&shared.place.beside("out")), shown(&key));
    let commands: [&[&str]; 3] =
        [&["verify"], &["export", "-c", "empty", "-o", &file], &["run", "--api-key-file", &key]];
    for arguments in commands {
        // A member of the group that may view the backups.
        let mut command = shared.command(arguments);
        let ran = Ran::of(command.uid(GAMES).gid(NOBODY).current_dir("/"));
        assert_ne!(ran.code, Some(0));
        let typed = format!("{} {}", shown(&shared.program), arguments[0]);
        ran.says(&["ERROR", "belongs to nobody", "sudo -u nobody", &typed])
            .never_says("chown")
            .never_says("chgrp");
    }
}

#[test]
fn setup_gives_nobody_a_directory_of_roots_that_they_lead_it_to_or_that_holds_other_files() {
    let shared = Shared::new();
    let (theirs, own) = (shared.place.beside("home"), shared.place.beside("etc"));
    for path in [&theirs, &own] {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    give(&theirs);
    let link = theirs.join("backups");
    symlink(&own, &link).unwrap();
    lchown(&link, Some(NOBODY), Some(NOBODY)).unwrap();
    let set_up = |path: &Path| {
        let (path, config) = (shown(path), shown(&shared.place.beside("new.yaml")));
        let url = shared.server.url();
        let mut command = Command::new(&shared.program);
        command.args(["setup", "--yes", "--no-trial", "--force", "--user", "nobody", "--url", &url]);
        Ran::of(command.args(["--backup-path", &path, "--config", &config]).env_clear().stdin(Stdio::null()))
    };
    set_up(&link).code(78);
    assert_eq!(fs::metadata(&own).unwrap().uid(), 0, "given away through a link");
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0, "made a repository through a link");
    atomic::write(&own.join("passwd"), 0o644, b"x").unwrap();
    set_up(&own).code(78).says(&["ERROR", &shown(&own), "contains other files"]);
    assert_eq!(fs::metadata(&own).unwrap().uid(), 0, "given away with its contents");
    // The remains of a killed setup do not block the next one.
    let again = shared.place.beside("again");
    fs::create_dir_all(again.join(".probe.x1Y2z3.tmp")).unwrap();
    atomic::write(&again.join(".probe.x1Y2z3.tmp/locked"), 0o600, b"").unwrap();
    set_up(&again).success();
    let left = fs::read_dir(&again).unwrap().map(|entry| entry.unwrap().metadata().unwrap().uid());
    assert!(left.into_iter().chain([fs::metadata(&again).unwrap().uid()]).all(|owner| owner == NOBODY));
    // In a user's own directory, setup creates for that user only what the user could create.
    let proper = theirs.join("proper");
    set_up(&proper).success();
    assert_eq!(fs::metadata(&proper).unwrap().uid(), NOBODY);
}

#[test]
fn files_are_restored_into_the_directory_that_was_made_wherever_its_name_leads_by_then() {
    let shared = Shared::new();
    let source = shared.place.beside("config");
    fs::create_dir(&source).unwrap();
    for number in 0..400 {
        atomic::write(&source.join(format!("f{number}")), 0o644, b"x").unwrap();
    }
    let globs = format!("backup:\n  include_files: ['{}/*']\n", shown(&source));
    shared.place.configure(&globs);
    shared.root(&["backup"]).success();
    let (parent, outside) = (shared.place.beside("parent"), shared.place.beside("outside"));
    for path in [&parent, &outside] {
        fs::create_dir(path).unwrap();
    }
    give(&parent);
    let into = parent.join("out");
    let mut restoring = shared.command(&["restore", "--files", "--into", &shown(&into)]).spawn().unwrap();
    // The owner of the parent directory replaces the directory by a link as soon as it exists.
    while fs::metadata(&into).is_err() {
        std::hint::spin_loop();
    }
    drop(fs::rename(&into, parent.join("away")));
    drop(symlink(&outside, &into));
    restoring.wait().unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "written outside");
}

#[test]
fn a_disk_that_is_not_mounted_is_named_and_not_whose_the_owners_key_is() {
    let shared = Shared::nobodys();
    let key = shared.place.beside("key");
    atomic::write(&key, 0o400, b"s3cret\n").unwrap();
    chown(&key, Some(NOBODY), None).unwrap();
    let (backups, away) = (shared.place.path(), shared.place.beside("away"));
    fs::rename(backups, &away).unwrap();
    for is_mount_point_there in [false, true] {
        if is_mount_point_there {
            fs::create_dir(backups).unwrap();
        }
        for command in ["run", "verify", "prune"] {
            let ran = shared.root(&[command, "--api-key-file", &shown(&key)]).code(78);
            ran.says(&["ERROR", &shown(backups), "is the disk mounted?"]).never_says("chown");
        }
    }
    fs::remove_dir(backups).unwrap();
    fs::rename(&away, backups).unwrap();
    shared.root(&["run", "--api-key-file", &shown(&key)]).success();
}

#[test]
fn root_goes_by_no_file_that_others_may_change() {
    let shared = Shared::new();
    let (config, heard) = (shared.place.beside("backup.yaml"), shared.place.beside("heard"));
    let hook = shared.place.beside("hook");
    atomic::write(&hook, 0o755, format!("#!/bin/sh\necho heard > {}\n", shown(&heard)).as_bytes()).unwrap();
    shared.place.configure(&format!("qdrant:\n  retries: 0\nhooks:\n  on_success: {}\n", shown(&hook)));
    let env = shared.place.beside("env");
    let key = shared.place.beside("key");
    for path in [&env, &key] {
        atomic::write(path, 0o600, if *path == key { b"key" } else { b"" }).unwrap();
    }
    let (named_env, named_key) = (shown(&env), shown(&key));
    let options = ["--env-file", &named_env, "--api-key-file", &named_key];
    let run = |command: &[&str]| shared.root(&[command, &options[..]].concat());
    for path in [&config, &hook, &env, &key] {
        let mode = fs::metadata(path).unwrap().permissions();
        for others in [0o020, 0o002] {
            fs::set_permissions(path, Permissions::from_mode(mode.mode() | others)).unwrap();
            for command in ["run", "backup", "prune", "verify"] {
                run(&[command]).code(78).says(&["ERROR", &format!("chmod go-w {}", shown(path))]);
            }
            let check = run(&["config", "check"]).code(78);
            assert!(check.stdout.contains(&format!("chmod go-w {}", shown(path))), "{}", check.stdout);
        }
        fs::set_permissions(path, mode).unwrap();
        chown(path, Some(NOBODY), None).unwrap();
        run(&["run"]).code(78).says(&["ERROR", "belongs to nobody", &format!("chown root {}", shown(path))]);
        chown(path, Some(0), None).unwrap();
    }
    // A user with write permission in the directory can replace the file.
    fs::set_permissions(shared.place.beside("."), Permissions::from_mode(0o777)).unwrap();
    run(&["run"]).code(78).says(&["ERROR", "chmod go-w"]);
    fs::set_permissions(shared.place.beside("."), Permissions::from_mode(0o755)).unwrap();
    assert!(!heard.exists());
    run(&["run"]).success();
    assert!(heard.exists());
    // Other users only get a warning, because the hook runs with their own rights.
    give(shared.place.path());
    fs::set_permissions(&config, Permissions::from_mode(0o666)).unwrap();
    let check = shared.nobody(&["config", "check"]);
    assert!(check.stdout.lines().any(|line| line.starts_with("warn  files") && line.contains("chmod go-w")));
    // Root is refused even if it would switch users, because the file names the user.
    shared.root(&["run"]).code(78).says(&["ERROR", "chmod go-w"]);
}

#[test]
fn a_corrupt_backup_that_root_exports_is_put_on_record_by_its_owner() {
    let shared = Shared::nobodys();
    shared.root(&["run"]).success();
    let backup = shared.place.backups("minilm_general").remove(0);
    let name = &backup.manifest.archives[0].file_name;
    let path = shared.place.layout().collection(&backup.manifest.collection).join(name);
    let archive = fs::File::options().write(true).open(&path).unwrap();
    archive.write_all_at(&[0x55; 64], archive.metadata().unwrap().len() / 2).unwrap();
    let out = shown(&shared.place.beside("out"));

    let ran = shared.root(&["export", "--collection", "minilm_general", "-o", &out]).code(4);

    ran.says(&["ERROR", "is now recorded as failed; there is no other good backup"]);
    assert!(!shared.place.backups("minilm_general")[0].is_good());
    shared.all_is_nobodys("a record of corruption");
}

/// Reads a file of a process as this user.
fn of_process(pid: u32, file: &str, user: u32) -> Result<String, String> {
    let path = format!("/proc/{pid}/{file}");
    let read = Command::new("head").args(["-c", "65536", &path]).uid(user).gid(user).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if read.status.success() { Ok(text(&read.stdout)) } else { Err(text(&read.stderr)) }
}

#[test]
fn a_key_in_the_environment_is_seen_by_no_other_process_and_in_no_core_dump() {
    let shared = Shared::nobodys();
    allow_core_dumps();
    let (other, key) = (1, "zQx81-distinctive-KEY");
    let pid_file = shared.place.beside("pid");
    atomic::write(&pid_file, 0o666, b"").unwrap();
    fs::set_permissions(&pid_file, Permissions::from_mode(0o666)).unwrap();
    let hook = shared.place.beside("hook");
    atomic::write(
        &hook,
        0o755,
        format!("#!/bin/sh\necho $$ > {}\nexec sleep 60\n", shown(&pid_file)).as_bytes(),
    )
    .unwrap();
    for command in [format!("[{}]", shown(&hook)), format!("{} ignored", shown(&hook))] {
        File::create(&pid_file).unwrap();
        shared.place.configure(&format!("qdrant:\n  retries: 0\nhooks:\n  on_success: {command}\n"));
        let mut run = shared.command(&["run"]);
        run.uid(NOBODY).gid(NOBODY).current_dir("/").env("QDRANT_API_KEY", key);
        run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = run.spawn().unwrap();
        let mut hook_pid = 0;
        eventually("the hook runs", || {
            hook_pid = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap_or(0);
            hook_pid != 0
        });
        for user in [NOBODY, other] {
            for file in ["environ", "mem"] {
                let read = of_process(child.id(), file, user);
                assert!(
                    read.as_ref().is_err_and(|said| said.contains("ermission denied")),
                    "{user}: {read:?}"
                );
            }
        }
        // The hook is the user's own program and was never started.
        let environment = of_process(hook_pid, "environ", NOBODY).unwrap();
        assert!(environment.contains("QDRANT_BACKUP_EVENT") && !environment.contains(key), "{environment}");
        assert!(of_process(hook_pid, "environ", other).is_err());
        assert!(!of_process(child.id(), "cmdline", other).unwrap().contains(key));

        kill_process(Pid::from_child(&child), Signal::ABORT).unwrap();
        let ended = child.wait().unwrap();
        assert!(ended.signal().is_some() && !ended.core_dumped(), "{ended:?}");
        kill_process(Pid::from_raw(i32::try_from(hook_pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    }
}

#[test]
fn the_settings_are_shown_to_those_who_may_not_read_the_key() {
    let shared = Shared::nobodys();
    let (key, drill) = (shared.place.beside("key"), shared.place.beside("drill-key"));
    for path in [&key, &drill] {
        atomic::write(path, 0o600, b"s3cret\n").unwrap();
    }
    shared.place.configure(&format!(
        "qdrant:\n  api_key_file: {}\ndrill:\n  url: http://127.0.0.1:1\n  api_key_file: {}\n",
        shown(&key),
        shown(&drill)
    ));
    let show = |arguments: &[&str]| shared.nobody(&[&["config", "show"], arguments].concat()).success();
    let shows = |ran: &Ran, key: &str, value: &str| {
        let row = ran.stdout.lines().find(|line| line.split_whitespace().next() == Some(key)).unwrap();
        assert_eq!(row.split_whitespace().nth(1), Some(value), "{row}");
    };
    let ran = show(&[]);
    shows(&ran, "qdrant.api_key_file", &shown(&key));
    shows(&ran, "qdrant.api_key", "unreadable");
    shows(&ran, "drill.api_key_file", &shown(&drill));
    for path in [&key, &drill] {
        let said = format!("cannot use the API key file {}: Permission denied", shown(path));
        assert!(ran.stdout.contains("warning: ") && ran.stdout.contains(&said), "{}", ran.stdout);
    }
    show(&["--api-key-file", "/no/such/key"]).says(&["/no/such/key", "No such file"]);
    // A user who needs the key is still refused.
    shared.nobody(&["run"]).code(78).says(&["ERROR", "Permission denied", "must be readable by nobody"]);
    shared.nobody(&["config", "check"]).code(78);
    for path in [&key, &drill] {
        chown(path, Some(NOBODY), None).unwrap();
    }
    let ran = show(&[]);
    shows(&ran, "qdrant.api_key", "********");
    assert!(!ran.stdout.contains("warning: ") && !ran.stdout.contains("s3cret"), "{}", ran.stdout);
}

#[test]
fn root_runs_no_program_of_a_hook_that_others_may_change() {
    let shared = Shared::new();
    let directory = shared.place.beside("programs");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    let (program, heard) = (directory.join("tell"), shared.place.beside("heard"));
    atomic::write(&program, 0o755, format!("#!/bin/sh\necho $1 > {}\n", shown(&heard)).as_bytes()).unwrap();
    let path = format!("{}:/usr/bin:/bin", shown(&directory));
    for named in [shown(&program), "tell".to_owned()] {
        shared.place.configure(&format!("qdrant:\n  retries: 0\nhooks:\n  on_success: [{named}, heard]\n"));
        let run = || Ran::of(shared.command(&["run"]).env("PATH", &path));
        fs::set_permissions(&program, Permissions::from_mode(0o757)).unwrap();
        run().code(78).says(&["ERROR", &format!("chmod go-w {}", shown(&program))]);
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        run().code(78).says(&["ERROR", &format!("chmod go-w {}", shown(&directory))]);
        fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        assert!(!heard.exists());
        run().success();
        assert_eq!(fs::read_to_string(&heard).unwrap(), "heard\n");
        fs::remove_file(&heard).unwrap();
    }
}

#[test]
fn a_hook_of_roots_finds_no_program_where_others_put_them() {
    let shared = Shared::new();
    let (directory, heard) = (shared.place.beside("open"), shared.place.beside("heard"));
    fs::create_dir(&directory).unwrap();
    let script = format!("#!/bin/sh\ntouch {}\n", shown(&heard));
    atomic::write(&directory.join("tell"), 0o755, script.as_bytes()).unwrap();
    let path = format!("{}:.:/nowhere:/usr/bin:/bin", shown(&directory));
    // The command line does not show which program a shell or an interpreter line runs.
    for hook in ["tell", "/usr/bin/env tell"] {
        shared.place.configure(&format!("qdrant:\n  retries: 0\nhooks:\n  on_success: {hook}\n"));
        let run = || Ran::of(shared.command(&["run"]).env("PATH", &path).current_dir(&directory));
        fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        run().success().says(&["WARN", "hooks.on_success", "failed"]);
        assert!(!heard.exists(), "{hook}");
        fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        run().success();
        fs::remove_file(&heard).unwrap();
    }
}

#[test]
fn a_lock_that_is_a_link_or_a_pipe_is_refused_and_what_it_leads_to_is_left_alone() {
    let shared = Shared::new();
    shared.root(&["run"]).success();
    let (victim, absent) = (shared.place.beside("victim"), shared.place.beside("absent"));
    atomic::write(&victim, 0o600, b"precious").unwrap();
    let layout = shared.place.layout();
    let commands: [(PathBuf, &[&str]); 3] = [
        (layout.lock_file(), &["backup"]),
        (layout.readers_file(), &["export", "-c", "empty", "-o", "-"]),
        (layout.readers_file(), &["hold", "2025-07-15-14-30-00", "-c", "empty"]),
    ];
    for (path, arguments) in commands {
        let plants: [&dyn Fn(); 4] = [
            &|| symlink(&victim, &path).unwrap(),
            &|| symlink(&absent, &path).unwrap(),
            &|| fs::hard_link(&victim, &path).unwrap(),
            &|| mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap(),
        ];
        for plant in plants {
            drop(fs::remove_file(&path));
            plant();
            let named = shared.command(arguments);
            let mut command = Command::new("timeout");
            command.arg("20").arg(&shared.program).args(named.get_args()).env_clear();
            command.envs(named.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let ran = Ran::of(&mut command);
            assert!(ran.code.is_some_and(|code| code != 0 && code != 124), "{:?} {}", ran.code, ran.stderr);
            ran.says(&["ERROR", &shown(&path)]);
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
            assert!(!absent.exists());
        }
        fs::remove_file(&path).unwrap();
        drop(shared.root(arguments));
    }
    // A waiting run records that in a separate file.
    symlink(&absent, layout.waiting_file()).unwrap();
    drop(shared.root(&["backup", "--lock-wait", "1s"]));
    assert!(!absent.exists());
}

#[test]
fn who_may_read_the_directory_cannot_hold_its_locks() {
    let shared = Shared::new();
    shared.root(&["run"]).success();
    let layout = shared.place.layout();
    let locks = [layout.lock_file(), layout.readers_file()];
    // The modes that older versions left.
    for path in &locks {
        drop(shared.root(&["export", "-c", "empty", "-o", "-"]));
        fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
    }
    shared.root(&["run"]).success();
    shared.root(&["export", "-c", "empty", "-o", "-"]).success();
    for path in &locks {
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_collections_directory_is_no_link_of_a_strangers() {
    let shared = Shared::new();
    shared.root(&["run"]).success();
    let directory = shared.place.layout().collections().join("minilm_general");
    let elsewhere = shared.place.beside("elsewhere");
    fs::rename(&directory, &elsewhere).unwrap();
    symlink(&elsewhere, &directory).unwrap();
    let before = || fs::read_dir(&elsewhere).unwrap().count();
    let count = before();
    let exporter = || {
        let mut command = Command::new(program("qdrant-backup-exporter"));
        command.args(["--once", "--backup-dir"]).arg(shared.place.path()).env_clear();
        Ran::of(&mut command)
    };
    let strangers: [&dyn Fn(u32); 2] = [&|uid| lchown(&directory, Some(uid), None).unwrap(), &|uid| {
        chown(&elsewhere, Some(uid), None).unwrap()
    }];
    for give_to in strangers {
        give_to(NOBODY);
        let ran = shared.root(&["backup"]).code(3);
        ran.says(&["ERROR", "minilm_general", "belongs to user 65534", "not followed"]);
        assert_eq!(before(), count);
        assert!(shared.place.catalog().unreadable.iter().any(|one| one.path == directory));
        let look = exporter();
        assert!(look.stdout.contains("\nqdrant_backup_unreadable_files 1\n"), "{}", look.stdout);
        assert!(!look.stdout.contains("backups{collection=\"minilm_general\"} 1"), "{}", look.stdout);
        give_to(0);
        assert!(exporter().stdout.contains("\nqdrant_backup_unreadable_files 0\n"));
    }
    shared.root(&["backup"]).success();
    assert!(before() > count, "a link that belongs to root is followed");
}

#[test]
fn setup_gives_away_only_what_it_has_made() {
    let shared = Shared::new();
    let url = shared.server.url();
    let backups = shared.place.beside("theirs");
    let marker = backups.join("repository.json");
    let victim = shared.place.beside("victim");
    let genuine = fs::read(shared.place.layout().repository_file()).unwrap();
    let config = shared.place.beside("setup.yaml");
    let setup = || {
        let mut command = Command::new(&shared.program);
        command.args(["setup", "--yes", "--no-trial", "--force", "--user", "nobody", "--url", &url]);
        command.arg("--backup-path").arg(&backups).arg("--config").arg(&config).env_clear();
        Ran::of(&mut command)
    };
    let plants: [&dyn Fn(); 3] = [
        &|| symlink(&victim, &marker).unwrap(),
        &|| fs::hard_link(&victim, &marker).unwrap(),
        // Not a repository.json: somebody has renamed another file of root to this name.
        &|| atomic::write(&marker, 0o600, b"root:secret").unwrap(),
    ];
    for plant in plants {
        fs::create_dir(&backups).unwrap();
        chown(&backups, Some(NOBODY), Some(NOBODY)).unwrap();
        atomic::write(&victim, 0o600, &genuine).unwrap();
        plant();
        let ran = setup();
        assert_ne!(ran.code, Some(0), "{}", ran.stderr);
        ran.says(&["ERROR", &shown(&marker)]);
        assert_eq!(fs::metadata(&victim).unwrap().uid(), 0);
        assert_eq!(fs::symlink_metadata(&marker).unwrap().uid(), 0);
        fs::remove_dir_all(&backups).unwrap();
    }
    // Root creates nothing in a directory that already belongs to another user.
    fs::create_dir(&backups).unwrap();
    chown(&backups, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(&backups, Permissions::from_mode(0o2750)).unwrap();
    setup().success();
    for path in [&backups, &marker] {
        assert_eq!(fs::metadata(path).unwrap().uid(), NOBODY, "{}", path.display());
    }
    fs::remove_dir_all(&backups).unwrap();
    setup().success();
    for path in [&backups, &marker] {
        assert_eq!(fs::metadata(path).unwrap().uid(), NOBODY, "{}", path.display());
    }
    assert_eq!(fs::metadata(&backups).unwrap().mode() & 0o7777, 0o2750);
}
