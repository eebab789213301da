//! The status file and the other JSON files: truncated, from a newer version, after deaths and clock faults, and
//! valid by schema.

use std::fs;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use e2e::users::is_root;
use e2e::{Place, Ran, Scene};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::{CollectionName, Status};
use serde_json::{Value, json};

use crate::traces::{edit, json as read, log_lines, none, put, schema_problems, server_of, tree};
use e2e::disks::{Nobody, chmod};

fn vectors() -> CollectionName {
    CollectionName::new("vectors").unwrap()
}

/// The status files that were moved away.
fn aside(place: &Place) -> Vec<String> {
    place.files().into_iter().filter(|name| name.starts_with("status.json.unreadable-")).collect()
}

/// Checks that the status reports a success now, and the earlier backup that only the manifests recorded.
#[track_caller]
fn mended(place: &Place, ran: &Ran, problem: &str) {
    let warning = log_lines(ran).into_iter().find(|line| line.contains(problem)).expect("a warning");
    assert!(warning.starts_with("WARN: "), "{warning}");
    assert!(warning.contains("moved aside to") && warning.contains("taken from the manifests"), "{warning}");
    let status = place.status();
    assert_eq!(status.operations[&Operation::Backup].last_outcome, Some(Outcome::Success));
    assert!(status.last_run.unwrap().warnings.iter().any(|line| line.contains("moved aside")), "reported");
    assert_eq!(place.prove(), place.backups("vectors").len());
}

#[test]
fn an_unreadable_status_is_moved_aside_and_last_successes_come_from_the_manifests() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    let first = place.backups("vectors")[0].manifest.backup_id;
    let file = place.path().join("status.json");
    let good = fs::read_to_string(&file).unwrap();
    let future = good.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1);
    let torn = good[..good.len() / 2].to_owned();
    let cases = [
        (torn.as_str(), "not a valid status file"),
        ("", "not a valid status file"),
        (future.as_str(), "cannot read schema_version 2"),
    ];
    for (number, (contents, problem)) in cases.into_iter().enumerate() {
        put(&file, contents);
        // A command that only reads moves nothing.
        place.run(&["status"]).code(1).says(&[
            "status.json",
            problem,
            "the next `qdrant-backup backup` repairs it",
        ]);
        assert_eq!(aside(&place).len(), number);

        // A run without a backup shows what the manifests contain.
        let ran = place.run(&["backup", "--collection", "no-such"]).code(1);
        assert!(ran.stderr.contains("moved aside to"), "{}", ran.stderr);
        let entry = place.status().collections.remove(&vectors()).expect("known from its manifest");
        assert_eq!(entry.last_backup_id, Some(first));
        assert!(entry.last_success_at.is_some());
        assert_eq!(aside(&place).len(), number + 1);
        let kept =
            aside(&place).iter().any(|name| fs::read_to_string(place.path().join(name)).unwrap() == contents);
        assert!(kept, "the file is kept as it was");
    }
    put(&file, "{");
    let ran = place.run(&["backup"]).success();
    mended(&place, &ran, "not a valid status file");
}

#[test]
fn a_status_that_belongs_to_somebody_else_does_not_stop_the_backups() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    let nobody = Nobody::new(&place);
    // The state after one `sudo qdrant-backup backup`, with a foreign group.
    place.run(&["backup"]).success();
    nobody.owns(place.path());
    let file = place.path().join("status.json");
    if is_root() {
        std::os::unix::fs::chown(&file, Some(0), Some(0)).unwrap();
        chmod(&file, 0o640);
    } else {
        chmod(&file, 0);
    }

    let ran = Ran::of(&mut nobody.runs(&place.command(&["backup"]))).success();

    mended(&place, &ran, "status.json: cannot be read: Permission denied");
    assert_eq!(place.prove(), 2);
    assert_eq!(aside(&place).len(), 1);
}

#[test]
fn the_warnings_of_another_command_are_not_those_of_the_last_run() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    let torn = place.path().join("collections/vectors/vectors-2020-01-01-00-00-00.manifest.json");
    put(&torn, "{");
    place.configure("retention: {keep_last: 9}\n");
    place.run(&["prune"]).says(&["WARN", "2020-01-01"]);

    let shown = place.run(&["status"]).stdout;
    let at = |text: &str| shown.find(text).unwrap_or_else(|| panic!("{text}: {shown}"));
    assert!(at("Last run: success") < at("Last command: `prune`"), "{shown}");
    assert!(at("Last command: `prune`") < at("  warning: "), "{shown}");
}

