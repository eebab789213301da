//! One writer at a time; readers at any time.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{Effect, Fault, StandIn};
use e2e::running::PATIENCE;
use e2e::{Place, Running, Scene, eventually, eventually_within};
use rustix::process::Signal;

use crate::traces::{asked, json, none, one_line, schema_problems, server_of, tree};

/// A server with a creation that takes longer than the test, and a run that waits for it.
fn busy(server: &StandIn, place: &Place) -> Running {
    server.faults(|faults| faults.add(Fault::new(Effect::CreationTakes(Duration::from_secs(600))).first(1)));
    server.clear_requests();
    let running = Running::start(&mut place.command(&["backup"]));
    eventually("the creation is requested", || !asked(server, "POST", "/snapshots").is_empty());
    running
}

#[test]
fn a_second_run_is_told_who_holds_the_lock_and_touches_nothing() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    let mut first = busy(&server, &place);
    let before = tree(place.path());
    server.clear_requests();

    for command in ["backup", "accept-source"] {
        let second = place.run(&[command]).code(75);

        let holder = format!("backup (process {} on ", first.pid());
        one_line(
            &second,
            &["ERROR: another run holds the lock: ", &holder, ") since 20", " UTC; nothing was done"],
        );
        let note = json(&place.path().join("last_skipped.json"));
        assert_eq!(schema_problems("last_skipped.schema.json", &note), none());
        assert_eq!(note["command"], command);
        assert_eq!(note["holder"]["pid"], first.pid());
        assert_eq!(note["holder"]["command"], "backup");
        let since = note["holder"]["since"].as_str().unwrap().replace('T', " ");
        assert!(second.stderr.contains(&since[..19]), "{since} is not in: {}", second.stderr);
    }

    let mut after = tree(place.path());
    after.remove("last_skipped.json").expect("a note for monitoring");
    assert_eq!(after, before, "nothing else was touched");
    assert_eq!(asked(&server, "POST", ""), none());
    assert_eq!(asked(&server, "DELETE", ""), none());
    assert!(!first.has_ended());
}

#[test]
fn the_skipped_run_is_noted_in_the_state_directory() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    let _first = busy(&server, &place);
    let mut command = place.command(&["backup"]);
    let state = place.beside("state");
    e2e::Ran::of(command.env("QDRANT_BACKUP_STATE_DIR", &state)).code(75);
    assert_eq!(tree(&state).into_keys().collect::<Vec<_>>(), ["last_skipped.json"]);
}

#[cfg(feature = "outside")]
#[test]
fn a_strangers_lock_is_told_of_with_its_process() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    let free = place.run(&["status"]).success();
    assert!(!free.stdout.contains("LOCKED"), "{}", free.stdout);

    let stranger = Running::start(
        Command::new("flock").arg("--no-fork").arg(place.path().join(".lock")).args(["sleep", "600"]),
    );
    let stranger = stranger;
    let who = format!("process {} (sleep)", stranger.pid());
    let second = eventually_within(PATIENCE, "the other process has the lock", || {
        let second = place.run(&["backup"]);
        (second.code == Some(75)).then_some(second)
    });
    one_line(&second, &["ERROR: another program holds the lock: ", &who, "kill "]);
    let status = place.run(&["status"]).success();
    assert!(
        status.stdout.contains(&format!("LOCKED: another program holds the lock: {who}")),
        "{}",
        status.stdout
    );
    let json: serde_json::Value =
        serde_json::from_str(&place.run(&["status", "--json"]).success().stdout).unwrap();
    assert_eq!(json["lock"][0]["pid"], stranger.pid());
    assert_eq!(json["lock"][0]["program"], "sleep");
}

