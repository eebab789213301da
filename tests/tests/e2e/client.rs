//! The connection to the server: keys, TLS, proxies, redirects, retries, and answers that are not from Qdrant.

use std::net::TcpListener;
use std::time::Duration;

use e2e::qdrant_stand_in::{Answer, Effect, Endpoint, Fault, Setup, StandIn};
use e2e::scene::{DOCS, configuration, docs};
use e2e::{Place, Ran, Scene};
use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::{FailureKind, atomic};
use serde_json::json;

/// Fails the test unless the run failed with `kind` and nothing was stored.
#[track_caller]
fn assert_run_failed(scene: &Scene, kind: FailureKind) {
    assert_eq!(scene.place.stored(), Vec::<String>::new());
    let status = scene.place.status();
    assert_eq!(status.current_run, None);
    assert!(status.collections.values().all(|collection| collection.last_attempt_at.is_none()));
    let failure = status.last_run.and_then(|run| run.failure().cloned()).expect("a failure");
    assert_eq!(failure.kind, kind);
    let operation = scene.operation();
    assert_eq!(operation.last_outcome, Some(Outcome::Failed));
    assert_eq!(operation.failures.into_iter().collect::<Vec<_>>(), [(kind, 1)]);
}

/// The run's error lines.
fn errors(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|line| line.contains("] ERROR: ")).collect()
}

#[test]
fn a_key_that_is_missing_or_wrong_is_said_and_not_tried_again() {
    for (key, message) in [
        (None, "Must provide an API key or an Authorization bearer token"),
        (Some("wrong"), "Invalid API key or JWT"),
    ] {
        let scene = Scene::of(Setup::empty().collection(docs()).api_key("right"));
        scene.configure(&[("retries", "3")]);
        let mut command = scene.place.command(&["backup"]);
        command.env_remove("QDRANT_API_KEY");
        command.envs(key.map(|key| ("QDRANT_API_KEY", key)));

        let ran = Ran::of(&mut command).code(1).says(&[
            "ERROR",
            "listing collections",
            "401",
            message,
            "denied access (401)",
            "check its API key (qdrant.api_key_file or --api-key-file",
        ]);

        assert_eq!(errors(&ran).len(), 1, "{}", ran.stderr);
        assert_run_failed(&scene, FailureKind::Unauthorized);
        assert_eq!(scene.server.requests_matching("GET", "/collections").len(), 1);
    }
}

#[test]
fn a_key_goes_with_every_request_in_one_header() {
    let scene = Scene::of(Setup::empty().collection(docs()).api_key("right"));

    Ran::of(scene.place.command(&["backup"]).env("QDRANT_API_KEY", "right")).success();

    scene.assert_backed_up();
    scene.assert_server_clean();
    let requests = scene.server.requests();
    assert!(requests.iter().all(|request| request.header("api-key") == Some("right")));
    assert!(requests.iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn redirects_are_not_followed_so_that_nobody_else_sees_the_key() {
    for status in [301, 302, 307, 308] {
        for endpoint in
            [Endpoint::Root, Endpoint::Collections, Endpoint::CreateSnapshot, Endpoint::DownloadSnapshot]
        {
            let elsewhere = StandIn::start(Setup::empty().collection(docs()));
            let redirect = Answer::redirect(status, &elsewhere.url());
            let scene = Scene::with([Fault::answer(redirect).on(endpoint)]);
            scene.configure(&[("retries", "2")]);

            Ran::of(scene.place.command(&["backup"]).env("QDRANT_API_KEY", "secret"))
                .code(1)
                .says(&["ERROR", "redirects", &status.to_string(), "would send the API key elsewhere"])
                .never_says("secret");

            assert_eq!(scene.hits(), 1, "{endpoint:?} {status}");
            assert_eq!(elsewhere.requests().len(), 0);
            assert_eq!(scene.place.stored(), Vec::<String>::new());
            assert_eq!(scene.on_server(), Vec::<String>::new());
        }
    }
}

#[test]
fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let scene = Scene::of(Setup::empty().collection(docs()).tls());

    let ran = scene.backup().code(1).says(&[
        "ERROR",
        "cannot reach Qdrant at https://127.0.0.1:",
        "invalid peer certificate",
        "UnknownIssuer",
    ]);
    assert_eq!(errors(&ran).len(), 1, "{}", ran.stderr);
    assert_run_failed(&scene, FailureKind::Unreachable);
    assert_eq!(scene.server.requests().len(), 0);

    let authority = scene.place.beside("authority.pem");
    let pem = scene.server.authority_pem().expect("an authority");
    atomic::write(&authority, 0o644, pem.as_bytes()).expect("it can be written");
    Ran::of(scene.place.command(&["backup"]).env("QDRANT_CA_FILE", &authority)).success();
    assert_eq!(scene.place.prove(), 1);
    scene.assert_server_clean();
}

#[test]
fn a_path_prefix_is_part_of_every_request() {
    let scene = Scene::of(Setup::empty().collection(docs()).path_prefix("/behind/a/proxy"));

    scene.backup().success();

    scene.assert_backed_up();
    scene.assert_server_clean();
    let requests = scene.server.requests();
    assert!(requests.iter().all(|request| request.path_and_query.starts_with("/behind/a/proxy/")));
    assert_eq!(scene.manifest().archives[0].node_url.as_deref(), Some(scene.server.url().as_str()));
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    let scene = Scene::new();
    let proxy = StandIn::start(Setup::empty());
    let mut command = scene.place.command(&["backup"]);
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(variable, proxy.url());
    }

    Ran::of(&mut command).success();

    scene.assert_backed_up();
    assert_eq!(proxy.requests().len(), 0);
}

