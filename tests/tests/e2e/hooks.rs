//! Hooks and the dead man's switch: what they receive, and that they cannot break a backup.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use e2e::qdrant_stand_in::{Effect, Endpoint, Fault, Setup};
use e2e::scene::{DOCS, IMPATIENT, docs, generated};
use e2e::{Ran, Running, Scene, eventually};
use qdrant_backup_shared::atomic;
use qdrant_backup_shared::operation::Outcome;
use rustix::process::Signal;
use serde_json::Value;

/// A scene whose hooks write their input to files named after the events. `more` is added to the section `hooks`.
fn told(scene: Scene, more: &str) -> Scene {
    let mut yaml = format!("{IMPATIENT}hooks:\n{more}");
    for event in ["success", "failure", "partial", "skipped"] {
        let key = format!("on_{event}");
        if !more.contains(&key) {
            let file = scene.place.beside(event).display().to_string();
            yaml.push_str(&format!(
                "  {key}: \"env > {file}.env; cat > {file}.json; echo told $QDRANT_BACKUP_EVENT\"\n"
            ));
        }
    }
    scene.place.configure(&yaml);
    scene
}

/// What the hook of `event` received: its environment and its standard input.
fn heard(scene: &Scene, event: &str) -> Option<(String, String)> {
    let read = |end: &str| fs::read_to_string(scene.place.beside(&format!("{event}.{end}"))).ok();
    Some((read("env")?, read("json")?))
}

fn forget(scene: &Scene) {
    for event in ["success", "failure", "partial", "skipped"] {
        for end in ["env", "json"] {
            drop(fs::remove_file(scene.place.beside(&format!("{event}.{end}"))));
        }
    }
}

fn events(scene: &Scene) -> Vec<&'static str> {
    ["success", "failure", "partial", "skipped"]
        .into_iter()
        .filter(|event| heard(scene, event).is_some())
        .collect()
}

/// A dead man's switch that answers with these status lines in turn, repeating the last one. It records the requested
/// paths.
fn service(answers: &[&'static str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/s3cret-uuid", listener.local_addr().expect("an address"));
    let paths = Arc::new(Mutex::new(Vec::new()));
    let (kept, answers) = (Arc::clone(&paths), answers.to_vec());
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut lines =
                BufReader::new(stream.try_clone().expect("a socket")).lines().map_while(Result::ok);
            let Some(first) = lines.next() else { continue };
            // Reads the rest of the head, so that the connection is not reset before the client reads the answer.
            drop(lines.find(String::is_empty));
            kept.lock().unwrap().push(first.split(' ').nth(1).unwrap_or_default().to_owned());
            let answer = answers.get(number).or(answers.last()).copied().unwrap_or("200 OK");
            drop(write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        }
    });
    (url, paths)
}

#[test]
fn success_is_told_with_the_report_and_without_secrets() {
    let scene = told(Scene::new(), "");
    let mut command = scene.place.command(&["run"]);
    command.env("QDRANT_API_KEY", "s3cret-key").env("BACKUP_PING_URL", "http://127.0.0.1:1/s3cret-uuid");

    let ran =
        Ran::of(&mut command).success().says(&["WARN", "dead man's switch at http://127.0.0.1/********"]);

    assert!(ran.stderr.contains("told success"), "{}", ran.stderr);
    assert_eq!(events(&scene), ["success"]);
    let (environment, report) = heard(&scene, "success").unwrap();
    let report: Value = serde_json::from_str(&report).expect("a report");
    assert_eq!(report, serde_json::to_value(scene.place.status().last_run).unwrap());
    for line in [
        "QDRANT_BACKUP_EVENT=success",
        "QDRANT_BACKUP_COMMAND=run",
        "QDRANT_BACKUP_EXIT_CODE=0",
        "QDRANT_BACKUP_COLLECTIONS=1",
        "QDRANT_BACKUP_FAILED_COLLECTIONS=",
        &format!("QDRANT_BACKUP_RUN_ID={}", report["run_id"].as_str().unwrap()),
        &format!("QDRANT_BACKUP_STORED_BYTES={}", scene.manifest().stored_size_bytes()),
    ] {
        assert!(environment.lines().any(|found| found == line), "{line}: {environment}");
    }
    assert!(
        environment.contains("QDRANT_BACKUP_MESSAGE=backup success: 1 of 1 collections"),
        "{environment}"
    );
    assert!(!environment.contains("s3cret") && !ran.stderr.contains("s3cret"), "{environment}{}", ran.stderr);
}

