//! Hostile text in every string of every file in the backup directory, in every answer of Qdrant, and in the output
//! of restic. Wherever it is shown, it must not move the cursor, ring the bell, reverse a line or forge one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use e2e::campaign::{Extent, Tally};
use e2e::exporter::Exporter;
use e2e::http::get_json;
use e2e::offsite::{Nas, configure};
use e2e::qdrant_stand_in::{Answer, Collection, Endpoint, Fault, GeneratedSnapshot, Setup, StandIn};
use e2e::{Place, Ran};
use qdrant_backup_shared::{atomic, text};
use reqwest::Method;
use serde_json::Value;

/// The hostile text: a color, a line break with a forged line, a bell, right-to-left text, and 8-bit control
/// characters.
const FOREIGN: &str =
    "\u{1b}[31m\r\n[2026-01-01 00:00:00] INFO: forged\u{7}\u{202e}\u{9b}2J\u{85}\u{2028}end";
/// A short campaign tries one in this many strings.
const ONE_IN: usize = 12;

const CONFIGURATION: &str = "qdrant:\n  retries: 0\n  wait_for_server: 0s\nbackup:\n  include_files: [\"@/app.conf\"]\nretention:\n  keep_last: 9\n";

/// The path of a string or of a field name in JSON.
#[derive(Debug, Clone)]
struct Spot {
    pointer: String,
    /// The field whose name is changed. None to change the string.
    key: Option<String>,
}

