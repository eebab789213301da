//! Restores, refusals, and the state after each failure: nothing of ours stays on the server, and one line explains
//! what happened.

use std::process::Child;
use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{
    Answer, Collection, Content, Effect, Endpoint, Fault, GeneratedSnapshot, Recording, Setup, StandIn,
};
use e2e::{Place, Ran, Running, Scene};
use qdrant_backup_shared::manifest::{Manifest, SizeAndDigest};
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::{CollectionName, FailureKind, Sha256Digest, atomic, json_file};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const GENUINE: [(&str, u64); 4] =
    [("minilm_general", 100), ("mixtral_embeddings", 250), ("empty", 0), ("named-and-sparse", 30)];

fn count(stand_in: &StandIn, collection: &str) -> Option<u64> {
    stand_in.state(|state| Some(state.collections.get(collection)?.points_count()))
}

/// The seed of its points: equal on both sides if the restored points are those of the backup.
fn points(stand_in: &StandIn, collection: &str) -> Vec<Value> {
    stand_in.state(|state| {
        let collection = state.collection_mut(collection);
        (0..collection.points_count())
            .map(|index| collection.points.point(index, &collection.config))
            .collect()
    })
}

/// Checks that no upload of ours is on the server or on record.
#[track_caller]
fn nothing_left(stand_in: &StandIn, place: &Place, collection: &str) {
    assert_eq!(stand_in.snapshot_names(collection), Vec::<String>::new());
    let status = place.status();
    assert_eq!(status.undeleted_snapshots, []);
    assert_eq!(status.current_run, None);
}

/// Replaces a backup's archive by `bytes` and updates its manifest, so that only Qdrant can find the defect.
fn forge(place: &Place, collection: &str, bytes: &[u8]) {
    let name = CollectionName::new(collection).unwrap();
    let mut manifest: Manifest = place.backups(collection).remove(0).manifest;
    let digest = SizeAndDigest {
        size_bytes: bytes.len() as u64,
        sha256: Sha256Digest::from_bytes(Sha256::digest(bytes).into()),
    };
    let archive = &mut manifest.archives[0];
    archive.encoding.clear();
    archive.file_name = archive.file_name.trim_end_matches(".gz").to_owned();
    (archive.snapshot, archive.stored) = (digest, digest);
    let path = place.layout().collection(&name).join(&archive.file_name);
    atomic::write(&path, 0o600, bytes).unwrap();
    json_file::write(&place.layout().manifest(&name, manifest.backup_id), &manifest).unwrap();
}

#[test]
fn every_genuine_snapshot_is_restored_counted_and_leaves_nothing() {
    for (version, compression) in [("1.18.3", "zstd"), ("1.14.1", "gzip")] {
        let Scene { server: source, place } = Scene::on(StandIn::start(Setup::sample_of(version)));
        place.run(&["backup", "--compression", compression]).success();
        let target = StandIn::start(Setup::empty_of(version));
        let ran = place.run(&["restore", "--all", "--to", &target.url()]).success();
        assert!(ran.last_line().contains("Restore succeeded: 4 of 4 collections"), "{}", ran.stderr);
        for (collection, expected) in GENUINE {
            assert_eq!(count(&target, collection), Some(expected), "{collection} of {version}");
            assert_eq!(points(&target, collection), points(&source, collection));
            assert!(ran.stdout.contains(&format!("into          {collection} (new)")), "{}", ran.stdout);
            nothing_left(&target, &place, collection);
        }
        let upload = &target.requests_matching("POST", "/snapshots/upload")[0];
        assert!(upload.path_and_query.contains("?priority=snapshot&checksum="));
        let length: u64 = upload.header("content-length").unwrap().parse().unwrap();
        assert_eq!(length, upload.body_len, "the length was announced");
        let status = place.status();
        assert_eq!(status.operations[&Operation::Restore].last_outcome, Some(Outcome::Success));
        assert!(target.requests_matching("POST", "/aliases").is_empty(), "only with --with-aliases");
    }
}

#[test]
fn restored_points_are_the_same_on_a_real_server_too() {
    let scene = Scene::with_samples();
    scene.backup().success();
    let Scene { server, place } = scene;
    for name in server.collections() {
        let restored = format!("{name}-restored");
        place.run(&["restore", "--collection", name, "--as", &restored]).success();
        assert_eq!(server.points(&restored), server.points(name));
        assert_eq!(server.snapshot_names(&restored), Vec::<String>::new());
        place.run(&["restore", "--collection", name, "--as", &restored]).code(1);
        place.run(&["restore", "--collection", name, "--as", &restored, "--force"]).success();
        assert_eq!(server.points(&restored), server.points(name));
        server.delete(&restored);
    }
}