#[test]
fn a_program_gets_its_arguments_as_they_stand_and_no_shell_sees_them() {
    let scene = Scene::new();
    let (program, file) = (scene.place.beside("tell it"), scene.place.beside("heard"));
    let script = format!("#!/bin/sh\nprintf '<%s>' \"$@\" > {0}; env >> {0}; cat >> {0}\n", file.display());
    atomic::write(&program, 0o755, script.as_bytes()).unwrap();
    let odd = "$HOME; `id` *  'x'";
    let configure = |program: &str| {
        scene.place.configure(&format!(
            "{IMPATIENT}hooks:\n  on_success: [{program}, \"{odd}\", \"\", 10, true, -x]\n"
        ));
    };
    let heard = format!("<{odd}><><10><true><-x>");
    configure(&format!("\"{}\"", program.display()));
    let mut command = scene.place.command(&["run"]);
    Ran::of(command.env("QDRANT_API_KEY", "s3cret-key")).success().never_says("WARN");
    let found = fs::read_to_string(&file).unwrap();
    assert!(found.starts_with(&heard) && found.contains("QDRANT_BACKUP_EVENT=success\n"), "{found}");
    assert!(found.contains("\"outcome\":\"success\"") && !found.contains("s3cret"), "{found}");
    let shown = scene.place.run(&["config", "show"]).success().stdout;
    assert!(shown.contains(&format!("{} ********", program.display())) && !shown.contains("`id`"), "{shown}");

    // A program name is looked up in PATH. Missing, relative and non-executable entries are skipped.
    fs::remove_file(&file).unwrap();
    let (first, second) = (scene.place.beside("first"), scene.place.beside("second"));
    for (directory, mode) in [(&first, 0o644), (&second, 0o755)] {
        fs::create_dir(directory).unwrap();
        atomic::write(&directory.join("tell-them"), mode, script.as_bytes()).unwrap();
    }
    configure("tell-them");
    let path = format!("/nowhere:second::{}:{}:/usr/bin:/bin", first.display(), second.display());
    let run = |arguments: &[&str], path: &str| {
        let mut command = scene.place.command(arguments);
        Ran::of(command.env("PATH", path).current_dir(scene.place.beside(".")))
    };
    run(&["run"], &path).success().never_says("WARN");
    assert!(fs::read_to_string(&file).unwrap().starts_with(&heard));

    // If it does not exist, backups still work, and `config check` reports it.
    let ran = run(&["run"], "second:/usr/bin:/bin").success();
    ran.says(&["WARN: hooks.on_success: cannot be started: there is no program tell-them in PATH"]);
    let check = run(&["config", "check"], "/usr/bin:/bin").code(78).stdout;
    assert!(check.contains("hooks.on_success: there is no program tell-them in PATH"), "{check}");
    configure("/nowhere/tell-them");
    let check = run(&["config", "check"], &path).code(78).stdout;
    assert!(check.contains("hooks.on_success: /nowhere/tell-them is not an executable file"), "{check}");
}

#[test]
fn a_list_that_is_no_program_with_arguments_is_refused_with_its_line() {
    let scene = Scene::new();
    for (list, said) in [
        ("[]", "the list is empty"),
        ("[bin/tell, s3cret]", "an absolute path, or a name"),
        ("[./tell]", "an absolute path, or a name"),
        ("[\"\"]", "the text is empty"),
        ("[tell, [s3cret]]", "got a list or a mapping"),
        ("[tell, ~]", "has no value"),
        ("[tell, \"s3cret\\n\"]", "control character"),
        ("{tell: s3cret}", "got a mapping"),
    ] {
        scene.place.configure(&format!("hooks:\n  on_failure: {list}\n"));
        let ran = scene.place.run(&["run"]).code(78).never_says("s3cret");
        ran.says(&["backup.yaml:2: hooks.on_failure: ", said]);
    }
}

#[test]
fn failures_of_every_size_are_told_apart() {
    let scene = told(Scene::of(Setup::empty().collection(docs()).collection(generated("other"))), "");
    scene.server.faults(|all| all.add(Fault::status(500).on(Endpoint::CreateSnapshot).collection(DOCS)));
    scene.place.run(&["backup"]).code(3);
    assert_eq!(events(&scene), ["partial"]);
    let (environment, report) = heard(&scene, "partial").unwrap();
    assert!(environment.contains("QDRANT_BACKUP_FAILED_COLLECTIONS=docs\n"), "{environment}");
    assert!(environment.contains("QDRANT_BACKUP_COLLECTIONS=2\n"), "{environment}");
    assert!(environment.contains("\"docs\" (http_status): "), "{environment}");
    assert!(report.contains("\"partial\""), "{report}");

    scene.server.faults(|all| all.add(Fault::status(500).on(Endpoint::CreateSnapshot)));
    // Verification of the other collection's backup succeeds, but no collection is backed up.
    scene.place.run(&["run"]).code(1);
    assert_eq!(events(&scene), ["failure", "partial"]);

    forget(&scene);
    fs::remove_file(scene.place.path().join("repository.json")).unwrap();
    scene.place.run(&["run"]).code(78);
    assert_eq!(events(&scene), ["failure"]);
    let (environment, report) = heard(&scene, "failure").unwrap();
    assert!(environment.contains("is the disk mounted?"), "{environment}");
    assert_eq!(report, "");
}

