//! A server that starts late, is slow, or never starts.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{Answer, Effect, Endpoint, Fault, Setup, StandIn};
use e2e::running::eventually;
use e2e::scene::{configuration, docs};
use e2e::{Place, Running, Scene};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::operation::Stage;
use rustix::process::Signal;

/// A port on which nothing listens.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A place that waits this long for its server on `port`.
fn place(port: u16, wait: &str) -> Place {
    let place = Place::initialised(&format!("http://127.0.0.1:{port}"));
    place.configure(&configuration(&[("wait_for_server", wait)]));
    place
}

#[test]
fn a_run_waits_for_a_server_that_starts_later() {
    for command in ["run", "backup"] {
        let port = free_port();
        let place = place(port, "60s");
        let mut running = Running::start(&mut place.command(&[command]));
        running.until_it_says("waiting up to 1m for it (qdrant.wait_for_server)");
        eventually("the status reports the wait", || {
            place.status().current_run.is_some_and(|run| run.stage == Stage::WaitForServer)
        });
        let heartbeat = place.status().current_run.expect("it runs").heartbeat_at;
        thread::sleep(Duration::from_secs(3));
        assert_eq!(place.status().current_run.expect("it runs").heartbeat_at, heartbeat, "nothing moves");

        let _server = StandIn::start(Setup::empty().port(port).collection(docs()));
        let ran = running.end().success().says(&["INFO", "answers after", "continuing"]);
        assert_eq!(ran.stderr.matches("waiting up to").count(), 1, "{}", ran.stderr);
        assert_eq!(place.prove(), 1);
        assert!(place.status().last_run.expect("a run").warnings.is_empty(), "it came in time");
    }
}

#[test]
fn a_server_that_never_comes_is_waited_for_as_long_as_was_said() {
    let place = place(free_port(), "2s");
    let begun = Instant::now();
    let ran = place.run(&["backup"]).code(1).says(&[
        "ERROR",
        "cannot reach Qdrant",
        "refused",
        "waited 2s for it (qdrant.wait_for_server)",
    ]);
    assert!(begun.elapsed() >= Duration::from_secs(2), "{}", ran.stderr);
    let failure = place.status().last_run.and_then(|run| run.failure().cloned()).expect("a failure");
    assert_eq!(failure.kind, FailureKind::Unreachable);
    assert_eq!(place.status().current_run, None);
}

#[test]
fn waiting_is_switched_off_by_zero_and_for_named_collections() {
    for (wait, arguments) in [("0s", &["backup"][..]), ("60s", &["backup", "--collection", "docs"])] {
        let place = place(free_port(), wait);
        let begun = Instant::now();
        place.run(arguments).code(1).says(&["ERROR", "cannot reach Qdrant"]).never_says("waiting up to");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn five_minutes_are_the_default() {
    let port = free_port();
    let place = Place::initialised(&format!("http://127.0.0.1:{port}"));
    place.configure("");
    let mut running = Running::start(&mut place.command(&["run"]));
    running.until_it_says("waiting up to 5m for it (qdrant.wait_for_server)");
    running.end_with(Signal::TERM).code(143);
}

#[test]
fn a_signal_ends_the_waiting_at_once() {
    let place = place(free_port(), "60s");
    let mut running = Running::start(&mut place.command(&["run"]));
    running.until_it_says("waiting up to");
    let begun = Instant::now();
    running.end_with(Signal::TERM).code(143);
    assert!(begun.elapsed() < Duration::from_secs(10));
    let failure = place.status().last_run.and_then(|run| run.failure().cloned()).expect("a failure");
    assert_eq!(failure.kind, FailureKind::Interrupted);
}

#[test]
fn answers_of_a_server_that_is_not_up_yet_are_waited_out() {
    let text = Answer::empty(503).text("some shards are not ready");
    for fault in [
        Fault::status(502).on(Endpoint::Root).first(2),
        Fault::status(503).on(Endpoint::Root).first(2),
        Fault::status(504).on(Endpoint::Root).first(1),
        Fault::hang_up().on(Endpoint::Root).first(1),
        Fault::answer(text).on(Endpoint::Readyz).first(3),
    ] {
        let scene = Scene::with([fault]);
        scene.configure(&[("wait_for_server", "60s")]);
        scene.backup().success().says(&["INFO", "waiting up to"]).says(&["INFO", "continuing"]);
        assert!(scene.hits() > 0);
        scene.assert_backed_up();
    }
    let scene = Scene::with([Fault::new(Effect::NeverAnswer).on(Endpoint::Root).first(1)]);
    scene.configure(&[("wait_for_server", "60s"), ("request_timeout", "1s")]);
    scene.backup().success().says(&["waiting up to"]);
}

#[test]
fn a_server_that_answers_and_is_never_ready_is_backed_up_with_a_warning() {
    let scene = Scene::with([Fault::status(503).on(Endpoint::Readyz)]);
    scene.configure(&[("wait_for_server", "1s")]);
    scene.backup().success().says(&[
        "WARN",
        "checking whether it is ready",
        "backing up the collections that it lists",
    ]);
    scene.assert_backed_up();
}

#[test]
fn what_waiting_cannot_cure_is_not_waited_for() {
    let page = Answer::empty(200).text("<html>Welcome to nginx!</html>");
    for (fault, says) in [
        (Fault::status(401).on(Endpoint::Root), "denied access"),
        (Fault::status(403).on(Endpoint::Root), "denied access"),
        (Fault::status(404).on(Endpoint::Root), "404"),
        (Fault::answer(page).on(Endpoint::Root), "does not look like an answer from Qdrant"),
    ] {
        let scene = Scene::with([fault]);
        scene.configure(&[("wait_for_server", "60s")]);
        scene.backup().code(1).says(&["ERROR", says]).never_says("waiting up to");
        assert_eq!(scene.hits(), 1);
    }
    // The program does not wait because of a request that an old server or a proxy does not support.
    for status in [401, 403, 404, 405] {
        let scene = Scene::with([Fault::status(status).on(Endpoint::Readyz)]);
        scene.configure(&[("wait_for_server", "60s")]);
        scene.backup().success().never_says("waiting up to");
    }
    let scene = Scene::of(Setup::empty().collection(docs()).tls());
    scene.configure(&[("wait_for_server", "60s")]);
    scene.backup().code(1).says(&["UnknownIssuer"]).never_says("waiting up to");
}

#[test]
fn a_count_has_a_longer_limit_of_its_own() {
    let scene = Scene::with([Fault::new(Effect::Delay(Duration::from_secs(2))).on(Endpoint::CountPoints)]);
    scene.configure(&[("request_timeout", "1s"), ("count_timeout", "90s")]);
    scene.backup().success();
    scene.assert_backed_up();
    // A real server would time out after a minute.
    let asked = scene.server.requests_matching("POST", "/points/count");
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.path_and_query.ends_with("?timeout=90")));
}