#[test]
fn a_dry_run_reads_everything_and_changes_nothing() {
    let Scene { server: stand_in, place } = Scene::sample();
    for (collection, _) in GENUINE {
        stand_in.state(|state| state.collections.remove(collection));
    }
    let before = place.files();
    let status = place.status();
    let ran = place.run(&["restore", "--dry-run"]).success();
    assert!(
        ran.last_line().contains("4 of 4 collections can be restored; nothing on the server was changed"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stdout.contains("mixtral_embeddings (new)") && ran.stdout.contains("250 points"),
        "{}",
        ran.stdout
    );
    let requests = stand_in.requests();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(!request.changes_something(), "{} {}", request.method, request.path_and_query);
    }
    assert_eq!(place.files(), before);
    assert_eq!(place.status(), status);

    let name = CollectionName::new("minilm_general").unwrap();
    let archive = place.backups("minilm_general").remove(0).manifest.archives.remove(0);
    let path = place.layout().collection(&name).join(&archive.file_name);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    atomic::write(&path, 0o600, &bytes).unwrap();
    let ran = place.run(&["restore", "--dry-run", "--json"]).code(3);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    let plans = answer["plans"].as_array().unwrap();
    let plan = plans.iter().find(|plan| plan["collection"] == "minilm_general").unwrap();
    assert_eq!(plan["obstacles"][0]["kind"], "archive_corrupt", "{plan}");
    assert_eq!(plans.iter().filter(|plan| plan["obstacles"] == json!([])).count(), 3);
}

#[test]
fn a_dry_run_without_a_server_or_with_a_key_that_is_refused_says_so() {
    let Scene { server: stand_in, mut place } = Scene::sample();
    stand_in.state(|state| state.api_key = Some("other".to_owned()));
    place.run(&["restore", "--dry-run"]).code(1).says(&["denied access"]);
    place.set_url("http://127.0.0.1:1");
    place.run(&["restore", "--dry-run"]).code(1).says(&["cannot reach Qdrant"]);
}

#[test]
fn an_existing_target_is_refused_and_a_target_that_is_an_alias_even_with_force() {
    let Scene { server: stand_in, place } = Scene::sample();
    let ran = place.run(&["restore", "--collection", "minilm_general"]).code(1);
    let line = ran.last_line();
    assert!(
        line.contains("exists (100 points)") && line.contains("\"minilm_general\" is untouched"),
        "{line}"
    );
    let ran =
        place.run(&["restore", "--collection", "mixtral_embeddings", "--as", "prod", "--force"]).code(1);
    assert!(ran.last_line().contains("\"prod\" is an alias of \"mixtral_embeddings\""), "{}", ran.stderr);
    let failure =
        place.status().last_run.unwrap().operations.remove(0).collections.remove(0).failure.unwrap();
    assert_eq!(failure.kind, FailureKind::TargetExists);
    assert!(stand_in.requests().iter().all(|request| !request.changes_something()));
}

#[test]
fn force_backs_the_target_up_first_and_restores_over_it() {
    let Scene { server: stand_in, place } = Scene::sample();
    stand_in.state(|state| {
        let collection = state.collection_mut("minilm_general");
        collection.set_points_count(3);
        // The stand-in identifies the content by the file, so other points need another file.
        collection.content = Content::generated(&GeneratedSnapshot::new(10_000).points_count(3));
        collection.config["hnsw_config"]["m"] = json!(32);
    });
    let id = place.backups("minilm_general")[0].manifest.backup_id.to_string();
    let arguments = ["restore", "--collection", "minilm_general", "--backup", &id, "--force"];
    let ran = place.run(&arguments).success();
    assert!(ran.stdout.contains("hnsw_config.m: 16 in the backup, 32 on the server"), "{}", ran.stdout);
    assert!(ran.stdout.contains("its 3 points are replaced"), "{}", ran.stdout);
    assert_eq!(count(&stand_in, "minilm_general"), Some(100));
    let backups = place.backups("minilm_general");
    assert_eq!(backups.len(), 2);
    assert_eq!(backups[1].manifest.points_count(), Some(3), "the overwritten collection can be restored");
    nothing_left(&stand_in, &place, "minilm_general");
    let run = place.status().last_run.unwrap();
    let operations: Vec<&str> = run.operations.iter().map(|part| part.operation.as_str()).collect();
    assert_eq!((run.command.as_str(), operations), ("restore", vec!["backup", "restore"]));

    place.run(&[&arguments[..], &["--no-safety-backup"]].concat()).success();
    assert_eq!(place.backups("minilm_general").len(), 2);
}