/// Every string and every field name in `value`.
fn spots(value: &Value, pointer: &str, found: &mut Vec<Spot>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::String(_) => found.push(Spot { pointer: pointer.to_owned(), key: None }),
        Value::Array(entries) => {
            // The other elements have the same form.
            for (number, entry) in entries.iter().take(1).enumerate() {
                spots(entry, &format!("{pointer}/{number}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                found.push(Spot { pointer: pointer.to_owned(), key: Some(key.clone()) });
                spots(field, &format!("{pointer}/{}", escaped(key)), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `value` with the hostile text at `spot`.
fn spoiled(value: &Value, spot: &Spot) -> Value {
    let mut value = value.clone();
    let at = value.pointer_mut(&spot.pointer).expect("it existed");
    match &spot.key {
        None => *at = Value::String(format!("{}{FOREIGN}", at.as_str().expect("a string"))),
        Some(key) => {
            let fields = at.as_object_mut().expect("fields");
            let field = fields.remove(key).expect("it existed");
            fields.insert(format!("{key}{FOREIGN}"), field);
        }
    }
    value
}

/// Fails if `shown` contains an invisible character other than a line end.
#[track_caller]
fn is_plain(what: &str, shown: &str) {
    let unseen: String = shown.chars().filter(|one| *one != '\n' && text::is_unseen(*one)).collect();
    assert_eq!(unseen, "", "{what}:\n{shown}");
    for line in shown.lines() {
        assert!(!line.starts_with("[2026-01-01 00:00:00] INFO: forged"), "{what}: a forged line:\n{shown}");
    }
}

/// Fails unless all output is clean and the program works.
#[track_caller]
fn speaks_plainly(what: &str, ran: &Ran) {
    is_plain(&format!("stdout, {what}"), &ran.stdout);
    is_plain(&format!("stderr, {what}"), &ran.stderr);
    assert!(ran.code.is_some_and(|code| code != 101), "{what}: {:?}: {}", ran.code, ran.stderr);
}

fn server() -> StandIn {
    let snapshot = GeneratedSnapshot::new(60 << 10).points_count(10);
    StandIn::start(Setup::empty().collection(Collection::generated("docs", snapshot)).alias("live", "docs"))
}

fn set_up(place: &Place, more: &str) {
    let beside = place.beside("").display().to_string();
    place.configure(&(CONFIGURATION.replace("@/", &beside) + more));
}

/// A directory with files of every kind.
fn filled(server: &StandIn) -> Place {
    let place = Place::new(&server.url());
    atomic::write(&place.beside("app.conf"), 0o644, b"setting: 1\n").unwrap();
    set_up(&place, "");
    place.run(&["init"]).success();
    let nas = Nas::directory(&place, "nas");
    configure(&place, &[&nas], "");
    place.run(&["offsite", "init", "nas"]).success();
    place.run(&["backup"]).success();
    place.run(&["offsite", "copy"]).success();
    set_up(&place, "");
    place.plant_shards("custom", "2025-07-15T14:30:00Z");
    place.run(&["run"]).success();
    let id = place.ids("docs").remove(0);
    place.run(&["hold", &id, "--collection", "docs", "--reason", "an audit"]).success();
    place
}

fn copied(from: &Place, server: &StandIn) -> Place {
    let place = Place::new(&server.url());
    let copy =
        std::process::Command::new("cp").arg("-a").arg(from.beside(".")).arg(place.beside(".")).status();
    assert!(copy.unwrap().success(), "the place cannot be copied");
    set_up(&place, "");
    place
}

#[test]
fn no_string_in_any_file_of_the_backup_directory_comes_out_as_it_is() {
    let extent = Extent::asked_for();
    let server = server();
    let prepared = filled(&server);
    let mut tally = Tally::of("foreign text in files");
    let mut cases = Vec::new();
    let mut kinds = std::collections::BTreeSet::new();
    for file in prepared.files() {
        let Ok(bytes) = fs::read(prepared.path().join(&file)) else { continue };
        let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
        let mut found = Vec::new();
        spots(&value, "", &mut found);
        let kind = |spot: &Spot| format!("{}{spot:?}", file.rsplit('.').nth(1).unwrap_or_default());
        cases.extend(
            found
                .into_iter()
                .filter(|spot| kinds.insert(kind(spot)))
                .map(|spot| (file.clone(), value.clone(), spot)),
        );
    }
    tally.add("strings", cases.len() as u64);
    for (number, (file, value, spot)) in cases.iter().enumerate() {
        if !extent.tries(number, ONE_IN) {
            continue;
        }
        let place = copied(&prepared, &server);
        let what = format!("{spot:?} of {file}");
        let text = spoiled(value, spot).to_string();
        atomic::write(&place.path().join(file), 0o640, text.as_bytes()).unwrap();
        shows_plainly(&what, &place);
        tally.count("strings tried");
    }
    tally.done();
}

/// Every command that shows the directory.
fn shows_plainly(what: &str, place: &Place) {
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["status"],
        &["status", "--json"],
        &["prune", "--dry-run"],
        &["restore", "--dry-run"],
        &["config", "check"],
    ] {
        speaks_plainly(&format!("{arguments:?}, {what}"), &place.run(arguments));
    }
    looks_plain(what, place.path());
    set_up(place, "log:\n  format: json\n");
    for arguments in [&["run", "--json"][..], &["verify", "--backup", "all"]] {
        speaks_plainly(&format!("{arguments:?} with a log in JSON, {what}"), &place.run(arguments));
    }
    set_up(place, "");
    speaks_plainly(&format!("run, {what}"), &place.run(&["run"]));
    looks_plain(what, place.path());
}

/// The exporter's output.
fn looks_plain(what: &str, directory: &Path) {
    let exporter = Exporter::start(directory, &[]);
    for path in ["/metrics", "/", "/api/v1/status"] {
        is_plain(&format!("{path}, {what}"), &exporter.get(path).text());
    }
    is_plain(&format!("the exporter's log, {what}"), &exporter.log().join("\n"));
}

#[test]
fn no_string_in_any_answer_of_qdrants_comes_out_as_it_is() {
    let extent = Extent::asked_for();
    let mut tally = Tally::of("foreign text in answers");
    let first = server();
    let address = first.address();
    let snapshot = e2e::Nodes::at(&[first.url()]).ask(0, Method::POST, "/collections/docs/snapshots", None);
    let list = "/collections/docs/snapshots";
    let answers = [
        (Endpoint::Root, get_json(address, "/")),
        (Endpoint::Cluster, get_json(address, "/cluster")),
        (Endpoint::Collections, get_json(address, "/collections")),
        (Endpoint::CollectionInfo, get_json(address, "/collections/docs")),
        (Endpoint::CollectionCluster, get_json(address, "/collections/docs/cluster")),
        (Endpoint::Aliases, get_json(address, "/aliases")),
        (Endpoint::CollectionAliases, get_json(address, "/collections/docs/aliases")),
        (Endpoint::CreateSnapshot, serde_json::json!({ "result": snapshot, "status": "ok", "time": 0.0 })),
        (Endpoint::ListSnapshots, get_json(address, list)),
    ];
    let mut number = 0;
    for (endpoint, answer) in answers {
        let mut found = Vec::new();
        spots(&answer, "", &mut found);
        for spot in found {
            number += 1;
            if !extent.tries(number, ONE_IN) {
                continue;
            }
            let server = server();
            let answer = Answer::status(200).json(&spoiled(&answer, &spot));
            server.faults(|faults| faults.add(Fault::answer(answer).on(endpoint)));
            let place = Place::initialised(&server.url());
            let what = format!("{spot:?} of {endpoint:?}");
            for arguments in
                [&["backup"][..], &["config", "check"], &["list"], &["status"], &["list", "--json"]]
            {
                speaks_plainly(&format!("{arguments:?}, {what}"), &place.run(arguments));
            }
            is_plain(&what, &fs::read_to_string(place.layout().status_file()).unwrap_or_default());
            looks_plain(&what, place.path());
            tally.count("strings tried");
        }
    }
    tally.done();
}

#[test]
fn nothing_that_restic_says_comes_out_as_it_is() {
    let server = server();
    let place = Place::initialised(&server.url());
    place.run(&["backup"]).success();
    let message =
        serde_json::json!({ "message_type": "error", "error": { "message": FOREIGN }, "item": FOREIGN });
    let exits = serde_json::json!({ "message_type": "exit_error", "code": 1, "message": FOREIGN });
    let listed = serde_json::json!([{ "id": FOREIGN, "short_id": FOREIGN, "time": FOREIGN, "tags": [FOREIGN], "hostname": FOREIGN, "paths": [FOREIGN] }]);
    let nas = Nas::directory(&place, "nas");
    for (out, err) in [
        (String::new(), FOREIGN.to_owned()),
        (FOREIGN.to_owned(), FOREIGN.to_owned()),
        (message.to_string(), exits.to_string()),
        (listed.to_string(), message.to_string()),
    ] {
        for code in if Extent::asked_for() == Extent::Full { &[0, 1, 10, 12][..] } else { &[0, 1] } {
            atomic::write(&place.beside("out"), 0o644, out.as_bytes()).unwrap();
            atomic::write(&place.beside("err"), 0o644, err.as_bytes()).unwrap();
            let program = place.beside("restic");
            let beside = place.beside("").display().to_string();
            let script = format!(
                "#!/bin/sh\ncase \"$*\" in *--stdin*) cat >/dev/null;; esac\ncat {beside}out\ncat {beside}err >&2\nexit {code}\n"
            );
            atomic::write(&program, 0o755, script.as_bytes()).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            let entry = nas.entry() + &format!("    restic: {}\n", program.display());
            place.configure(&format!("qdrant:\n  retries: 0\noffsite:\n{entry}"));
            for arguments in [
                &["offsite", "copy"][..],
                &["offsite", "list", "nas"],
                &["offsite", "check", "nas"],
                &["run"],
                &["config", "check"],
                &["status"],
            ] {
                let what =
                    format!("{arguments:?} where restic says {out:?} and {err:?} and exits with {code}");
                speaks_plainly(&what, &place.run(arguments));
            }
            is_plain("status.json", &fs::read_to_string(place.layout().status_file()).unwrap());
            looks_plain("what restic said", place.path());
        }
    }
}
