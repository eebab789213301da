//! Interrupted copies, and how they look to other commands.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::offsite::{Breaking, Nas, PASSWORD, Serving, children, configure};
use e2e::qdrant_stand_in::{Setup, StandIn};
use e2e::repository::python_program;
use e2e::running::PATIENCE;
use e2e::{Place, Ran, Running, Scene, eventually, eventually_within};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::operation::{Operation, Outcome};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::traces::{collection_of, server_of};

const MIB: u64 = 1 << 20;

/// A server with one collection of incompressible data, backed up, and a place with an initialized repository at
/// `repository`.
fn noise(size_bytes: u64, nas: impl FnOnce(&Place) -> Nas) -> (Scene<StandIn>, Nas) {
    let scene = Scene::on(server_of(size_bytes)).backed_up();
    let nas = nas(&scene.place);
    configure(&scene.place, &[&nas], "");
    scene.place.run(&["offsite", "init", "nas"]).success();
    (scene, nas)
}

/// The number of copies, each of which is proven by a restore.
#[track_caller]
fn proven(place: &Place) -> usize {
    let listed = place.run(&["offsite", "list", "nas", "--json"]).success();
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let count = listed.as_array().expect("a list").len();
    if count > 0 {
        let verified = place.run(&["verify", "--from", "nas", "--backup", "all"]).success();
        verified.says(&[&format!("{count} backup")]);
    }
    count
}