#[test]
fn a_target_that_cannot_be_backed_up_is_not_touched() {
    let Scene { server: stand_in, place } = Scene::sample();
    stand_in.faults(|faults| faults.add(Fault::new(Effect::CreationNoSpace)));
    let ran = place.run(&["restore", "--collection", "minilm_general", "--force"]).code(1);
    let line = ran.last_line();
    assert!(line.contains("could not be backed up first"), "{line}");
    assert!(line.contains("\"minilm_general\" is untouched"), "{line}");
    assert!(stand_in.requests_matching("POST", "/upload").is_empty());
}

#[test]
fn another_server_takes_no_key_of_this_one_and_no_safety_backup() {
    let Scene { server: _source, place } = Scene::on(StandIn::start(Setup::sample().api_key("own-key")));
    let with_key = |arguments: &[&str]| Ran::of(place.command(arguments).env("QDRANT_API_KEY", "own-key"));
    with_key(&["backup"]).success();
    let target = StandIn::start(Setup::sample());
    let to = target.url();
    let arguments = ["restore", "--collection", "minilm_general", "--to", &to, "--force"];
    let ran = with_key(&arguments).code(1);
    assert!(ran.last_line().contains("pass --no-safety-backup"), "{}", ran.stderr);
    with_key(&[&arguments[..], &["--no-safety-backup"]].concat()).success();
    with_key(&["restore", "--collection", "minilm_general", "--to", &to, "--as", "beside"]).success();
    assert_eq!(count(&target, "beside"), Some(100));
    assert!(target.requests().iter().all(|request| request.header("api-key").is_none()));
    assert!(!place.status().source_changed);

    target.state(|state| state.api_key = Some("their-key".to_owned()));
    let file = place.beside("their-key");
    atomic::write(&file, 0o600, b"their-key\n").unwrap();
    let file = file.display().to_string();
    with_key(&[
        "restore",
        "--collection",
        "minilm_general",
        "--to",
        &to,
        "--as",
        "b2",
        "--to-api-key-file",
        &file,
    ])
    .success();
}

#[test]
fn versions_other_than_the_same_and_the_next_minor_one_are_refused_but_not_for_ever() {
    let Scene { server: _source, place } = Scene::sample();
    for (version, code) in [("1.19.0", 0), ("1.20.1", 1), ("1.17.0", 1), ("dev", 1)] {
        let target = StandIn::start(Setup::empty_of(version));
        let arguments = ["restore", "--collection", "minilm_general", "--to", &target.url()];
        let ran = place.run(&arguments).code(code);
        if code != 0 {
            assert!(ran.last_line().contains("--allow-version-skew"), "{}", ran.stderr);
            assert_eq!(count(&target, "minilm_general"), None);
            place.run(&[&arguments[..], &["--allow-version-skew"]].concat()).success();
        }
        assert_eq!(count(&target, "minilm_general"), Some(100));
    }
}

#[test]
fn aliases_are_set_when_asked_for_and_moved_only_by_force() {
    let Scene { server: stand_in, place } = Scene::sample();
    let aside = ["restore", "--collection", "mixtral_embeddings", "--as", "aside", "--with-aliases"];
    let ran = place.run(&aside).code(1);
    assert!(ran.last_line().contains("alias \"prod\" stands for \"mixtral_embeddings\""), "{}", ran.stderr);
    assert_eq!(count(&stand_in, "aside"), None, "detected in advance");
    place.run(&[&aside[..], &["--force"]].concat()).success().says(&["aliases prod"]);
    assert_eq!(stand_in.state(|state| state.aliases["prod"].clone()), "aside");

    let target = StandIn::start(Setup::empty());
    let arguments =
        ["restore", "--collection", "mixtral_embeddings", "--with-aliases", "--to", &target.url()];
    place.run(&arguments).success();
    assert_eq!(target.state(|state| state.aliases["prod"].clone()), "mixtral_embeddings");
}