#[test]
fn a_configured_proxy_is_used() {
    let scene = Scene::new();
    // A stand-in also accepts proxy requests, so it can be the proxy for an address that does not exist.
    scene.configure(&[("proxy", &scene.server.url())]);
    let mut command = scene.place.command(&["backup"]);

    Ran::of(command.env("QDRANT_URL", "http://qdrant.invalid:6333")).success();

    scene.assert_backed_up();
    scene.assert_server_clean();
}

#[test]
fn a_servers_message_can_neither_forge_lines_nor_move_the_cursor() {
    let forged = "disk\u{1b}[2J\n[2026-01-01 00:00:00] INFO: Backup succeeded\r\u{202e}end";
    for answer in [
        Answer::empty(500).json(&json!({ "status": { "error": forged }, "time": 0.0 })),
        Answer::empty(500).text(forged),
    ] {
        let scene = Scene::with([Fault::answer(answer).on(Endpoint::CreateSnapshot)]);

        let ran =
            scene.backup().code(1).says(&["ERROR: Backup of docs failed", "disk\\u{1b}[2J\\n[2026-01-01"]);

        assert_eq!(scene.hits(), 2);
        assert!(
            ran.stderr
                .lines()
                .all(|line| line.starts_with('[') && !line.starts_with("[2026-01-01 00:00:00]"))
        );
        assert!(!ran.stderr.contains(['\u{1b}', '\r', '\u{202e}']));
        let message = scene.collection(DOCS).failure.expect("a failure").message;
        assert!(!message.contains(|character: char| character.is_control()), "{message}");
    }
}

#[test]
fn a_servers_message_is_not_repeated_at_any_length() {
    let long = format!("begin{}end", "x".repeat(100_000));
    let scene = Scene::with([Fault::answer(Answer::empty(500).text(&long)).on(Endpoint::CreateSnapshot)]);

    let ran = scene.backup().code(1).says(&["ERROR: Backup of docs failed", "Qdrant answered 500: begin"]);

    assert_eq!(scene.hits(), 2);
    assert!(ran.stderr.len() < 8_000, "{}", ran.stderr.len());
}

#[test]
fn questions_are_asked_again_after_passing_failures() {
    let scene = Scene::with([
        Fault::hang_up().on(Endpoint::Collections).first(1),
        Fault::status(500).on(Endpoint::CollectionInfo).first(1),
        Fault::status(429).on(Endpoint::CountPoints).first(1),
        Fault::status(503).on(Endpoint::ListSnapshots).first(1),
    ]);
    scene.configure(&[("retries", "1")]);

    scene.backup().success();

    assert_eq!(scene.hits(), 4);
    scene.assert_backed_up();
    scene.assert_server_clean();
    assert_eq!(scene.creations(), 1);
}

#[test]
fn questions_are_not_asked_more_often_than_configured() {
    let scene = Scene::with([Fault::hang_up().on(Endpoint::Collections)]);
    scene.configure(&[("retries", "2")]);

    let ran =
        scene.backup().code(1).says(&["ERROR", "listing collections", "the connection to Qdrant broke"]);

    assert_eq!(errors(&ran).len(), 1, "{}", ran.stderr);
    assert_eq!(scene.hits(), 3);
    assert_run_failed(&scene, FailureKind::Unreachable);
}

