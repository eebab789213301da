//! Files written by version 0.1.0 (tests/data/version-0.1.0): this version reads and continues them, and 0.1.0 can
//! still read what this version writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::programs::program;
use e2e::qdrant_stand_in::{Setup, StandIn};
use e2e::scene::generated;
use e2e::{Place, Ran};
use serde_json::Value;

use crate::traces::json;

/// The server that 0.1.0 backed up.
const PEER_ID: u64 = 8_372_720_498_335_175;
const HELD: &str = "2026-11-29-17-17-39";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/version-0.1.0").join(name)
}

/// That server, and a place with the backups, status and configuration of 0.1.0.
fn scene() -> (StandIn, Place) {
    let server =
        StandIn::start(Setup::empty().collection(generated("docs")).collection(generated("vectors")));
    server.set_peer_id(PEER_ID);
    let place = Place::new(&server.url());
    let copied = Command::new("cp").arg("-r").arg(data("backups")).arg(place.path()).status().unwrap();
    assert!(copied.success());
    let yaml = fs::read_to_string(data("backup.yaml")).unwrap();
    let included = place.beside("backup.yaml").display().to_string();
    assert!(yaml.contains("/etc/qdrant/*.yaml"));
    place.configure(&yaml.replace("/etc/qdrant/*.yaml", &included));
    (server, place)
}

fn listed(place: &Place) -> Vec<Value> {
    let list: Value = serde_json::from_str(&place.run(&["list", "--json"]).success().stdout).unwrap();
    assert_eq!(list["unreadable"], Value::Array(Vec::new()));
    list["backups"].as_array().unwrap().clone()
}

/// Violations of the old schema by a file.
#[track_caller]
fn assert_old_version_reads(schema: &str, file: &Path) {
    let validator = jsonschema::validator_for(&json(&data("schema").join(schema))).unwrap();
    let value = json(file);
    let problems: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert_eq!(problems, Vec::<String>::new(), "{}", file.display());
    assert_eq!(value["schema_version"], 1);
    assert!(value.get("requires").is_none_or(|requires| requires == &Value::Array(Vec::new())), "{value}");
}

#[test]
fn every_backup_of_the_old_version_is_listed_verified_and_restored() {
    let (_server, place) = scene();
    let backups = listed(&place);
    assert_eq!(backups.len(), 6);
    assert!(backups.iter().all(|backup| backup["condition"] == "good"), "{backups:?}");
    assert_eq!(place.prove(), 6);
    place.run(&["verify", "--backup", "all"]).success().says(&["6 backups checked (6 passed)"]);

    let new_server = StandIn::start(Setup::empty());
    let restore = ["restore", "--collection", "docs", "--backup", HELD, "--to", &new_server.url()];
    place.run(&restore).success();
    assert_eq!(
        place.status().operations.len(),
        5,
        "what was known of backup, verify, prune and drill, and the restore"
    );
}

#[test]
fn the_old_configuration_and_status_are_continued_and_nothing_is_lost() {
    let (server, place) = scene();
    let before = place.status();
    place.run(&["run"]).success().never_says("WARN");
    let (after, backups) = (place.status(), listed(&place));
    assert_eq!(backups.len(), 9, "{backups:?}");
    assert!(
        backups.iter().any(|backup| backup["backup_id"] == HELD && !backup["held"].is_null()),
        "{backups:?}"
    );
    for (operation, history) in &before.operations {
        let runs = after.operations[operation].runs_total;
        assert!(runs >= history.runs_total, "{operation:?}: {runs}");
    }
    assert_eq!(place.prove(), 9);
    assert_eq!(server.all_snapshots(), Vec::<String>::new());
}

#[test]
fn the_exporter_reads_what_the_old_version_left() {
    let (_server, place) = scene();
    let mut command = Command::new(program("qdrant-backup-exporter"));
    let metrics = Ran::of(command.args(["--once", "--backup-dir"]).arg(place.path())).success().stdout;
    assert!(metrics.lines().any(|line| line == "qdrant_backup_up 1"), "{metrics}");
    assert!(
        metrics.contains("qdrant_backup_collection_last_success_timestamp_seconds{collection=\"docs\"}"),
        "{metrics}"
    );
}

#[test]
fn the_old_version_reads_what_this_one_writes() {
    let (_server, place) = scene();
    place.run(&["run"]).success();
    place.run(&["drill", "--on-source"]).success();
    assert_old_version_reads("status.schema.json", &place.layout().status_file());
    assert!(!place.layout().status_journal().exists(), "the old version does not know the journal");
    assert_old_version_reads("repository.schema.json", &place.path().join("repository.json"));
    let mut read = 0;
    for file in place.files() {
        let kinds = [
            (".manifest.json", "manifest.schema.json"),
            (".verification.json", "verification.schema.json"),
            (".hold.json", "hold.schema.json"),
        ];
        let Some((_, schema)) = kinds.iter().find(|(suffix, _)| file.ends_with(suffix)) else { continue };
        assert_old_version_reads(schema, &place.path().join(&file));
        read += 1;
    }
    assert_eq!(read, 9 + 9 + 1, "manifests, verification records, the hold");
}