#[test]
fn damage_that_is_not_to_the_snapshot_keeps_nobody_from_it_and_is_told_by_who_looks_for_damage() {
    let Scene { server: _source, place } = Scene::sample();
    let target = StandIn::start(Setup::empty());
    let backup = place.backups("minilm_general").remove(0);
    let path = backup.archive.clone();
    let mut bytes = std::fs::read(&path).unwrap();
    // The time in the gzip header.
    bytes[4] ^= 1;
    atomic::write(&path, 0o600, &bytes).unwrap();
    let to = ["--collection", "minilm_general", "--to", &target.url()];
    let with = |command: &'static str, more: &[&'static str]| [&[command], &to[..], more].concat();
    place.run(&with("restore", &["--dry-run"])).success();
    place.run(&with("restore", &[])).success();
    assert_eq!(count(&target, "minilm_general"), Some(100));
    let snapshot = place.beside("snapshot");
    place.run(&["export", "-c", "minilm_general", "-o", snapshot.to_str().unwrap()]).success();
    let digest = Sha256::digest(std::fs::read(&snapshot).unwrap());
    assert_eq!(backup.manifest.archives[0].snapshot.sha256.as_bytes()[..], digest[..]);
    place.run(&with("drill", &[])).code(4).says(&["the stored file has checksum"]);
    place.run(&["verify", "--collection", "minilm_general"]).code(4).says(&["archive_checksum"]);
}

#[test]
fn a_restore_that_meets_corruption_puts_it_on_record_and_names_the_backup_to_restore_instead() {
    for compression in ["gzip", "zstd", "none"] {
        let Scene { server: source, place } = Scene::sample();
        place.run(&["backup", "--compression", compression]).success();
        place.run(&["verify"]).success();
        let [good, newest] = <[_; 2]>::try_from(place.backups("minilm_general")).expect("two backups");
        let (good, bad) = (good.manifest.backup_id, newest.manifest.backup_id);
        let path = newest.archive.clone();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0x55);
        atomic::write(&path, 0o600, &bytes).unwrap();

        let restore = ["restore", "--collection", "minilm_general", "--as", "beside"];
        place.run(&restore).code(1).says(&[
            "ERROR",
            "nothing was restored into \"beside\"",
            &format!("backup {bad} is now recorded as failed; restore {good} instead"),
            &format!("`qdrant-backup restore --collection minilm_general --backup {good} --as beside"),
        ]);

        let backups = place.backups("minilm_general");
        assert!(backups[0].is_good() && !backups[1].is_good(), "{compression}");
        assert!(backups[1].verification.as_ref().unwrap().failed());
        let shown = place.run(&["status"]).success().stdout;
        assert!(shown.contains(&format!("newest backup {bad} has FAILED verification")), "{shown}");
        // `latest` now means the good one.
        place.run(&restore).success();
        assert_eq!(count(&source, "beside"), Some(100));
        assert_eq!(points(&source, "beside").len(), 100);
    }
}

#[test]
fn the_only_backup_that_is_corrupt_has_no_other_and_one_that_cannot_be_read_is_not_called_corrupt() {
    let Scene { server: _source, place } = Scene::sample();
    let backup = place.backups("minilm_general").remove(0);
    let path = backup.archive.clone();
    let bytes = std::fs::read(&path).unwrap();
    let restore = [
        "restore",
        "--collection",
        "minilm_general",
        "--as",
        "beside",
        "--backup",
        &backup.manifest.backup_id.to_string(),
    ];

    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &path).unwrap();
    place.run(&restore).code(1).never_says("on record");
    assert!(place.backups("minilm_general")[0].verification.is_none());

    std::fs::remove_file(&path).unwrap();
    let mut corrupt = bytes.clone();
    let middle = bytes.len() / 2;
    corrupt[middle] ^= 0xff;
    atomic::write(&path, 0o600, &corrupt).unwrap();
    place.run(&restore).code(1).says(&["there is no other good backup of \"minilm_general\""]);
    atomic::write(&path, 0o600, &bytes).unwrap();
    place.run(&["verify", "--collection", "minilm_general", "--backup", "all"]).success();
    assert!(place.backups("minilm_general")[0].is_good(), "the disk was the cause");
}

#[test]
fn a_restore_that_restores_nothing_is_a_failure_whatever_its_safety_backup_was() {
    let Scene { server: source, place } = Scene::sample();
    source.faults(|all| all.add(Fault::status(500).on(Endpoint::UploadSnapshot)));

    place.run(&["restore", "--collection", "minilm_general", "--force"]).code(1).says(&["Restore failed"]);

    let run = place.status().last_run.unwrap();
    assert_eq!(run.outcome, Outcome::Failed);
    assert_eq!(run.operations[0].outcome, Outcome::Success, "the safety backup");
    let shown = place.run(&["status"]).stdout;
    assert!(shown.contains("Last restore: failed") && shown.contains("Qdrant answered 500"), "{shown}");
}