#[test]
fn a_run_that_backs_up_nothing_has_one_outcome_everywhere_with_its_reason() {
    for refused in [false, true] {
        let scene = told(Scene::of(Setup::empty().collection(docs())), "");
        scene.place.run(&["run"]).success();
        forget(&scene);
        if refused {
            scene.server.faults(|all| all.add(Fault::status(401)));
        } else {
            scene.server.faults(|all| all.add(Fault::new(Effect::HangUp)));
        }

        let ran = scene.place.run(&["run"]).code(1).never_says("0 of 0");
        let reason = if refused { "401" } else { "broke" };
        let ran = ran.says(&["ERROR: Backup failed: nothing was backed up", reason]);

        assert_eq!(events(&scene), ["failure"], "{}", ran.stderr);
        let (environment, report) = heard(&scene, "failure").unwrap();
        assert!(environment.contains("QDRANT_BACKUP_MESSAGE=backup failed; "), "{environment}");
        let report: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!(report["outcome"], "failed");
        let status = scene.place.status();
        assert_eq!(status.last_run.map(|run| run.outcome), Some(Outcome::Failed));
        let kept = scene.operation().failure.expect("why").message;
        assert!(kept.contains(reason), "{kept}");
        // A manual command without a backup does not hide the failure.
        scene.heal();
        scene.place.run(&["verify"]).success();
        let shown = scene.place.run(&["status"]).stdout;
        assert!(shown.contains("Last run: failed") && shown.contains(reason), "{shown}");
    }
}

#[test]
fn a_partial_failure_without_a_command_of_its_own_is_told_as_a_failure() {
    let scene = told(
        Scene::of(Setup::empty().collection(docs()).collection(generated("other"))),
        "  on_partial: \"exit 0\"\n",
    );
    let yaml = fs::read_to_string(scene.place.beside("backup.yaml")).unwrap();
    scene.place.configure(&yaml.replace("  on_partial: \"exit 0\"\n", ""));
    scene.server.faults(|all| all.add(Fault::status(500).on(Endpoint::CreateSnapshot).collection(DOCS)));

    scene.place.run(&["run"]).code(3);

    assert_eq!(events(&scene), ["failure"]);
    assert!(heard(&scene, "failure").unwrap().0.contains("QDRANT_BACKUP_EVENT=partial\n"));
}

