//! Places where the API key must not appear.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::qdrant_stand_in::{Effect, Endpoint, Fault, Setup};
use e2e::scene::{DOCS, docs, generated};
use e2e::{Ran, Running, Scene, eventually};
use qdrant_backup_shared::atomic;
use rustix::process::Signal;

const KEY: &str = "zQx81-distinctive-KEY";

/// How a run gets the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Variable,
    File,
}

fn key_file(scene: &Scene) -> PathBuf {
    let path = scene.place.beside("api-key");
    atomic::write(&path, 0o600, format!("{KEY}\n").as_bytes()).expect("the key can be written");
    path
}

fn command(scene: &Scene, by: By, arguments: &[&str]) -> Command {
    let mut command = scene.place.command(arguments);
    command.env_remove("QDRANT_API_KEY");
    match by {
        By::Variable => command.env("QDRANT_API_KEY", KEY),
        By::File => command.env("QDRANT_API_KEY_FILE", key_file(scene)),
    };
    command
}

#[track_caller]
fn assert_silent(ran: &Ran) {
    assert!(!ran.stderr.contains(KEY), "{}", ran.stderr);
    assert!(!ran.stdout.contains(KEY), "{}", ran.stdout);
}

/// Fails if a file of the backup directory contains the key, including the lock.
#[track_caller]
fn assert_nowhere_below(directory: &Path, files: &[String]) {
    assert!(!files.is_empty());
    for file in files {
        let bytes = fs::read(directory.join(file)).expect("the file can be read");
        let found = bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        assert!(!found, "the key is in {file}");
    }
}

#[test]
fn the_key_is_in_no_output_and_no_file_whatever_happens() {
    for by in [By::Variable, By::File] {
        let setup = Setup::empty().collection(docs()).collection(generated("other")).api_key(KEY);
        let scene = Scene::of(setup);
        let traced = ["backup", "--log-level", "trace", "--json"];

        // Success, failures of all kinds, a wrong key, and a server that echoes what it was sent.
        let ran = Ran::of(&mut command(&scene, by, &traced)).success();
        assert!(ran.stderr.contains("DEBUG"), "it is the most verbose level");
        assert_silent(&ran);
        for fault in [
            Fault::new(Effect::TruncateAfter(1000)).collection(DOCS),
            Fault::hang_up().on(Endpoint::Collections),
            Fault::status(401).on(Endpoint::CreateSnapshot),
            Fault::status(500),
        ] {
            scene.heal();
            scene.server.faults(|faults| faults.add(fault));
            let ran = Ran::of(&mut command(&scene, by, &traced));
            assert_ne!(ran.code, Some(0));
            assert!(scene.hits() > 0);
            assert_silent(&ran);
            assert_nowhere_below(scene.place.path(), &scene.place.files());
        }
        scene.heal();
        scene.server.state(|state| state.api_key = Some("another".to_owned()));
        assert_silent(&Ran::of(&mut command(&scene, by, &traced)).code(1));
        assert_nowhere_below(scene.place.path(), &scene.place.files());

        for arguments in
            [&["config", "show"][..], &["config", "show", "--json"], &["list"], &["status", "--json"]]
        {
            assert_silent(&Ran::of(&mut command(&scene, by, arguments)).success());
        }
        assert_silent(&Ran::of(&mut command(&scene, by, &["config", "check"])));
        assert!(scene.server.requests().iter().any(|request| request.header("api-key") == Some(KEY)));
    }
}

#[cfg(feature = "outside")]
#[test]
fn the_key_is_not_on_the_command_line_and_from_a_file_not_in_the_environment() {
    for by in [By::Variable, By::File] {
        let scene = Scene::of(Setup::empty().collection(docs()).api_key(KEY));
        let stall = Effect::StallAfter { bytes: 100_000, lasting: None };
        scene.server.faults(|faults| faults.add(Fault::new(stall)));
        scene.configure(&[("stall_timeout", "60s")]);
        let running = Running::start(&mut command(&scene, by, &["backup"]));
        eventually("the download has begun", || scene.hits() == 1);

        let of_process = |file: &str| {
            let bytes = fs::read(format!("/proc/{}/{file}", running.pid())).expect("the process runs");
            String::from_utf8_lossy(&bytes).into_owned()
        };
        assert!(of_process("cmdline").contains("backup"));
        assert!(!of_process("cmdline").contains(KEY));
        if by == By::File {
            assert!(of_process("environ").contains("QDRANT_API_KEY_FILE"));
            assert!(!of_process("environ").contains(KEY));
        }

        // A second run finds the lock in use and records that.
        let second = Ran::of(&mut command(&scene, by, &["backup", "--log-level", "trace"]));
        assert_silent(&second);
        second.code(75).says(&["ERROR", "another run holds the lock"]);
        assert!(scene.place.layout().last_skipped_file().is_file());
        assert_nowhere_below(scene.place.path(), &scene.place.files());
        assert_silent(&running.end_with(Signal::TERM).code(143));
        assert_nowhere_below(scene.place.path(), &scene.place.files());
    }
}

#[test]
fn a_password_in_the_url_is_used_and_shown_nowhere() {
    let scene = Scene::new();
    let url = scene.server.url().replace("http://", &format!("http://backup:{KEY}@"));
    let run = |arguments: &[&str]| Ran::of(scene.place.command(arguments).env("QDRANT_URL", &url));

    assert_silent(&run(&["backup", "--log-level", "trace", "--json"]).success());
    scene.server.faults(|faults| faults.add(Fault::hang_up().on(Endpoint::Collections)));
    assert_silent(&run(&["backup", "--log-level", "trace", "--json"]).code(1));
    assert_eq!(scene.hits(), 1);
    assert_silent(&run(&["config", "show"]).success());

    assert_nowhere_below(scene.place.path(), &scene.place.files());
    let requests = scene.server.requests();
    let basic = |value: &str| value.starts_with("Basic ");
    assert!(requests.iter().all(|request| request.header("authorization").is_some_and(basic)));
    assert_eq!(scene.manifest().archives[0].node_url, Some(scene.server.url() + "/"));
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_without_being_repeated() {
    let scene = Scene::of(Setup::empty().collection(docs()).api_key(KEY));
    for broken in [format!("{KEY}\u{e9}"), format!("{KEY} x"), format!("{KEY}\n{KEY}")] {
        let ran = Ran::of(scene.place.command(&["backup"]).env("QDRANT_API_KEY", &broken)).code(78);
        assert_silent(&ran);
        ran.says(&["ERROR", "QDRANT_API_KEY", "position"]);
    }
    assert_eq!(scene.server.requests().len(), 0);
}