#[test]
fn every_recorded_failure_is_one_line_and_what_it_leaves_on_the_server_is_on_record() {
    let no_collection = "nothing was restored|does not exist";
    for (what, expected) in [
        ("garbage", "Malformed tar archive"),
        ("truncated", "failed to unpack"),
        ("no space", "An error occurred processing field: snapshot"),
        ("checksum mismatch", "Checksum mismatch"),
        ("damaged here", "expected"),
    ] {
        let Scene { server: _source, place } = Scene::sample();
        let target = StandIn::start(Setup::empty());
        match what {
            "garbage" => forge(&place, "minilm_general", &[7; 50_000]),
            "truncated" => {
                let genuine =
                    e2e::qdrant_stand_in::GenuineSnapshot::find("1.18.3", "minilm_general.snapshot");
                let bytes = genuine.unwrap().read().unwrap();
                forge(&place, "minilm_general", &bytes[..bytes.len() / 2]);
            }
            "no space" => target.faults(|faults| faults.add(Fault::new(Effect::UploadNoSpace))),
            "checksum mismatch" => {
                let recorded = Recording::read("upload-checksum-mismatch").unwrap();
                let body: Value = serde_json::from_str(&recorded.body).unwrap();
                let answer = Answer::status(recorded.status).json(&body);
                target.faults(|faults| faults.add(Fault::answer(answer).on(Endpoint::UploadSnapshot)));
            }
            _ => {
                forge(&place, "minilm_general", &[7; 50_000]);
                let path = place.newest("minilm_general").archive;
                atomic::write(&path, 0o600, &[8; 50_000]).unwrap();
            }
        }
        let ran = place.run(&["restore", "--collection", "minilm_general", "--to", &target.url()]).code(1);
        let line = ran.last_line();
        assert!(line.contains(expected), "{what}: {line}");
        assert!(no_collection.split('|').any(|words| line.contains(words)), "{what}: {line}");
        assert_eq!(count(&target, "minilm_general"), None, "{what}");
        // The uploaded file can be deleted only if the collection exists, and the program does not create one for
        // that.
        let kept = matches!(what, "garbage" | "truncated");
        let left: Vec<String> =
            place.status().undeleted_snapshots.into_iter().map(|snapshot| snapshot.name).collect();
        assert_eq!(
            (left.len(), &left),
            (usize::from(kept), &target.snapshot_names("minilm_general")),
            "{what}"
        );
        assert!(target.requests_matching("PUT", "").is_empty(), "{what}");
    }
}

#[test]
fn a_failure_over_an_existing_collection_says_not_to_use_it() {
    let Scene { server: stand_in, place } = Scene::sample();
    forge(&place, "minilm_general", &[7; 50_000]);
    let id = place.backups("minilm_general")[0].manifest.backup_id.to_string();
    let ran = place
        .run(&["restore", "--collection", "minilm_general", "--backup", &id, "--force", "--no-safety-backup"])
        .code(1);
    let line = ran.last_line();
    assert!(line.contains("\"minilm_general\" may be PARTLY RESTORED: do not use it"), "{line}");
    assert!(line.contains(&format!("--backup {id} --force --no-safety-backup --config ")), "{line}");
    nothing_left(&stand_in, &place, "minilm_general");
}

#[test]
fn one_collection_that_fails_does_not_stop_the_others() {
    let Scene { server: _source, place } = Scene::sample();
    forge(&place, "empty", &[7; 5_000]);
    let target = StandIn::start(Setup::empty());
    let ran = place.run(&["restore", "--all", "--to", &target.url()]).code(3);
    let line = ran.last_line();
    assert!(line.contains("Restore partial: 3 of 4 collections") && line.contains("empty: "), "{line}");
    assert_eq!(count(&target, "named-and-sparse"), Some(30));
}