#[test]
fn answers_that_no_repetition_changes_are_final() {
    for status in [400, 404, 422] {
        let scene = Scene::with([Fault::status(status).on(Endpoint::Aliases)]);
        scene.configure(&[("retries", "3")]);

        scene.backup().code(1).says(&["ERROR", "listing aliases", &format!("Qdrant answered {status}")]);

        assert_eq!(scene.hits(), 1);
        assert_run_failed(&scene, FailureKind::HttpStatus);
    }
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    for status in [429, 503] {
        let busy = Answer::status(status).retry_after("2");
        let scene = Scene::with([Fault::answer(busy).on(Endpoint::Collections).first(1)]);
        scene.configure(&[("retries", "1")]);

        scene.backup().success();

        assert_eq!(scene.hits(), 1);
        let asked = scene.server.requests_matching("GET", "/collections");
        let asked: Vec<_> = asked.iter().filter(|request| request.path_and_query == "/collections").collect();
        assert_eq!(asked.len(), 2);
        assert!(asked[1].at - asked[0].at >= Duration::from_secs(2));
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let scene = Scene::with([Fault::new(Effect::NeverAnswer).on(Endpoint::Collections)]);
    scene.configure(&[("request_timeout", "1s")]);

    scene.backup().code(1).says(&["ERROR", "listing collections", "no answer from Qdrant within 1s"]);

    assert_eq!(scene.hits(), 1);
    assert_run_failed(&scene, FailureKind::Timeout);
}

#[test]
fn a_server_that_is_not_there_is_one_line_and_a_recorded_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let place = Place::initialised(&format!("http://127.0.0.1:{port}"));

    let ran = place.run(&["backup"]).code(1).says(&[
        "ERROR",
        &format!("cannot reach Qdrant at http://127.0.0.1:{port}"),
        "refused",
        "is it running, and is the URL right?",
    ]);

    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    let status = place.status();
    assert_eq!(status.current_run, None);
    let failure = status.last_run.and_then(|run| run.failure().cloned()).expect("a failure");
    assert_eq!(failure.kind, FailureKind::Unreachable);
}

#[test]
fn a_name_that_nobody_knows_is_told_from_a_server_that_is_down() {
    let place = Place::initialised("http://qdrant.invalid:6333");

    let ran =
        place.run(&["backup"]).code(1).says(&["ERROR", "cannot reach Qdrant at http://qdrant.invalid:6333"]);

    assert!(ran.stderr.contains("lookup") || ran.stderr.contains("resol") || ran.stderr.contains("known"));
    assert!(!ran.stderr.contains("refused"));
}

#[test]
fn a_path_that_qdrant_does_not_have_is_named_with_the_whole_url() {
    let scene = Scene::new();
    let url = format!("{}/foo", scene.server.url().trim_end_matches('/'));
    Ran::of(scene.place.command(&["config", "check"]).env("QDRANT_URL", &url)).code(78);
    let check = Ran::of(scene.place.command(&["config", "check"]).env("QDRANT_URL", &url)).code(78);
    let says =
        format!("reading the version: this does not look like an answer from Qdrant: {url} answered 404");
    assert!(check.stdout.contains(&says) && check.stdout.contains("is its path right?"), "{}", check.stdout);
}

#[test]
fn the_server_that_denies_access_is_named_with_the_option_of_its_key() {
    let scene = Scene::new();
    scene.backup().success();
    let other = StandIn::start(Setup::empty().api_key("right"));
    let place = &scene.place;
    let denied = format!("Qdrant at {}/ denied access (401)", other.url().trim_end_matches('/'));
    for command in ["restore", "drill"] {
        let ran = place.run(&[command, "-c", DOCS, "--to", &other.url()]).code(1);
        let ran = ran.says(&[&denied, "check its API key (--to-api-key-file)"]);
        assert!(!ran.stderr.contains("may write"), "{}", ran.stderr);
    }
    place.configure(&format!("drill: {{url: \"{}\"}}\n", other.url()));
    place.run(&["drill"]).code(1).says(&[&denied, "check its API key (drill.api_key_file)"]);
}

#[test]
fn a_web_page_is_not_taken_for_qdrant() {
    let page = Answer::empty(200).text("<!DOCTYPE html><html><body>Welcome to nginx!</body></html>");
    let scene = Scene::with([Fault::answer(page)]);

    let ran = scene.backup().code(1).says(&[
        "ERROR",
        "does not look like an answer from Qdrant",
        "does the URL point at Qdrant's REST port, and is its path right?",
    ]);

    assert_eq!(errors(&ran).len(), 1, "{}", ran.stderr);
    assert_eq!(scene.hits(), 1);
    assert_run_failed(&scene, FailureKind::HttpStatus);
}

#[test]
fn plain_http_to_a_server_with_tls_is_a_failure_with_a_reason() {
    let scene = Scene::of(Setup::empty().collection(docs()).tls());
    let url = scene.server.url().replace("https://", "http://");

    Ran::of(scene.place.command(&["backup"]).env("QDRANT_URL", url))
        .code(1)
        .says(&["ERROR", "reading the version"]);

    assert_run_failed(&scene, FailureKind::Unreachable);
}

#[test]
fn the_configuration_of_the_tests_is_what_they_mean() {
    assert!(configuration(&[("retries", "1")]).contains("\n  retries: 1\n"));
    assert!(!configuration(&[("retries", "1")]).contains("retries: 0"));
}