#[test]
fn a_run_that_finds_the_lock_held_is_skipped_and_pings_nobody() {
    let (url, paths) = service(&["200 OK"]);
    let scene = told(Scene::new(), &format!("  ping_url: {url}\n"));
    let lock = fs::File::create(scene.place.path().join(".lock")).unwrap();
    lock.lock().unwrap();

    scene.place.run(&["run"]).code(75);

    assert_eq!(events(&scene), ["skipped"]);
    assert!(heard(&scene, "skipped").unwrap().0.contains("QDRANT_BACKUP_EXIT_CODE=75\n"));
    assert_eq!(*paths.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn what_a_person_tries_out_is_told_to_nobody() {
    let (url, paths) = service(&["200 OK"]);
    let scene = told(Scene::new(), &format!("  ping_url: {url}\n"));

    scene.place.run(&["backup", "--collection", DOCS]).success();
    scene.place.run(&["verify"]).success();
    scene.place.run(&["backup", "--collection", "no-such"]).code(1);

    assert_eq!(events(&scene), Vec::<&str>::new());
    assert_eq!(*paths.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn the_dead_mans_service_hears_of_start_success_and_failure_in_this_order() {
    let (url, paths) = service(&["200 OK"]);
    let scene = told(Scene::new(), &format!("  ping_url: {url}/\n"));

    scene.place.run(&["run"]).success().never_says("WARN");
    scene.server.faults(|all| all.add(Fault::status(500).on(Endpoint::CreateSnapshot)));
    scene.place.run(&["run"]).code(1).never_says("s3cret");

    let base = "/s3cret-uuid/";
    assert_eq!(
        *paths.lock().unwrap(),
        [format!("{base}start"), base.to_owned(), format!("{base}start"), format!("{base}fail")]
    );
}

#[test]
fn uptime_kuma_hears_of_success_and_failure_by_its_one_address() {
    let (url, paths) = service(&["200 OK"]);
    let base = url.replace("/s3cret-uuid", "/api/push/s3cret-token");
    for style in ["", "  ping_style: uptime-kuma\n"] {
        let scene = told(Scene::new(), &format!("  ping_url: \"{base}?status=up&msg=OK&ping=\"\n{style}"));

        scene.place.run(&["run"]).success().never_says("WARN");
        scene.server.faults(|all| all.add(Fault::status(500).on(Endpoint::CreateSnapshot)));
        scene.place.run(&["run"]).code(1).never_says("s3cret");

        let path = "/api/push/s3cret-token";
        assert_eq!(
            paths.lock().unwrap().drain(..).collect::<Vec<_>>(),
            [format!("{path}?status=up&msg=OK&ping="), format!("{path}?status=down&msg=failed&ping=")]
        );
        let shown = scene.place.run(&["config", "show"]).success().never_says("s3cret");
        assert!(!shown.stdout.contains("s3cret") && shown.stdout.contains("uptime-kuma"), "{}", shown.stdout);
    }
}

#[test]
fn a_service_that_fails_in_passing_is_called_again_and_one_that_is_down_harms_nothing() {
    let (url, paths) = service(&["503 Busy", "200 OK"]);
    let scene = told(Scene::new(), &format!("  ping_url: {url}\n"));
    scene.place.run(&["run"]).success().never_says("dead man");
    assert_eq!(*paths.lock().unwrap(), ["/s3cret-uuid/start", "/s3cret-uuid/start", "/s3cret-uuid"]);

    let (url, _) = service(&["404 Not Found"]);
    let scene = told(scene, &format!("  ping_url: {url}\n"));
    scene
        .place
        .run(&["run"])
        .success()
        .says(&["WARN", "cannot report the start", "404 Not Found"])
        .says(&["WARN", "cannot report the success", "404 Not Found"])
        .never_says("s3cret");
}

#[test]
fn a_hook_that_fails_or_hangs_is_a_warning() {
    for (command, says) in
        [("exit 3", "failed (exit status: 3)"), ("sleep 600", "took longer than 300ms and was killed")]
    {
        let scene = told(Scene::new(), &format!("  on_success: {command}\n  timeout: 300ms\n"));
        let ran = scene.place.run(&["run", "--json"]).success();
        assert!(
            ran.stderr.contains(&format!("WARN: hooks.on_success: {says}; the backup itself")),
            "{}",
            ran.stderr
        );
        serde_json::from_str::<Value>(&ran.stdout).expect("nothing but the report on stdout");
        assert_eq!(scene.place.prove(), 1);
    }
}

#[test]
fn an_interrupted_run_is_told_as_a_failure() {
    let scene = told(Scene::with([Fault::new(Effect::NeverAnswer).on(Endpoint::CreateSnapshot)]), "");
    let running = Running::start(&mut scene.place.command(&["run"]));
    eventually("the creation is requested", || scene.creations() > 0);

    running.end_with(Signal::TERM).code(143);

    assert_eq!(events(&scene), ["failure"]);
    assert!(heard(&scene, "failure").unwrap().0.contains("QDRANT_BACKUP_EXIT_CODE=143\n"));
}

#[test]
fn a_log_for_programs_is_one_json_object_a_line() {
    let scene = Scene::new();
    let ran = scene.place.run(&["backup", "--log-format", "json"]).success();
    let lines: Vec<Value> =
        ran.stderr.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert!(lines.iter().any(|line| line["level"] == "info"
        && line["message"].as_str().is_some_and(|message| message.starts_with("Backup succeeded: 1 of 1"))));
    assert!(lines.iter().all(|line| line["time"].as_str().is_some_and(|time| time.ends_with('Z'))));

    scene.place.configure("bananas: 1\n");
    let ran = scene.place.run(&["backup", "--log-format", "json"]).code(78);
    let line: Value = serde_json::from_str(ran.stderr.trim()).expect("one object");
    assert_eq!(line["level"], "error");
}

#[test]
fn a_credential_of_systemd_is_the_key_unless_the_environment_names_one() {
    let scene = Scene::of(Setup::empty().api_key("right").collection(docs()));
    let credentials = scene.place.beside("credentials");
    fs::create_dir(&credentials).unwrap();
    atomic::write(&credentials.join("api-key"), 0o600, b"right\n").unwrap();
    let run = |key: Option<&str>| {
        let mut command = scene.place.command(&["backup"]);
        command.env_remove("QDRANT_API_KEY").env("CREDENTIALS_DIRECTORY", &credentials);
        Ran::of(command.envs(key.map(|key| ("QDRANT_API_KEY", key))))
    };
    run(None).success();
    run(Some("wrong")).code(1);
    fs::remove_file(credentials.join("api-key")).unwrap();
    run(Some("right")).success();
    run(None).code(1).never_says("right");
}