#[test]
fn dead_replicas_are_waited_for_but_not_for_ever() {
    let Scene { server: _source, place } = Scene::sample();
    let target = StandIn::start(Setup::empty().fault(Fault::new(Effect::ReplicasDeadForPolls(3))));
    let arguments = ["restore", "--collection", "minilm_general", "--to", &target.url()];
    place.run(&arguments).success();
    assert!(target.requests_matching("GET", "/collections/minilm_general/cluster").len() >= 4);

    place.configure("qdrant:\n  retries: 0\nrestore:\n  settle_timeout: 1s\n");
    let target = StandIn::start(Setup::empty().fault(Fault::new(Effect::ReplicasDeadForPolls(1_000_000))));
    let ran = place.run(&["restore", "--collection", "minilm_general", "--to", &target.url()]).code(1);
    let line = ran.last_line();
    assert!(line.contains("is not ready after 1s: shard 0 is Dead"), "{line}");
    assert!(line.contains("do not use it"), "{line}");
    nothing_left(&target, &place, "minilm_general");
}

#[test]
fn a_restored_collection_that_lacks_most_points_is_a_failure() {
    let Scene { server: _source, place } = Scene::sample();
    let target = StandIn::start(Setup::empty().fault(Fault::new(Effect::RestoredLacksPoints(60))));
    let ran = place.run(&["restore", "--collection", "minilm_general", "--to", &target.url()]).code(1);
    let line = ran.last_line();
    assert!(
        line.contains("only 40 points were restored, but there were 100 when the backup was made"),
        "{line}"
    );
    assert!(line.contains("do not use it"), "{line}");
    let failure =
        place.status().last_run.unwrap().operations.remove(0).collections.remove(0).failure.unwrap();
    assert_eq!(failure.kind, FailureKind::RestoreMismatch);
    nothing_left(&target, &place, "minilm_general");
}

#[test]
fn a_standstill_and_a_broken_connection_change_nothing() {
    let Scene { server: _source, place } = Scene::sample();
    place.configure("qdrant:\n  retries: 0\n  stall_timeout: 1s\n  create_timeout: 1s\n");
    let target = StandIn::start(Setup::empty().fault(Fault::hang_up().on(Endpoint::UploadSnapshot)));
    let ran = place.run(&["restore", "--collection", "minilm_general", "--to", &target.url()]).code(1);
    assert!(ran.last_line().contains("connection to Qdrant broke"), "{}", ran.stderr);
    assert_eq!(count(&target, "minilm_general"), None);

    // More than the buffers in between can hold, to a server that never reads.
    let big = Setup::empty().collection(Collection::generated("big", GeneratedSnapshot::new(64 << 20)));
    let Scene { server: _source, place } = Scene::on(StandIn::start(big));
    place.configure("qdrant:\n  retries: 0\n  stall_timeout: 1s\nbackup:\n  compression: none\n");
    place.run(&["backup"]).success();
    let target =
        StandIn::start(Setup::empty().fault(Fault::new(Effect::NeverAnswer).on(Endpoint::UploadSnapshot)));
    let ran = place.run(&["restore", "--all", "--to", &target.url()]).code(1);
    let line = ran.last_line();
    assert!(line.contains("no data moved for 1s") && line.contains("\"big\" does not exist"), "{line}");
    assert_eq!(place.status().undeleted_snapshots, []);
}

#[test]
fn an_unanswered_upload_is_remembered_and_cleared_by_the_next_run() {
    let Scene { server: stand_in, place } = Scene::sample();
    let id = place.backups("minilm_general")[0].manifest.backup_id.to_string();
    place.configure("qdrant:\n  retries: 0\n  create_timeout: 1s\n");
    // The server accepts and restores the upload, but a proxy times out before the answer.
    let arguments =
        ["restore", "--collection", "minilm_general", "--backup", &id, "--force", "--no-safety-backup"];
    stand_in.faults(|faults| faults.add(Fault::status(504).on(Endpoint::UploadSnapshot)));
    let ran = place.run(&arguments).code(1);
    assert!(
        ran.last_line().contains("the server may still be restoring \"minilm_general\""),
        "{}",
        ran.stderr
    );
    let left = place.status().undeleted_snapshots.remove(0);
    stand_in.faults(|faults| faults.clear());
    stand_in.state(|state| state.store(0, "minilm_general", &left.name, Content::bytes(vec![1; 10]), None));
    place.run(&["backup", "--collection", "empty"]).success();
    nothing_left(&stand_in, &place, "minilm_general");
}