#[test]
fn a_run_that_died_is_told_of_by_the_next_one() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    edit(&place.path().join("status.json"), |status| {
        status["current_run"] = json!({
            "run_id": "0", "command": "backup", "pid": std::process::id(), "operation": "backup",
            "stage": "download", "collection": "vectors",
            "started_at": "2025-07-15T14:30:00Z", "heartbeat_at": "2025-07-15T14:31:00Z",
        });
    });
    // The recorded process exists, but only the lock counts, and nobody holds it.
    let status = place.run(&["status"]).success();
    assert!(
        status.stdout.contains(
            "`backup` DIED: it started at 2025-07-15 14:30:00 UTC, and no process holds the lock; stage download"
        ),
        "{}",
        status.stdout
    );

    let says = [
        "WARN: ",
        "the run that started at 2025-07-15 14:30:00 UTC",
        "died",
        "in stage download of \"vectors\"",
    ];
    place.run(&["backup"]).success().says(&says);

    let status = place.status();
    assert_eq!(status.current_run, None);
    let warnings = status.last_run.unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("died in stage")), "{warnings:?}");
    let again = place.run(&["backup"]).success();
    assert!(!again.stderr.contains("died"), "it is reported once: {}", again.stderr);
}

/// Changes the start time of the only backup of `vectors`, as if the clock had been wrong.
fn redate(place: &Place, at: DateTime<Utc>) -> BackupId {
    let directory = place.path().join("collections/vectors");
    let old = place.backups("vectors")[0].manifest.backup_id;
    let new = BackupId::at(at);
    let name = |id: BackupId, suffix: &str| format!("vectors-{id}{suffix}");
    edit(&directory.join(name(old, ".manifest.json")), |manifest| {
        manifest["backup_id"] = json!(new);
        manifest["started_at"] = json!(at);
        manifest["archives"][0]["file_name"] = json!(name(new, ".snapshot.gz"));
    });
    for suffix in [".manifest.json", ".snapshot.gz"] {
        let from = directory.join(name(old, suffix));
        qdrant_backup_shared::atomic::rename_new(&from, &directory.join(name(new, suffix))).unwrap();
    }
    new
}

#[test]
fn a_clock_before_the_newest_backup_is_warned_of_and_nothing_is_replaced() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    let now = place.backups("vectors")[0].manifest.started_at;
    let future = redate(&place, now + TimeDelta::days(400));
    let before = tree(&place.path().join("collections"));
    let status = || {
        let mut command = place.command(&["status"]);
        Ran::of(command.env("BACKUP_SCHEDULE", "0 * * * *"))
    };
    // A backup from the future does not prove that there is a recent one.
    let unknown = status().code(5).stdout;
    assert!(unknown.contains("in the future") && unknown.contains("AGE UNKNOWN"), "{unknown}");

    let says = ["WARN: ", "clock says", "before the newest backup", &future.to_string(), "check the clock"];
    place.run(&["backup"]).success().says(&says);

    let after = tree(&place.path().join("collections"));
    for (name, contents) in &before {
        assert_eq!(&after[name], contents, "{name}");
    }
    assert_eq!(after.len(), before.len() + 2, "one more archive, one more manifest");
    assert_eq!(place.prove(), 2);
    // The new backup does, and the other one remains listed.
    let fresh = status().success().stdout;
    assert!(fresh.contains(&format!("{future} is dated in the future and ignored")), "{fresh}");

    // The same backup is the latest everywhere.
    let fresh = place.status().collections[&vectors()].last_backup_id.unwrap();
    let ignored =
        format!("Backup {future} of vectors is dated in the future and ignored; the latest is {fresh}");
    let plan = ["restore", "-c", "vectors", "--dry-run", "--force"];
    let ran = place.run(&plan).says(&[&ignored]);
    assert!(
        ran.stdout.contains(&fresh.to_string()) && !ran.stdout.contains(&future.to_string()),
        "{}",
        ran.stdout
    );
    let output = place.beside("exported");
    place.run(&["export", "-c", "vectors", "-o", &output.display().to_string()]).says(&[&ignored]);
    place.run(&["drill", "-c", "vectors", "--backup", "latest", "--on-source"]).says(&[&ignored]);
    place.run(&["verify", "-c", "vectors", "--backup", "latest"]).says(&[&ignored]);
    let by_id =
        place.run(&["restore", "-c", "vectors", "--dry-run", "--force", "--backup", &future.to_string()]);
    assert!(
        by_id.stdout.contains("dated in the future, ") && !by_id.stdout.contains("old"),
        "{}",
        by_id.stdout
    );
}

#[test]
fn a_second_that_is_taken_gives_the_next_free_one() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    place.run(&["backup"]).success();
    let first = place.backups("vectors")[0].manifest.clone();
    let directory = place.path().join("collections/vectors");
    let last_taken = TimeDelta::minutes(10);
    let mut id = first.backup_id.next().unwrap();
    while id.time() <= first.started_at + last_taken {
        // In turn, the second is taken by an archive, a manifest and a record.
        let suffix =
            [".snapshot", ".manifest.json", ".verification.json"][(id.time().timestamp() % 3) as usize];
        put(&directory.join(format!("vectors-{id}{suffix}")), "taken");
        id = id.next().unwrap();
    }
    let before = tree(&directory);

    place.run(&["backup"]).success();

    let backups = place.catalog().collections.remove(&vectors()).unwrap();
    assert_eq!(backups.len(), 2);
    let second = &backups[1];
    assert_eq!(second.backup_id, id, "the first second that no file uses");
    assert!(second.started_at < first.started_at + last_taken, "the age is still that of the data");
    let after = tree(&directory);
    for (name, contents) in before {
        assert_eq!(after[&name], contents, "{name}");
    }
}

