//! Options of runs, and names of every kind.

use std::process::Command;

use e2e::qdrant_stand_in::{Endpoint, Fault, Setup};
use e2e::scene::{DOCS, IMPATIENT, SIZE, generated};
use e2e::{Ran, Scene};
use qdrant_backup_shared::manifest::{Encoding, ServerChecksum};
use qdrant_backup_shared::operation::Outcome;
use serde_json::Value;
use sha2::{Digest, Sha256};

#[test]
fn the_report_of_a_run_is_printed_as_json_and_the_log_apart_from_it() {
    let scene = Scene::new();

    let ran = scene.place.run(&["backup", "--json"]).success().says(&["INFO: Backup succeeded: 1 of 1"]);

    let report: Value = serde_json::from_str(&ran.stdout).expect("stdout is one JSON document");
    assert_eq!(report["command"], "backup");
    assert_eq!(report["outcome"], "success");
    let text = report.to_string();
    let id = scene.manifest().backup_id.to_string();
    for part in [DOCS, id.as_str(), &SIZE.to_string()] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let kept = serde_json::to_value(scene.place.status().last_run).expect("JSON");
    assert_eq!(kept, report);
}

#[test]
fn the_report_of_a_failed_run_is_printed_too() {
    let scene = Scene::new();
    scene.server.faults(|all| all.add(Fault::status(403).on(Endpoint::CreateSnapshot)));

    let ran = scene.place.run(&["backup", "--json", "--collection", DOCS]).code(1);

    let report: Value = serde_json::from_str(&ran.stdout).expect("stdout is one JSON document");
    assert_eq!(report["outcome"], "failed");
    assert!(report.to_string().contains("denied access (403)"));
}

#[test]
fn a_quiet_run_says_nothing_of_success() {
    let scene = Scene::new();

    let ran = scene.place.run(&["backup", "--quiet"]).success();

    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    scene.assert_backed_up();
}

#[test]
fn the_servers_snapshots_are_kept_on_request() {
    let scene = Scene::new();

    scene.place.run(&["backup", "--keep-server-snapshots"]).success();

    scene.assert_backed_up();
    let kept = scene.on_server();
    assert_eq!(kept.len(), 1);
    assert_eq!(scene.manifest().archives[0].snapshot_name.as_ref(), kept.first());
    scene.assert_nothing_pending();

    // The next run does not clean them up.
    scene.backup().success();
    assert_eq!(scene.on_server(), kept);
}

#[test]
fn archives_are_stored_as_asked_for() {
    for (compression, encoding, extension) in [
        ("none", vec![], ".snapshot"),
        ("gzip", vec![Encoding::Gzip], ".snapshot.gz"),
        ("zstd", vec![Encoding::Zstd], ".snapshot.zst"),
    ] {
        let scene = Scene::new();

        scene.place.run(&["backup", "--compression", compression]).success();

        scene.assert_backed_up();
        let archive = scene.manifest().archives.remove(0);
        assert_eq!(archive.encoding, encoding);
        assert!(archive.file_name.ends_with(extension), "{}", archive.file_name);
        assert_eq!(archive.server_checksum, ServerChecksum::Matched);
        assert_eq!(archive.snapshot.size_bytes, SIZE);
        assert_eq!(archive.stored == archive.snapshot, encoding.is_empty());
        scene.assert_server_clean();
    }
}

#[cfg(feature = "outside")]
#[test]
fn zstd_archives_are_what_the_tools_of_zstd_read() {
    let scene = Scene::new();
    scene.place.run(&["backup", "--compression", "zstd"]).success();
    let manifest = scene.manifest();
    let archive = &manifest.archives[0];
    let path = scene.place.layout().collection(&manifest.collection).join(&archive.file_name);
    for tool in ["/usr/bin/zstd", "/usr/bin/pzstd"] {
        let output = Command::new(tool).arg("-dc").arg(&path).output().expect("zstd is installed");
        assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(Sha256::digest(&output.stdout)[..], archive.snapshot.sha256.as_bytes()[..], "{tool}");
    }
}