#[test]
fn a_run_that_waits_for_the_lock_gets_it_when_the_other_ends() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    let slow = Fault::new(Effect::CreationTakes(Duration::from_millis(1500))).first(1);
    server.faults(|faults| faults.add(slow));
    let first = Running::start(&mut place.command(&["backup"]));
    eventually("the creation is requested", || !asked(&server, "POST", "/snapshots").is_empty());
    let began = Instant::now();

    let second = place.run(&["backup", "--lock-wait", "30s"]).success();

    assert!(began.elapsed() > Duration::from_millis(500), "it waited");
    assert!(!second.stderr.contains("died"), "the first ended well: {}", second.stderr);
    first.end().success();
    assert_eq!(place.prove(), 2);
    assert!(!place.path().join("last_skipped.json").exists());
}

#[test]
fn a_wait_for_the_lock_ends_at_its_limit() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    let _first = busy(&server, &place);
    let began = Instant::now();
    let second = place.run(&["backup", "--lock-wait", "1s"]).code(75);
    assert!(began.elapsed() >= Duration::from_secs(1), "it waited");
    one_line(&second, &["another run holds the lock"]);
}

/// Waits until the run has opened the lock file. After that it can only wait for the lock.
fn until_it_waits(waiting: &Running, place: &Place) {
    let open = format!("/proc/{}/fd", waiting.pid());
    let lock = fs::canonicalize(place.path().join(".lock")).unwrap();
    let can_look =
        eventually_within(PATIENCE, "the second run opens the lock", || match fs::read_dir(&open) {
            Ok(entries) => {
                let mut links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
                links.any(|link| link == lock).then_some(true)
            }
            // The program denies access to other processes of its user; only root can look.
            Err(_) => Some(false),
        });
    if !can_look {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_signal_ends_the_wait_for_the_lock_whatever_waits() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    place.configure("backup:\n  lock_wait: 10m\n");
    let _first = busy(&server, &place);
    for arguments in [
        &["accept-source"][..],
        &["prune", "--retire", "old"],
        &["prune", "--server-leftovers", "--yes"],
        &["prune", "--bad", "--yes"],
        &["prune", "--orphans", "--yes"],
        &["import", "old-1-2025-07-15-14-30-00.snapshot"],
    ] {
        let waiting = Running::start(&mut place.command(arguments));
        until_it_waits(&waiting, &place);
        waiting.signal(Signal::TERM);
        let ran = waiting.end().code(143);
        one_line(&ran, &["interrupted by a signal while waiting for the lock"]);
    }
}

#[test]
fn a_signal_ends_the_wait_for_the_lock() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    let mut first = busy(&server, &place);
    let before = tree(place.path());
    let waiting = Running::start(&mut place.command(&["backup", "--lock-wait", "10m"]));
    until_it_waits(&waiting, &place);
    waiting.signal(Signal::TERM);

    let ran = waiting.end().code(143);

    one_line(&ran, &["interrupted by a signal while waiting for the lock"]);
    let mut after = tree(place.path());
    // A lock on this file shows that it was waiting.
    after.remove(".waiting");
    assert_eq!(after, before);
    assert!(!first.has_ended());
}

#[test]
fn readers_need_no_lock() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    let mut first = busy(&server, &place);
    let before = tree(place.path());

    let list = place.run(&["list"]).success();
    assert!(list.stdout.contains("vectors"), "{}", list.stdout);
    let status = place.run(&["status"]).success();
    let running = format!("(process {}); stage create of vectors", first.pid());
    assert!(status.stdout.contains("`backup` is running since 20"), "{}", status.stdout);
    assert!(status.stdout.contains(&running), "{}", status.stdout);
    place.run(&["config", "show"]).success();
    place.run(&["config", "check"]).success();

    assert_eq!(tree(place.path()), before);
    assert!(!first.has_ended());
}

#[test]
fn the_lock_of_a_killed_run_is_free_at_once() {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    let first = busy(&server, &place);
    let pid = first.pid();
    first.signal(Signal::KILL);
    first.end();
    let holder = fs::read_to_string(place.path().join(".lock")).unwrap();
    assert!(holder.contains(&pid.to_string()), "its name is still in the file: {holder}");

    place.run(&["backup"]).success().says(&["died in stage create of \"vectors\""]);

    assert_eq!(place.prove(), 1);
    assert_eq!(fs::read_to_string(place.path().join(".lock")).unwrap(), "", "nobody holds it now");
}