#[test]
fn two_backups_within_a_second_are_two_backups() {
    let Scene { server: _server, place } = Scene::on(server_of(1));
    for _ in 0..4 {
        place.run(&["backup"]).success();
    }
    assert_eq!(place.prove(), 4);
    let ids: Vec<BackupId> =
        place.backups("vectors").iter().map(|backup| backup.manifest.backup_id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
}

#[test]
fn every_file_that_runs_write_is_valid_by_its_schema() {
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    let report = place.run(&["backup", "--json", "--keep-server-snapshots"]).success();
    let report: Value = serde_json::from_str(&report.stdout).expect("only JSON is on stdout");
    assert_eq!(schema_problems("run_report.schema.json", &report), none());
    assert_eq!(report["operations"][0]["collections"][0]["collection"], "vectors");
    // A collection that is gone from the server.
    fs::create_dir(place.path().join("collections/no-such")).unwrap();
    let partial = place.run(&["backup", "--json", "-c", "vectors", "-c", "no-such"]).code(3);
    let partial: Value = serde_json::from_str(&partial.stdout).expect("a report");
    assert_eq!(schema_problems("run_report.schema.json", &partial), none());
    assert_eq!(partial["outcome"], "partial");
    let lock = fs::File::open(place.path().join(".lock")).unwrap();
    lock.try_lock().expect("no process holds it");
    place.run(&["backup"]).code(75);
    drop(lock);

    let mut seen = Vec::new();
    for name in place.files().into_iter().filter(|name| name.ends_with(".json")) {
        let file = name.rsplit('/').next().unwrap();
        let schema = match file {
            "repository.json" | "status.json" | "last_skipped.json" => file.replace(".json", ".schema.json"),
            _ if file.ends_with(".manifest.json") => "manifest.schema.json".to_owned(),
            other => panic!("what is {other}?"),
        };
        let value = read(&place.path().join(&name));
        assert_eq!(schema_problems(&schema, &value), none(), "{name}");
        assert_eq!(value["schema_version"], 1, "{name}");
        assert!(value.as_object().unwrap().keys().next().is_some());
        let text = fs::read_to_string(place.path().join(&name)).unwrap();
        assert!(
            text.trim_start_matches(['{', '\n', ' ']).starts_with("\"schema_version\""),
            "{name}: {text:.60}"
        );
        // The schema is strict enough to detect a missing field.
        let mut lacking = value.clone();
        lacking.as_object_mut().unwrap().remove("schema_version");
        assert_ne!(schema_problems(&schema, &lacking), none(), "{schema} notices nothing");
        seen.push(schema);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(
        seen,
        ["last_skipped.schema.json", "manifest.schema.json", "repository.schema.json", "status.schema.json"]
    );
    assert_eq!(place.temporary(), none());
}

#[test]
fn the_schemas_that_ship_are_those_of_the_types() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    let mut names = Vec::new();
    for (name, generated) in qdrant_backup_shared::schema::all() {
        let shipped = fs::read_to_string(directory.join(name)).unwrap_or_default();
        assert!(shipped == generated, "{name} has drifted: run `cargo xtask schema`");
        names.push(name.to_owned());
    }
    let mut shipped: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        // The exporter's answer is not a file. A separate test checks its schema.
        .filter(|name| !name.starts_with("exporter_"))
        .collect();
    shipped.sort();
    names.sort();
    assert_eq!(shipped, names);
}

#[test]
fn history_survives_failures_and_counts_them() {
    let server = server_of(64 << 10);
    let mut place = Place::initialised(&server.url());
    place.run(&["backup"]).success();
    let good = place.status();
    let url = server.url();
    drop(server);
    for failures in 1..=2 {
        place.run(&["backup"]).code(1).says(&["Backup failed: nothing was backed up"]);
        let status: Status = place.status();
        let history = &status.operations[&Operation::Backup];
        assert_eq!(history.consecutive_failures, failures);
        assert_eq!(history.last_success_at, good.operations[&Operation::Backup].last_success_at);
        assert_eq!(
            status.collections[&vectors()].last_success_at,
            good.collections[&vectors()].last_success_at
        );
        assert_eq!(status.collections[&vectors()].on_server, Some(true));
        assert_eq!(status.current_run, None);
    }
    let server = server_of(64 << 10);
    place.set_url(&server.url());
    assert_ne!(server.url(), url);
    place.run(&["backup"]).success();
    let history = &place.status().operations[&Operation::Backup];
    assert_eq!((history.consecutive_failures, history.failures_total, history.runs_total), (0, 2, 4));
}