#[test]
fn collections_of_every_name_are_backed_up_and_told_apart() {
    let long = "long ".repeat(50) + "1";
    let other_long = "long ".repeat(50) + "2";
    let wide = "\u{65e5}\u{672c}\u{8a9e}".repeat(20);
    let names = [
        "mein K\u{e4}se v1.2",
        ".hidden",
        "...",
        "100% & more; #1 + 1 = 2",
        "tab\there",
        "e\u{301}",
        "\u{e9}",
        "Docs",
        "docs",
        "docs-2025-07-15-14-30-00",
        &long,
        &other_long,
        &wide,
    ];
    let setup = names.iter().fold(Setup::empty(), |setup, name| setup.collection(generated(name)));
    let scene = Scene::of(setup);

    let ran = scene.backup().success().says(&["Backup succeeded: 13 of 13 collections"]);

    assert!(ran.stderr.lines().all(|line| line.starts_with('[')), "{}", ran.stderr);
    assert_eq!(scene.place.prove(), names.len());
    for name in names {
        assert_eq!(scene.place.backups(name).len(), 1, "{name:?}");
        assert_eq!(scene.collection(name).last_outcome, Some(Outcome::Success));
        assert_eq!(scene.server.snapshot_names(name), Vec::<String>::new(), "{name:?}");
    }
    for file in scene.place.stored() {
        assert!(file.bytes().all(|byte| byte.is_ascii_graphic()), "{file:?}");
        assert!(file.split('/').all(|part| part.len() <= 255 && !part.starts_with('.')), "{file:?}");
    }
    let listed = scene.place.run(&["list", "--json"]).success().stdout;
    for name in names {
        let quoted = serde_json::to_string(name).expect("JSON");
        assert!(listed.contains(&quoted), "{quoted} is not in {listed}");
    }
    scene.place.run(&["backup", "--collection", "mein K\u{e4}se v1.2", "--collection", ".hidden"]).success();
    assert_eq!(scene.place.prove(), names.len() + 2);
}

/// Parses every line of a JSON log, and returns the messages.
#[track_caller]
fn messages(ran: &Ran) -> Vec<(String, String)> {
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        let word = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("no {key}: {line}")).to_owned();
        (word("level"), word("message"))
    };
    ran.stderr.lines().map(line).collect()
}

#[test]
fn every_error_of_a_log_in_json_is_json_with_its_reasons() {
    let scene = Scene::new();
    scene.backup().success();
    let last = |arguments: &[&str], code: i32, reasons: &[&str]| {
        let ran = scene.place.run(arguments).code(code);
        let (level, message) = messages(&ran).pop().expect("a line");
        assert_eq!(level, "error", "{message}");
        for reason in reasons {
            assert!(message.contains(reason), "{reason}: {message}");
        }
    };
    let json = ["--log-format", "json"];
    // An invalid command line.
    last(&["backup", "--log-format=json", "--no-such"], 2, &["unexpected argument '--no-such'", "Usage: "]);
    last(&["bakcup", json[0], json[1]], 2, &["unrecognized subcommand 'bakcup'", "backup"]);
    // The server cannot be reached, for a reason reported by the system.
    let closed = "http://127.0.0.1:1";
    let restore = ["restore", "--collection", DOCS, "--url", closed, json[0], json[1]];
    last(&restore, 1, &["cannot reach Qdrant", "onnection refused"]);
    last(
        &["list", "--backup-path", "/nonexistent", json[0], json[1]],
        78,
        &["/nonexistent", "does not exist"],
    );

    // The configuration requests it and has an error elsewhere.
    scene.place.configure("log: {format: json}\nretention: {keep_dayz: 1}\n");
    last(&["status"], 78, &["backup.yaml:2: retention.keep_dayz: unknown key; did you mean keep_days?"]);
    scene.place.configure("log: {format: json}\nqdrant: {api_key_file: /nonexistent}\n");
    last(&["backup"], 78, &["api_key_file: cannot use the API key file /nonexistent: No such file"]);
}

#[test]
fn a_trial_is_made_with_the_options_of_the_check() {
    let mut scene = Scene::new();
    let url = scene.place.url().to_owned();
    scene.place.set_url("http://127.0.0.1:9");
    let ran = scene.place.run(&["config", "check", "--trial", "--url", &url]).success();
    assert!(ran.stdout.lines().any(|line| line.starts_with("ok    trial backup")), "{}", ran.stdout);
}

#[test]
fn a_trial_says_why_it_failed_also_where_the_log_is_in_json() {
    let scene = Scene::new();
    scene.place.configure(&format!("{IMPATIENT}log:\n  format: json\n"));
    scene.server.faults(|all| all.add(Fault::status(403).on(Endpoint::CreateSnapshot)));
    let ran = scene.place.run(&["config", "check", "--trial"]).code(78);
    let line = ran.stdout.lines().find(|line| line.contains("trial backup")).expect("a line");
    assert!(
        line.starts_with("FAIL") && line.contains("denied access (403)") && !line.contains("exit status"),
        "{line}"
    );
}
