//! The command line: options, exit codes, tables, the log, the progress bar.

use std::fs;
use std::process::{Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use e2e::qdrant_stand_in::{Effect, Fault, Setup, StandIn};
use e2e::{Place, Ran, Running, Scene, eventually};
use qdrant_backup_shared::operation::Operation;
use serde_json::{Value, json};

use crate::traces::{asked, collection_of, edit, log_line, log_lines, none, one_line, put, server_of};

const MIB: u64 = 1 << 20;

/// A server without faults, and a place with one backup of `vectors`.
fn backed_up() -> Scene {
    let Scene { server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    Scene { server, place }
}

#[test]
fn wrong_usage_is_exit_2_with_the_right_usage() {
    let place = Place::new("http://127.0.0.1:1");
    let cases: [(&[&str], &str); 5] = [
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&["backup", "--no-such-option"], "unexpected argument '--no-such-option'"),
        (&["backup", "--collection"], "a value is required for '--collection <NAME>'"),
        (&["list", "--lock-wait", "1s"], "unexpected argument '--lock-wait'"),
        (&["config"], "Usage: qdrant-backup config"),
    ];
    for (arguments, says) in cases {
        let ran = place.run(arguments).code(2);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    let version = Ran::of(Command::new(e2e::programs::program("qdrant-backup")).arg("--version")).success();
    assert!(version.stdout.starts_with("qdrant-backup "), "{}", version.stdout);
    let help = Ran::of(Command::new(e2e::programs::program("qdrant-backup")).arg("--help")).success();
    assert!(help.stdout.contains("Exit codes: 0 success, 1 failed, 2 usage"), "{}", help.stdout);
}

#[test]
fn the_help_of_each_command_says_what_is_done_on_the_other_server() {
    for (command, says) in [
        ("compare", "the live collection is still that of the server that is backed up"),
        ("drill", "Restore to the Qdrant at this URL instead"),
        ("export", "use the Qdrant at this URL for the temporary restore"),
        ("import", "create the collection on the Qdrant at this URL"),
        ("restore", "the points are still written to the server that is backed up"),
    ] {
        let program = e2e::programs::program("qdrant-backup");
        let help = Ran::of(Command::new(program).args([command, "--help"])).success().stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(says), "{command}: {help}");
    }
}

#[test]
fn every_mistake_in_the_configuration_is_shown_at_once_with_its_line() {
    let Scene { server, place } = Scene::on(server_of(1));
    place.configure("qdrant:\n  retriez: 3\nbackup:\n  compression: rar\n  lock_wait: 5\nbananas: 1\n");
    for arguments in
        [&["backup"][..], &["list"], &["status"], &["init"], &["config", "show"], &["config", "check"]]
    {
        let mut command = place.command(arguments);
        let ran = Ran::of(command.env("BACKUP_SCHEDULE", "* * *")).code(78);
        let lines = log_lines(&ran);
        for says in [
            "backup.yaml:2: qdrant.retriez: unknown key; did you mean retries?",
            "backup.yaml:4: backup.compression: expected true, false, gzip, zstd or none, got \"rar\"",
            "backup.yaml:5: backup.lock_wait: expected a duration",
            "backup.yaml:6: bananas: unknown key",
            "environment variable BACKUP_SCHEDULE: not a cron expression: it has ",
        ] {
            let found =
                lines.iter().filter(|line| line.starts_with("ERROR: ") && line.contains(says)).count();
            assert_eq!(found, 1, "{says:?} in {arguments:?}:\n{}", ran.stderr);
        }
        assert_eq!(lines.len(), 5, "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    place.configure("qdrant: [\n");
    one_line(&place.run(&["backup"]).code(78), &["ERROR: ", "backup.yaml:"]);
    fs::remove_file(place.beside("backup.yaml")).unwrap();
    one_line(&place.run(&["backup"]).code(78), &["backup.yaml", "No such file"]);
    assert!(server.requests().is_empty());
}

#[test]
fn config_show_names_the_source_of_every_value_and_masks_secrets() {
    let Scene { server: _server, place } = Scene::on(server_of(1));
    place.configure("qdrant:\n  retries: 2\n  stall_timeout: 90s\nbackup:\n  compression: none\n");
    put(&place.beside("env"), "QDRANT_API_KEY=from-env-file-s3cret\nBACKUP_RETENTION_DAYS=7\n");
    let env_file = place.beside("env");
    let arguments = |rest: &[&'static str]| {
        let mut all = vec!["config", "show", "--state-dir", "/var/lib/state"];
        all.extend(rest);
        all
    };
    let run = |rest: &[&'static str]| {
        let mut command = place.command(&arguments(rest));
        command.arg("--env-file").arg(&env_file);
        command.env("QDRANT_URL", "https://someone:p4ssw0rd@qdrant.example.org/prefix");
        command.env("QDRANT_API_KEY", "environment-s3cret");
        Ran::of(&mut command).success()
    };
    let shown = run(&[]);
    let row = |key: &str| {
        let line = shown.stdout.lines().find(|line| line.split_whitespace().next() == Some(key));
        let mut cells = line.unwrap_or_else(|| panic!("{key}: {}", shown.stdout)).split_whitespace().skip(1);
        (cells.next().unwrap().to_owned(), cells.collect::<Vec<_>>().join(" "))
    };
    let file = place.beside("backup.yaml").display().to_string();
    let env = env_file.display().to_string();
    assert_eq!(row("qdrant.url").0, "https://********@qdrant.example.org/prefix");
    assert_eq!(row("qdrant.url").1, "environment QDRANT_URL");
    assert_eq!(row("qdrant.api_key"), ("********".to_owned(), "environment QDRANT_API_KEY".to_owned()));
    assert_eq!(row("qdrant.retries"), ("2".to_owned(), format!("{file}:2 qdrant.retries")));
    assert_eq!(row("backup.compression"), ("none".to_owned(), format!("{file}:5 backup.compression")));
    assert_eq!(row("backup.state_dir").0, "/var/lib/state");
    assert!(row("backup.state_dir").1.contains("--state-dir"), "{:?}", row("backup.state_dir"));
    assert_eq!(row("retention.keep_days").0, "7");
    assert!(row("retention.keep_days").1.contains(&env), "{:?}", row("retention.keep_days"));
    assert_eq!(row("qdrant.connect_timeout"), ("10s".to_owned(), "default".to_owned()));

    let shown_json = run(&["--json"]);
    let parsed: Value = serde_json::from_str(&shown_json.stdout).expect("JSON");
    assert_eq!(parsed["settings"]["qdrant.retries"]["value"], 2);
    assert_eq!(parsed["settings"]["qdrant.api_key"]["value"], "********");
    for ran in [&shown, &shown_json] {
        for secret in ["s3cret", "p4ssw0rd", "someone"] {
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{secret} is shown");
        }
    }
}

#[test]
fn config_check_says_what_is_well_and_what_is_not() {
    let Scene { server, place } = backed_up();
    let before = place.files();
    server.clear_requests();
    let mut command = place.command(&["config", "check"]);
    let good = Ran::of(command.env("BACKUP_SCHEDULE", "0 3 * * *")).success();
    // The result of these two depends on the machine.
    let of_machine = |line: &&str| line.contains("  own disk  ") || line.contains("  started by  ");
    assert_eq!(good.stdout.lines().filter(of_machine).count(), 2, "{}", good.stdout);
    let others = good.stdout.lines().filter(|line| !of_machine(line));
    let marks: Vec<&str> = others.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(marks, ["ok"; 8], "{}", good.stdout);
    for says in [
        "is a backup repository",
        "files can be created",
        "supports everything that backups need",
        "free",
        "; next ",
        "1.18.3 at",
        "1 of 1 are selected",
    ] {
        assert!(good.stdout.contains(says), "{says}: {}", good.stdout);
    }
    assert_eq!(place.files(), before, "nothing stays");
    assert!(server.requests().iter().all(|request| !request.changes_something()));

    let missing = place.beside("missing");
    let path = missing.to_str().unwrap();
    let bad = place.run(&["config", "check", "--backup-path", path, "--url", "http://127.0.0.1:1"]).code(78);
    let fails = |what: &str| {
        bad.stdout.lines().any(|line| line.starts_with("FAIL") && line[4..].trim_start().starts_with(what))
    };
    for what in ["backup directory", "Qdrant"] {
        assert!(fails(what), "{what}: {}", bad.stdout);
    }
    assert_eq!(bad.stdout.matches("FAIL").count(), 2, "the rest is not checked: {}", bad.stdout);
    assert!(!bad.stdout.contains("own disk"), "{}", bad.stdout);
    assert!(bad.stdout.contains("cannot reach Qdrant at http://127.0.0.1:1"), "{}", bad.stdout);
    assert!(!missing.exists());
}

#[test]
fn config_check_finds_what_the_settings_name_and_nothing_has() {
    let Scene { server: _server, place } = backed_up();
    place.configure("backup:\n  include: [vektors, \"v*\"]\n  include_files: [\"/nonexistent/*.yaml\"]\n");
    let check = place.run(&["config", "check"]).code(78);
    let line = |what: &str| check.stdout.lines().find(|line| line.contains(what)).unwrap_or_default();
    let files = line("include files");
    assert!(files.starts_with("FAIL") && files.contains("/nonexistent/*.yaml"), "{}", check.stdout);
    let names = line("backup.include names what is not on the server");
    assert!(
        names.starts_with("warn") && names.ends_with(": \"vektors\" (did you mean vectors?)"),
        "{}",
        check.stdout
    );

    let pattern = place.beside("backup.yaml").display().to_string();
    place.configure(&format!("backup:\n  include_files: [\"{pattern}\"]\n"));
    let check = place.run(&["config", "check"]).success();
    assert!(check.stdout.contains("1 match backup.include_files"), "{}", check.stdout);
}

#[test]
fn list_shows_backups_and_everything_that_is_none() {
    let setup =
        Setup::empty().collection(collection_of("a", 64 << 10)).collection(collection_of("b", 64 << 10));
    let Scene { server: _server, place } = Scene::on(StandIn::start(setup));
    one_line(&place.run(&["list"]).success(), &["INFO: No backups yet"]);
    place.run(&["backup"]).success();
    place.run(&["backup", "-c", "a"]).success();
    let good = place.run(&["list"]).success();
    assert_eq!(good.stderr, "");
    let lines: Vec<&str> = good.stdout.lines().collect();
    let header: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(
        header,
        ["COLLECTION", "BACKUP", "AGE", "POINTS", "SNAPSHOT", "STORED", "ENCODING", "VERIFIED"]
    );
    let first: Vec<&str> = lines[1].split_whitespace().collect();
    let id = place.backups("a")[0].manifest.backup_id.to_string();
    assert_eq!((first[0], first[1], first[4]), ("a", id.as_str(), "16"), "{}", lines[1]);
    assert!(lines[1].ends_with("gzip      never"), "{}", lines[1]);
    assert_eq!(lines.len(), 4);
    let only = place.run(&["list", "-c", "b"]).success();
    assert_eq!(only.stdout.lines().count(), 2, "{}", only.stdout);

    // Now an orphan, an incomplete backup, an unreadable manifest and a temporary file.
    let (a, b) = (place.path().join("collections/a"), place.path().join("collections/b"));
    let incomplete = place.backups("b")[0].manifest.archives[0].file_name.clone();
    put(&b.join(&incomplete), "short");
    put(&a.join("a-2020-01-01-00-00-00.snapshot.gz"), "orphan");
    put(&a.join("a-2020-01-02-00-00-00.manifest.json"), "{\"schema_version\": 2}");
    put(&a.join("a-2020-01-02-00-00-00.snapshot.gz"), "its archive");
    put(&a.join(".a-2020-01-03-00-00-00.snapshot.gz.x.tmp"), "half");
    let table = place.run(&["list"]).success();
    assert_eq!(table.stdout.lines().count(), 4, "the good ones are not hidden: {}", table.stdout);
    assert_eq!(table.stdout.matches("INCOMPLETE").count(), 1, "{}", table.stdout);
    let warnings = log_lines(&table);
    assert_eq!(warnings.len(), 3, "{}", table.stderr);
    assert!(warnings.iter().all(|line| line.starts_with("WARN: ")));
    for says in [
        "of b is incomplete: archive",
        "a-2020-01-02-00-00-00.manifest.json: cannot read schema_version 2",
        "a-2020-01-01-00-00-00.snapshot.gz: an archive without a manifest, so not a backup (6 B)",
    ] {
        assert!(warnings.iter().any(|line| line.contains(says)), "{says}: {}", table.stderr);
    }

    let listed = place.run(&["list", "--json"]).success();
    assert_eq!(listed.stderr, "");
    let listing: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let conditions: Vec<&str> = listing["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["condition"].as_str().unwrap())
        .collect();
    assert_eq!(conditions, ["good", "good", "incomplete"]);
    assert!(listing["backups"][2]["problem"].as_str().unwrap().contains(&incomplete));
    for (kind, name) in [
        ("orphans", "a-2020-01-01-00-00-00.snapshot.gz"),
        ("temporary_files", ".a-2020-01-03-00-00-00.snapshot.gz.x.tmp"),
        ("unreadable", "a-2020-01-02-00-00-00.manifest.json"),
    ] {
        let found = listing[kind].as_array().unwrap();
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        assert!(found[0].as_str().unwrap().contains(name), "{kind}: {found:?}");
    }
    assert_eq!(listing["backups"][0]["encoding"], json!(["gzip"]));
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let Scene { server: _server, place } = backed_up();
    for arguments in [&["list"][..], &["list", "--json"], &["status"], &["config", "show"]] {
        let mut command = place.command(arguments);
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn a_log_that_cannot_be_written_costs_no_backup() {
    let Scene { server, place } = backed_up();
    // A log file on a full disk, and a mail program that has exited.
    let mut full = place.command(&["backup"]);
    full.stderr(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    assert_eq!(full.status().unwrap().code(), Some(0));
    let mut gone = place.command(&["backup"]);
    let mut child = gone.spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(place.prove(), 3);
    assert_eq!(server.snapshot_names("vectors"), none());
    assert_eq!(place.status().current_run, None);
}

#[test]
fn a_report_that_cannot_be_printed_is_a_failure_but_the_backup_is_there() {
    let Scene { server, place } = backed_up();
    let mut full = place.command(&["backup", "--json"]);
    full.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let ran = Running::start(&mut full).end().code(1);
    let full = "ERROR: standard output cannot be written: No space left on device";
    assert!(ran.stderr.contains(full), "{}", ran.stderr);
    assert_eq!(place.prove(), 2);
    assert_eq!(server.snapshot_names("vectors"), none());

    for arguments in [&["list"][..], &["status"], &["config", "show"], &["prune", "--dry-run"], &["--help"]] {
        let mut command = place.command(arguments);
        command.env("BACKUP_RETENTION_DAYS", "7");
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        Ran::of(&mut command).code(1).says(&[full]);
    }
}

#[test]
fn an_export_to_a_closed_standard_output_is_a_failure() {
    let Scene { server: _server, place } = backed_up();
    for points in [&[][..], &["--points", "--on-source"]] {
        let export = place.command(&[&["export", "-c", "vectors", "-o", "-"][..], points].concat());
        let mut closed = std::process::Command::new("sh");
        closed.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(export.get_program()).args(export.get_args());
        for (name, value) in export.get_envs() {
            match value {
                Some(value) => closed.env(name, value),
                None => closed.env_remove(name),
            };
        }
        Ran::of(&mut closed).code(1).says(&["closed"]);
    }
    let mut export = place.command(&["export", "-c", "vectors", "-o", "-"]);
    Ran::of(export.stdout(std::process::Stdio::null())).success();
}

/// `status` with a schedule of one backup per hour.
fn hourly(place: &Place, arguments: &[&str]) -> Ran {
    let mut command = place.command(arguments);
    Ran::of(command.env("BACKUP_SCHEDULE", "0 * * * *"))
}

/// Moves the newest backup of `vectors` into the past.
fn age(place: &Place, by: TimeDelta) {
    let newest = place.backups("vectors").pop().unwrap().manifest;
    let path = place.layout().manifest(&newest.collection, newest.backup_id);
    let then: DateTime<Utc> = newest.started_at - by;
    edit(&path, |manifest| manifest["started_at"] = json!(then));
}

#[test]
fn status_is_exit_5_when_a_newest_backup_is_too_old() {
    let Scene { server: _server, place } = backed_up();
    let fresh = hourly(&place, &["status"]).success();
    assert!(fresh.stdout.starts_with("Every collection (1) has a good backup"), "{}", fresh.stdout);
    assert!(!fresh.stdout.contains("no schedule is configured"), "{}", fresh.stdout);

    age(&place, TimeDelta::minutes(119));
    hourly(&place, &["status"]).success();
    age(&place, TimeDelta::minutes(2));
    let old = hourly(&place, &["status"]).code(5);
    assert!(old.stdout.starts_with("BACKUP TOO OLD: vectors"), "{}", old.stdout);
    assert!(old.stdout.contains("TOO OLD") && old.stdout.contains("2 h 1 min"), "{}", old.stdout);
    let parsed: Value =
        serde_json::from_str(&hourly(&place, &["status", "--json"]).code(5).stdout).expect("JSON");
    assert_eq!(parsed["collections"][0]["too_old"], true);
    assert_eq!(parsed["schedule_interval_seconds"], 3600.0);

    // A run that never started leaves no other trace.
    assert!(!old.stdout.contains("No backup has started"), "{}", old.stdout);
    let attempt = place.status().operations[&Operation::Backup].last_attempt_at.unwrap();
    edit(&place.layout().status_file(), |status| {
        status["operations"]["backup"]["last_attempt_at"] = json!(attempt - TimeDelta::minutes(121));
    });
    let overdue = hourly(&place, &["status"]).code(5).stdout;
    let line =
        "No backup has started for 2 h 1 min, but one is due every 1 h: does cron or the timer start it?";
    assert!(overdue.contains(line), "{overdue}");

    // Without a schedule the age is shown but not judged.
    let unjudged = place.run(&["status"]).success();
    assert!(unjudged.stdout.contains("no schedule is configured"), "{}", unjudged.stdout);
    place.run(&["backup"]).success();
    hourly(&place, &["status"]).success();
}

#[test]
fn status_is_exit_5_where_nothing_was_ever_backed_up() {
    let Scene { server: _server, place } = Scene::on(server_of(1));
    let never = place.run(&["status"]).code(5);
    assert_eq!(never.stdout.lines().next(), Some("NO BACKUP: no backup was ever made here"));
    // A completely failed run changes nothing about that.
    let mut command = place.command(&["backup", "--url", "http://127.0.0.1:1"]);
    Ran::of(&mut command).code(1);
    let failed = place.run(&["status"]).code(5);
    assert!(
        failed.stdout.starts_with("NO BACKUP: backups were run, but there is no good one"),
        "{}",
        failed.stdout
    );
    assert!(failed.stdout.contains("unreachable: "), "the reason is shown: {}", failed.stdout);
}

#[test]
fn a_server_without_collections_is_no_alarm() {
    let Scene { server: _server, place } = Scene::on(StandIn::start(Setup::empty()));
    place.run(&["backup"]).success().says(&["Backup succeeded: 0 of 0 collections"]);
    let status = place.run(&["status"]).success();
    assert!(
        status.stdout.starts_with("Nothing to back up: the server had no collections\n"),
        "{}",
        status.stdout
    );
}

#[test]
fn status_is_exit_5_for_a_collection_on_the_server_without_a_backup() {
    let setup =
        Setup::empty().collection(collection_of("a", 4096)).collection(collection_of("vectors", 4096));
    let Scene { server, place } =
        Scene::on(StandIn::start(setup.fault(Fault::new(Effect::CreationNoSpace).collection("a"))));
    let ran = place.run(&["backup"]).code(3);
    assert!(
        log_lines(&ran).last().unwrap().starts_with("ERROR: Backup partial: 1 of 2 collections"),
        "{}",
        ran.stderr
    );
    for schedule in [true, false] {
        let status = if schedule { hourly(&place, &["status"]) } else { place.run(&["status"]) }.code(5);
        assert!(status.stdout.starts_with("NO GOOD BACKUP: a\n"), "{}", status.stdout);
        assert!(status.stdout.contains("last attempt failed: "), "{}", status.stdout);
    }
    // A backup with a missing archive is as bad as no backup.
    server.faults(|faults| faults.clear());
    place.run(&["backup"]).success();
    place.run(&["status"]).success();
    let manifest = place.backups("a")[0].manifest.clone();
    fs::remove_file(place.path().join("collections/a").join(&manifest.archives[0].file_name)).unwrap();
    place.run(&["status"]).code(5);
}

#[test]
fn the_log_has_one_form_and_ends_in_a_summary() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    let ran = place.run(&["backup"]).success();
    assert_eq!(ran.stdout, "");
    let lines = log_lines(&ran);
    assert!(
        lines.iter().any(|line| line == "INFO: Created snapshot for vectors (64.00 KiB)"),
        "{}",
        ran.stderr
    );
    assert!(
        lines.iter().any(|line| line.starts_with("INFO: Backed up vectors: 16 points, ")),
        "{}",
        ran.stderr
    );
    let last = lines.last().unwrap();
    assert!(last.starts_with("INFO: Backup succeeded: 1 of 1 collections, "), "{last}");
    assert!(last.ends_with(" s"), "{last}");
    assert!(!ran.stderr.contains(['\r', '\x1b']), "no progress without a terminal: {:?}", ran.stderr);
    assert!(lines.iter().all(|line| line.starts_with("INFO: ")), "{}", ran.stderr);

    let quiet = place.run(&["backup", "--quiet"]).success();
    assert_eq!(quiet.stderr, "");
    let debug = place.run(&["backup", "--log-level", "debug"]).success();
    let lines = log_lines(&debug);
    assert!(lines.iter().any(|line| line.starts_with("DEBUG: ")), "{}", debug.stderr);
    assert!(lines.last().unwrap().starts_with("INFO: Backup succeeded"), "{}", debug.stderr);
    let warn = place.run(&["backup", "--log-level", "warn", "-c", "no-such"]).code(1);
    assert!(log_lines(&warn).iter().all(|line| line.starts_with("ERROR: ")), "{}", warn.stderr);
    let quiet = place.run(&["backup", "-q", "-c", "no-such"]).code(1);
    assert!(
        log_lines(&quiet).last().unwrap().contains("no-such"),
        "errors are always printed: {}",
        quiet.stderr
    );
}

#[test]
fn json_is_alone_on_stdout() {
    let Scene { server: _server, place } = backed_up();
    let ran = place.run(&["backup", "--json"]).success();
    let report: Value = serde_json::from_str(&ran.stdout).expect("JSON and nothing else");
    assert_eq!(report["outcome"], "success");
    assert!(log_lines(&ran).last().unwrap().starts_with("INFO: Backup succeeded"));
    let status: Value =
        serde_json::from_str(&place.run(&["status", "--json"]).success().stdout).expect("JSON");
    assert_eq!(status["status"]["last_run"]["run_id"], report["run_id"]);
}

/// `program` on a new terminal with 100 columns.
fn on_terminal(command: &Command) -> Command {
    let quoted: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', "'\\''")))
        .collect();
    let line = format!("stty cols 100 rows 24 && exec {}", quoted.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env_clear();
    for (name, value) in command.get_envs() {
        script.env(name, value.unwrap_or_default());
    }
    script
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh");
    script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    script
}

/// The terminal output in pieces, without escape sequences.
fn pieces(drawn: &str) -> Vec<String> {
    let mut text = String::new();
    let mut characters = drawn.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            // ESC [ digits letter: all but colors and bold move the cursor or erase.
            let end = characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
            if end != Some('m') {
                text.push('\n');
            }
        } else {
            text.push(if character == '\r' { '\n' } else { character });
        }
    }
    text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[cfg(feature = "outside")]
#[test]
fn a_terminal_shows_progress_and_log_lines_stay_whole() {
    let server = server_of(4 * MIB);
    server.faults(|faults| faults.add(Fault::new(Effect::BytesPerSecond(3 * MIB))));
    let place = Place::initialised(&server.url());
    let ran = Ran::of(&mut on_terminal(&place.command(&["backup"]))).success();
    let drawn = pieces(&ran.stdout);
    let bars: Vec<&String> = drawn.iter().filter(|piece| piece.starts_with("vectors [")).collect();
    assert!(bars.len() >= 2, "{drawn:#?}");
    let moving = bars.iter().any(|bar| bar.contains("MiB/4.00 MiB") && bar.contains("MiB/s ETA "));
    assert!(moving, "{bars:#?}");
    let lines: Vec<String> = drawn.iter().filter_map(|piece| log_line(piece)).collect();
    for says in ["INFO: Backing up 1 of 1", "INFO: Created snapshot for vectors", "INFO: Backed up vectors: "]
    {
        assert_eq!(lines.iter().filter(|line| line.starts_with(says)).count(), 1, "{says}: {drawn:#?}");
    }
    let torn: Vec<&String> =
        drawn.iter().filter(|piece| !piece.starts_with("vectors [") && log_line(piece).is_none()).collect();
    assert_eq!(torn, Vec::<&String>::new(), "only bars and whole lines");
    assert!(lines.last().unwrap().starts_with("INFO: Backup succeeded"), "{lines:?}");
    assert!(log_line(drawn.last().unwrap()).is_some(), "the bar is removed at the end: {drawn:#?}");

    let quiet = Ran::of(&mut on_terminal(&place.command(&["backup", "--quiet"]))).success();
    assert_eq!(pieces(&quiet.stdout), none());
}

#[cfg(feature = "outside")]
#[test]
fn ctrl_c_on_a_terminal_is_exit_130() {
    let server = server_of(MIB);
    server.faults(|faults| faults.add(Fault::new(Effect::BytesPerSecond(64 << 10))));
    let place = Place::initialised(&server.url());
    let mut command = on_terminal(&place.command(&["backup"]));
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    eventually("the download begins", || !asked(&server, "GET", ".snapshot").is_empty());
    std::io::Write::write_all(&mut keyboard, b"\x03").unwrap();
    let ended = Running::adopt(child).end();
    drop(keyboard);
    assert_eq!(ended.code, Some(130), "{}", ended.stdout);
    assert_eq!(server.snapshot_names("vectors"), none());
    assert_eq!(place.status().current_run, None);
}
