//! Backups whose condition is unknown, and directories reached through links.

#![expect(clippy::disallowed_methods, reason = "files of a test need not survive a power failure")]

use std::fs;
use std::os::unix::fs::symlink;

use e2e::qdrant_stand_in::StandIn;
use e2e::{Exporter, Place, Scene};
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::catalog::Condition;
use serde_json::Value;

const COLLECTION: &str = "minilm_general";
const KEEP_ONE: &str = "qdrant: {retries: 0}\nretention: {keep_last: 1}\n";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// The entry of the newest backup of [`COLLECTION`] in `list --json`.
fn listed(place: &Place) -> Value {
    let list = json(&place.run(&["list", "--json", "--collection", COLLECTION]).success().stdout);
    list["backups"].as_array().expect("a list").last().expect("a backup").clone()
}

#[test]
fn a_backup_whose_record_cannot_be_read_is_neither_good_nor_deleted_and_can_be_named() {
    let Scene { server: _server, place } = Scene::on(StandIn::sample());
    place.configure(KEEP_ONE);
    for _ in 0..2 {
        place.run(&["backup"]).success();
    }
    place.run(&["verify", "--backup", "all"]).success();
    let ids: Vec<_> = place.backups(COLLECTION).iter().map(|backup| backup.manifest.backup_id).collect();
    let record = place.layout().verification(&CollectionName::new(COLLECTION).expect("a name"), ids[1]);
    fs::write(&record, "{\"schema_version\": 1, \"backup").expect("it can be truncated");

    assert_eq!(listed(&place)["condition"], "unknown");
    assert_eq!(listed(&place)["verified"], Value::Null);
    let status = place.run(&["status"]).success();
    assert!(status.stdout.contains("is NOT KNOWN to be good"), "{}", status.stdout);
    let exporter = Exporter::start(place.path(), &[]);
    let metrics = exporter.get("/metrics").text();
    for (metric, value) in [
        ("qdrant_backup_unreadable_files".to_owned(), "1"),
        (format!("qdrant_backup_backups{{collection=\"{COLLECTION}\"}}"), "1"),
    ] {
        assert!(metrics.contains(&format!("\n{metric} {value}\n")), "{metric}: {metrics}");
    }

    let planned = |which: &str| {
        let arguments =
            ["restore", "-c", COLLECTION, "--as", "copy", "--backup", which, "--dry-run", "--json"];
        json(&place.run(&arguments).success().stdout)["plans"][0]["backup_id"].clone()
    };
    assert_eq!(planned("latest"), ids[0].to_string(), "the newest that is known to be good");
    assert_eq!(planned(&ids[1].to_string()), ids[1].to_string());
    place
        .run(&["restore", "-c", COLLECTION, "--as", "copy", "--backup", &ids[1].to_string()])
        .success()
        .says(&["WARN", "not known to be good"]);

    place.run(&["prune", "--yes"]).success();
    let kept = place.backups(COLLECTION);
    assert_eq!(kept.len(), 2, "neither the newest that is good nor the one that may be");

    let shallow = place.run(&["verify", "-c", COLLECTION, "--level", "checksum"]).code(1);
    shallow.says(&["ERROR", "`qdrant-backup verify --level archive`"]);
    assert_eq!(place.backups(COLLECTION)[1].condition(), Condition::Unknown);
    place.run(&["verify", "-c", COLLECTION]).success().says(&["WARN", "moved aside"]);
    assert_eq!(listed(&place)["condition"], "good");
}

#[test]
fn a_collection_on_another_disk_is_backed_up_there_and_strangers_files_stay() {
    let Scene { server: _server, place } = Scene::on(StandIn::sample());
    place.run(&["backup"]).success();
    let collections = place.path().join("collections");
    let elsewhere = place.beside("elsewhere");
    fs::rename(collections.join(COLLECTION), &elsewhere).expect("it can be moved");
    symlink(&elsewhere, collections.join(COLLECTION)).expect("a link");
    let strangers = elsewhere.join(".draft.odt.tmp");
    let ours = elsewhere.join(format!(".{COLLECTION}-2025-07-15-14-30-00.snapshot.gz.aBcDeF.tmp"));
    for path in [&strangers, &ours] {
        fs::write(path, "half").expect("a file");
    }

    place.run(&["backup"]).success();

    assert!(strangers.exists() && !ours.exists(), "only our own files are removed");
    assert_eq!(place.backups(COLLECTION).len(), 2);
    let exporter = Exporter::start(place.path(), &[]);
    let metrics = exporter.get("/metrics").text();
    let good = format!("\nqdrant_backup_backups{{collection=\"{COLLECTION}\"}} 2\n");
    assert!(metrics.contains(&good) && metrics.contains("\nqdrant_backup_unreadable_files 0\n"), "{metrics}");

    fs::rename(&elsewhere, place.beside("away")).expect("it can be moved");
    place.run(&["list"]).success().says(&["WARN", "is a link to", "does not exist; is the disk mounted?"]);
    let metrics = exporter.get("/metrics").text();
    assert!(metrics.contains("\nqdrant_backup_unreadable_files 1\n"), "{metrics}");
}