#[test]
fn what_was_left_on_another_server_is_removed_by_the_next_restore_to_it() {
    let Scene { server: _source, place } = Scene::sample();
    let target =
        StandIn::start(Setup::empty().fault(Fault::status(504).on(Endpoint::UploadSnapshot).first(1)));
    let arguments = ["restore", "--collection", "minilm_general", "--to", &target.url()];
    place.run(&arguments).code(1);
    let left = place.status().undeleted_snapshots.remove(0);
    target.state(|state| state.store(0, "minilm_general", &left.name, Content::bytes(vec![1; 10]), None));
    target.state(|state| {
        state.add_collection(Collection::created("minilm_general", &json!({ "vectors": {} })))
    });
    place.run(&["restore", "--collection", "empty", "--to", &target.url()]).success();
    nothing_left(&target, &place, "minilm_general");
}

#[test]
fn an_interrupted_upload_leaves_the_target_as_it_was() {
    let big = Setup::empty().collection(Collection::generated("big", GeneratedSnapshot::new(64 << 20)));
    let Scene { server: _source, place } = Scene::on(StandIn::start(big));
    place.run(&["backup"]).success();
    let target =
        StandIn::start(Setup::empty().fault(Fault::new(Effect::NeverAnswer).on(Endpoint::UploadSnapshot)));
    let child = place.command(&["restore", "--all", "--to", &target.url()]).spawn().unwrap();
    wait_for(|| !target.requests_matching("POST", "/upload").is_empty());
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    let line = stderr.lines().last().unwrap();
    assert!(line.contains("interrupted by a signal; \"big\" does not exist; to try again:"), "{line}");
    assert_eq!(place.status().operations[&Operation::Restore].last_outcome, Some(Outcome::Interrupted));
    nothing_left(&target, &place, "big");
}

#[test]
fn what_is_meant_must_be_said_and_must_exist() {
    let Scene { server: _stand_in, place } = Scene::sample();
    place.run(&["restore"]).code(2).says(&["--all", "--collection", "--files", "--points"]);
    place.run(&["restore", "--all", "--as", "x"]).code(2);
    place.run(&["restore", "--all", "--backup", "2025-07-15-14-30-00"]).code(2);
    let ran = place.run(&["restore", "--collection", "nope"]).code(1);
    assert!(ran.last_line().contains("there is no collection \"nope\""), "{}", ran.stderr);
    let ran = place.run(&["restore", "--collection", "empty", "--as", "e", "--before", "2020-01-01"]).code(1);
    assert!(
        ran.last_line()
            .contains("there is no good backup from before 2020-01-01 00:00:00 UTC; the oldest is 2"),
        "{}",
        ran.stderr
    );
    let ran =
        place.run(&["restore", "--collection", "empty", "--as", "e", "--backup", "latest-verified"]).code(1);
    assert!(ran.last_line().contains("good and verified"), "{}", ran.stderr);
}

#[test]
fn a_backup_that_needs_what_is_unknown_is_refused() {
    let Scene { server: _stand_in, place } = Scene::sample();
    let name = CollectionName::new("empty").unwrap();
    let mut manifest = place.backups("empty").remove(0).manifest;
    manifest.requires.push("time-travel".to_owned());
    json_file::write(&place.layout().manifest(&name, manifest.backup_id), &manifest).unwrap();
    let ran = place.run(&["restore", "--collection", "empty", "--as", "e", "--force"]).code(1);
    assert!(ran.last_line().contains("the backup needs \"time-travel\""), "{}", ran.stderr);
}

fn wait_for(condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(30), "this was never reached");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn the_safety_backup_of_a_restore_that_died_is_not_the_latest_of_the_next() {
    let Scene { server, place } = Scene::on(StandIn::sample());
    place.run(&["backup", "-c", "minilm_general"]).success();
    let wanted = place.ids("minilm_general").remove(0);
    let restore = ["restore", "-c", "minilm_general", "--force"];
    server.faults(|faults| faults.add(Fault::new(Effect::NeverAnswer).on(Endpoint::UploadSnapshot)));
    let running = Running::start(&mut place.command(&restore));
    wait_for(|| !server.requests_matching("POST", "snapshots/upload").is_empty());
    running.signal(Signal::KILL);
    running.end();
    server.faults(|faults| faults.clear());
    assert_eq!(place.ids("minilm_general").len(), 2);
    let says = "is the safety backup of a restore that has not ended: name the one to restore with --backup";
    let ran = place.run(&[&restore[..], &["--dry-run"]].concat()).code(1);
    assert!(ran.stdout.contains(says), "{}", ran.stdout);
    place.run(&restore).code(1).says(&[says]);
    place.run(&[&restore[..], &["--no-safety-backup", "--backup", &wanted]].concat()).success();
}