#[test]
fn a_runner_that_is_killed_at_any_moment_leaves_only_copies_that_are_whole() {
    const KILLS: usize = 30;
    let setup =
        Setup::empty().collection(collection_of("one", 3 * MIB)).collection(collection_of("two", 64 << 10));
    let scene = Scene::on(StandIn::start(setup)).backed_up();
    let place = &scene.place;
    let nas = Nas::directory(place, "nas");
    configure(place, &[&nas], "retention: {keep_last: 9}\n");
    place.run(&["offsite", "init", "nas"]).success();
    let began = Instant::now();
    place.run(&["offsite", "copy"]).success();
    let longest = began.elapsed();
    let mut seen = proven(place);
    assert_eq!(seen, 2);
    // Distributes the kills evenly over the duration of a copy.
    for number in 0..KILLS {
        if number % 3 == 0 {
            scene.backup().success();
        }
        let mut command = place.command(&["offsite", "copy"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let part = u32::try_from((number * 7919) % KILLS).unwrap();
        std::thread::sleep(longest * part / u32::try_from(KILLS).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        let listed = place.run(&["offsite", "list", "--json"]).success();
        let now = serde_json::from_str::<Value>(&listed.stdout).unwrap().as_array().unwrap().len();
        assert!(now >= seen, "a copy is never lost");
        seen = now;
        let catalog = place.catalog();
        assert!(catalog.unreadable.is_empty(), "{:?}", catalog.unreadable);
    }
    place.run(&["run"]).success();
    let backups = place.backups("one").len() + place.backups("two").len();
    assert_eq!(proven(place), backups);
    // What restic was still saving when its run was killed is complete by now, but belongs to no copy.
    place.run(&["offsite", "prune", "nas"]).success();
    let snapshots: Value = serde_json::from_str(&nas.restic(&["snapshots", "--json"]).stdout).unwrap();
    assert_eq!(snapshots.as_array().unwrap().len(), 2 * backups, "an archive and a manifest of each");
    place.run(&["offsite", "check", "nas"]).success();
}

#[test]
fn a_signal_ends_restic_too_and_nothing_half_copied_is_there() {
    let (scene, nas) = noise(8 * MIB, |place| Nas::directory(place, "nas").with("limit_upload: 256KiB"));
    let place = &scene.place;
    let running = Running::start(&mut place.command(&["offsite", "copy"]));
    let restic = eventually_within(PATIENCE, "restic sends", || saving(running.pid()));
    running.signal(Signal::TERM);
    running.end().code(143);
    assert!(!fs::exists(format!("/proc/{restic}")).unwrap(), "it has ended");
    assert_eq!(proven(place), 0);
    assert_eq!(nas.restic(&["snapshots", "--json"]).success().stdout.trim(), "[]");
    assert_eq!(nas.restic(&["list", "locks", "--no-lock"]).success().stdout, "");
    assert_eq!(place.status().operations[&Operation::Offsite].last_outcome, Some(Outcome::Interrupted));
}

/// The restic process of `pid` that is saving a snapshot.
fn saving(pid: u32) -> Option<u32> {
    children(pid).into_iter().find(|child| {
        fs::read(format!("/proc/{child}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains("--stdin"))
    })
}

#[test]
fn a_restic_that_is_killed_is_a_failure_and_the_next_run_copies() {
    let (scene, nas) = noise(8 * MIB, |place| Nas::directory(place, "nas").with("limit_upload: 256KiB"));
    let place = &scene.place;
    let running = Running::start(&mut place.command(&["offsite", "copy"]));
    let restic = eventually_within(PATIENCE, "restic sends", || saving(running.pid()));
    eventually("it has its lock", || nas.restic(&["list", "locks", "--no-lock"]).stdout.lines().count() == 1);
    let pid = Pid::from_raw(i32::try_from(restic).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    running.end().code(1).says(&["ERROR", "restic failed", "signal: 9"]);
    assert_eq!(proven(place), 0);
    assert_eq!(
        nas.restic(&["list", "locks", "--no-lock"]).success().stdout.lines().count(),
        1,
        "it left its lock"
    );
    let nas = Nas::directory(place, "nas");
    configure(place, &[&nas], "");
    place.run(&["run"]).code(0).says(&["Copied vectors"]);
    assert_eq!(proven(place), 2);
    assert_eq!(nas.restic(&["list", "locks", "--no-lock"]).success().stdout, "", "it was ours");
}

#[test]
fn a_connection_that_breaks_once_is_gone_on_with_and_one_that_stays_broken_leaves_nothing() {
    for heals in [true, false] {
        let scene = Scene::on(server_of(6 * MIB)).backed_up();
        let place = &scene.place;
        let path = place.beside("served");
        fs::create_dir(&path).unwrap();
        let serving = Serving::rclone(&path, &[]);
        let direct = Nas::at(place, "nas", &format!("rest:http://127.0.0.1:{}/", serving.port));
        configure(place, &[&direct], "");
        place.run(&["offsite", "init", "nas"]).success();
        let breaking = Breaking::after(serving.port, 2 * MIB + 12_345, heals);
        let nas = Nas::at(place, "nas", &format!("rest:http://127.0.0.1:{}/", breaking.port));
        configure(place, &[&nas], "");
        let running = Running::start(&mut place.command(&["offsite", "copy"]));
        eventually("it breaks", || breaking.has_broken());
        if heals {
            running.end().success().says(&["Copied vectors"]);
        } else {
            // restic retries for a quarter of an hour.
            std::thread::sleep(Duration::from_secs(1));
            running.signal(Signal::TERM);
            running.end().code(143);
        }
        configure(place, &[&direct], "");
        assert_eq!(proven(place), usize::from(heals));
    }
}

#[test]
fn nobody_sees_a_password_or_a_key() {
    const KEY: &str = "s3cret-of-the-storage";
    let scene = Scene::on(server_of(8 * MIB)).backed_up();
    let place = &scene.place;
    let path = place.beside("served");
    fs::create_dir(&path).unwrap();
    let serving = Serving::rclone(&path, &["--user", "me", "--pass", "s3cret-in-url"]);
    let nas = Nas::at(place, "nas", &format!("rest:http://me:s3cret-in-url@127.0.0.1:{}/", serving.port))
        .environment(place, &[("AWS_SECRET_ACCESS_KEY", KEY)])
        .with("limit_upload: 1MiB");
    configure(place, &[&nas], "");
    let secrets = [PASSWORD, KEY, "s3cret-in-url"];
    let is_silent = |text: &str| secrets.iter().all(|secret| !text.contains(secret));
    let mut logs = place.run(&["offsite", "init", "nas"]).success().stderr;
    let running = Running::start(&mut place.command(&["offsite", "copy", "--log-level", "trace", "--json"]));
    let restic = eventually_within(PATIENCE, "restic sends", || saving(running.pid()));
    for pid in [running.pid(), restic] {
        let line = fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
        assert!(is_silent(&String::from_utf8_lossy(&line)), "{}", String::from_utf8_lossy(&line));
    }
    let environment = fs::read(format!("/proc/{restic}/environ")).expect("it runs");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(
        environment.contains(KEY) && !environment.contains(PASSWORD) && !environment.contains("QDRANT_URL")
    );
    let ran = running.end().success();
    logs.push_str(&(ran.stdout + &ran.stderr));
    drop(serving);
    for arguments in [
        &["offsite", "copy", "--log-level", "trace"][..],
        &["offsite", "check", "nas", "--log-level", "trace"],
        &["list", "--from", "nas"],
        &["config", "show"],
        &["config", "check"],
        &["status", "--json"],
    ] {
        let ran = place.run(arguments);
        logs.push_str(&(ran.stdout + &ran.stderr));
    }
    assert!(is_silent(&logs), "{logs}");
    for (file, bytes) in place.contents() {
        assert!(is_silent(&String::from_utf8_lossy(&bytes)), "{file}");
    }
}

#[test]
fn a_part_of_a_password_is_not_shown_either() {
    let scene = Scene::on(server_of(64 << 10)).backed_up();
    let place = &scene.place;
    for repository in ["rest:http://user:s3cret/pw@localhost:1/", "rclone:,user=x,pass=s3cretpw:foo"] {
        configure(place, &[&Nas::at(place, "nas", repository)], "");
        for arguments in [&["offsite", "copy"][..], &["config", "show"], &["config", "check"], &["status"]] {
            let ran = place.run(arguments).never_says("s3cret");
            assert!(!ran.stdout.contains("s3cret"), "{}", ran.stdout);
        }
        for (file, bytes) in place.contents() {
            assert!(!String::from_utf8_lossy(&bytes).contains("s3cret"), "{file}");
        }
    }
}

#[test]
fn a_real_s3_holds_copies_that_come_back() {
    let serving = Serving::program(&python_program("moto_server"), &["-H", "127.0.0.1"]);
    let scene = Scene::sample();
    let place = &scene.place;
    let url = format!("s3:http://127.0.0.1:{}/qdrant-backups", serving.port);
    let nas = Nas::at(place, "nas", &url)
        .environment(place, &[("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "s3cret-of-s3")]);
    configure(place, &[&nas], "");
    place.run(&["offsite", "copy"]).code(78).says(&["there is no restic repository"]);
    place.run(&["offsite", "init", "nas"]).success();
    place.run(&["run", "--log-level", "trace"]).success().never_says("s3cret");
    fs::remove_dir_all(place.path()).unwrap();
    place.run(&["offsite", "recover", "nas"]).success();
    let other = StandIn::start(Setup::empty());
    place.run(&["restore", "--all", "--from", "nas", "--to", &other.url()]).success();
    place.run(&["offsite", "check", "nas"]).success();
    assert!(!place.status().offsite["nas"].is_damaged());
}

#[test]
fn a_full_disk_of_the_repository_is_told_and_nothing_half_copied_is_there() {
    let scene = Scene::on(server_of(6 * MIB)).backed_up();
    let place = &scene.place;
    let nas = Nas::directory(place, "nas");
    configure(place, &[&nas], "");
    fs::create_dir(nas.repository()).unwrap();
    let command = place.command(&[]);
    let (program, config) = (command.get_program().display(), place.beside("backup.yaml"));
    let (config, repository) = (config.display(), nas.repository());
    let call = |arguments: &str| format!("{program} {arguments} --config {config}");
    let script = format!(
        "mount -t tmpfs -o size=3m none {repository} && {} && {{ {}; code=$?; }}; {} && exit $code",
        call("offsite init nas"),
        call("offsite copy"),
        call("offsite list nas --json")
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).env_clear();
    for (name, value) in place.command(&[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let ran = Ran::of(command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null()));
    let ran = ran.code(1).says(&["ERROR", "the repository's disk is full", "no space left on device"]);
    assert_eq!(ran.stdout.trim(), "[]");
    assert_eq!(place.status().offsite["nas"].failures[&FailureKind::NoSpace], 1);
}