#[test]
fn a_count_that_takes_too_long_names_its_setting_and_is_not_asked_again() {
    let text = r#"{"status":{"error":"Timeout: Operation 'count' timed out after 1s"},"time":1.0}"#;
    for fault in [Fault::new(Effect::NeverAnswer), Fault::answer(Answer::empty(408).text(text))] {
        let scene = Scene::with([fault.on(Endpoint::CountPoints)]);
        scene.configure(&[("count_timeout", "1s"), ("retries", "3")]);
        scene.backup().code(1).says(&[
            "ERROR",
            "counting the points of \"docs\"",
            "no answer from Qdrant within 1s (qdrant.count_timeout; raise it",
        ]);
        assert_eq!(scene.hits(), 1);
        scene.assert_failed(FailureKind::Timeout);
    }
}

#[test]
fn where_strict_mode_forbids_long_counts_the_servers_own_limit_has_to_do() {
    let text = r#"{"status":{"error":"Bad request: Limit exceeded 600 > 3 for \"timeout\". Help: reduce it"},"time":0.0}"#;
    let scene =
        Scene::with([Fault::answer(Answer::empty(400).text(text)).on(Endpoint::CountPoints).first(1)]);
    scene.backup().success();
    scene.assert_backed_up();
}

#[test]
fn every_limit_on_time_names_its_setting() {
    let scene = Scene::with([Fault::new(Effect::NeverAnswer).on(Endpoint::Collections)]);
    scene.configure(&[("request_timeout", "1s")]);
    scene.backup().code(1).says(&["no answer from Qdrant within 1s (qdrant.request_timeout; raise it"]);

    let scene = Scene::with([Fault::new(Effect::NeverAnswer).on(Endpoint::DownloadSnapshot)]);
    scene.backup().code(1).says(&["no data moved for 1s (qdrant.stall_timeout; raise it"]);

    let scene = Scene::with([
        Fault::new(Effect::NeverAnswer).on(Endpoint::CreateSnapshot),
        Fault::status(500).on(Endpoint::ListSnapshots).after(1),
    ]);
    scene.configure(&[("create_timeout", "1s")]);
    scene.backup().code(1).says(&["qdrant.create_timeout"]);

    // The TLS handshake gets no answer.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let place = Place::initialised(&format!("https://127.0.0.1:{port}"));
    place.configure(&configuration(&[("connect_timeout", "1s")]));
    place.run(&["backup"]).code(1).says(&[
        "ERROR",
        "cannot reach Qdrant",
        "no connection within 1s (qdrant.connect_timeout; raise it",
    ]);
}