#[test]
fn an_alias_that_two_backups_claim_is_not_left_to_chance() {
    let Scene { server, place } = Scene::on(StandIn::sample());
    place.run(&["backup"]).success();
    // The alias was moved, and both collections were backed up while they had it.
    server.state(|state| state.aliases.insert("prod".to_owned(), "minilm_general".to_owned()));
    place.run(&["backup", "-c", "minilm_general"]).success();
    let fresh = StandIn::start(Setup::empty());

    let restore = ["restore", "--all", "--with-aliases", "--to", &fresh.url()];
    place.run(&restore).code(3).says(&["alias \"prod\" also belongs to", "--with-aliases"]);

    assert_eq!(fresh.requests_matching("POST", "aliases").len(), 0);
    assert_eq!(fresh.requests_matching("POST", "snapshots/upload").len(), 2, "the others are restored");
}

#[test]
fn restoring_all_again_skips_what_is_there_and_succeeds() {
    let Scene { server: _source, place } = Scene::sample();
    let target = StandIn::start(Setup::empty());
    let url = target.url();
    let all = ["restore", "--all", "--to", &url];
    for (done, _) in &GENUINE[..2] {
        place.run(&["restore", "--collection", done, "--to", &url]).success();
    }
    place
        .run(&["restore", "--dry-run", "--all", "--to", &url])
        .success()
        .says(&["2 of 2 collections can be restored, 2 already exist and are skipped"]);
    target.clear_requests();

    let ran = place.run(&all).success().says(&["Skipped minilm_general", "already exists, with 100 points"]);

    assert!(ran.last_line().contains("Restore succeeded: 2 of 2 collections"), "{}", ran.last_line());
    assert!(ran.stdout.contains("which already exists (250 points): SKIPPED"), "{}", ran.stdout);
    for (collection, number) in GENUINE {
        assert_eq!(count(&target, collection), Some(number));
    }
    assert_eq!(target.requests_matching("POST", "/snapshots/upload").len(), 2, "nothing is uploaded twice");
    place.run(&all).success().says(&["WARN: Nothing was restored: every collection is already there"]);
    place.run(&["restore", "--collection", GENUINE[0].0, "--to", &url]).code(1);
}

#[test]
fn what_is_there_and_has_not_come_back_is_not_skipped() {
    let Scene { server: _source, place } = Scene::sample();
    let target = StandIn::start(Setup::empty());
    let url = target.url();
    place.run(&["restore", "--all", "--to", &url]).success();
    target.state(|state| state.collection_mut("mixtral_embeddings").set_points_count(124));

    let ran = place.run(&["restore", "--all", "--to", &url]).code(1).says(&["mixtral_embeddings", "exists"]);

    ran.says(&["Skipped minilm_general"]).never_says("Skipped mixtral_embeddings");
}

#[test]
fn the_last_line_of_a_restore_names_what_failed_and_does_not_tell_it_all_again() {
    let Scene { server: _source, place } = Scene::sample();
    let target = StandIn::start(Setup::empty());
    let upload = Fault::status(500).on(Endpoint::UploadSnapshot);
    target.faults(|faults| faults.add(upload));

    let ran = place.run(&["restore", "--all", "--to", &target.url()]).code(1);

    let line = ran.last_line();
    assert!(line.contains("failed: empty (http_status), minilm_general (http_status), "), "{line}");
    assert!(line.len() < 250, "{line}");
}

#[test]
fn retired_collections_are_restored_only_when_asked_for() {
    let Scene { server: source, place } = Scene::sample();
    source.state(|state| state.collections.remove("minilm_general"));
    place.run(&["prune", "--retire", "minilm_general"]).success();
    let (some, all) = (StandIn::start(Setup::empty()), StandIn::start(Setup::empty()));

    let says = ["Skipped retired collections: \"minilm_general\""];
    place.run(&["restore", "--all", "--dry-run", "--to", &some.url()]).success().says(&says);
    place.run(&["restore", "--all", "--to", &some.url()]).success().says(&says);
    assert_eq!(count(&some, "minilm_general"), None);
    assert_eq!(count(&some, "mixtral_embeddings"), Some(250));
    place.run(&["restore", "--collection", "minilm_general", "--to", &some.url()]).success();
    place
        .run(&["restore", "--all", "--include-retired", "--to", &all.url()])
        .success()
        .never_says("Skipped retired");
    assert_eq!(count(&all, "minilm_general"), Some(100));
}
