//! Drills: what they prove and find, and that they leave nothing behind.

use std::io::Write;
use std::process::Child;
use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{
    Collection, Effect, Endpoint, Fault, GeneratedSnapshot, GenuineSnapshot, Setup, StandIn,
};
use e2e::{Place, Ran, Scene};
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::verification::{CheckOutcome, Level, LevelRecord};
use qdrant_backup_shared::{FailureKind, json_file};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// The genuine collections, backed up, and an empty server for drills.
fn scene() -> (StandIn, StandIn, Place) {
    let Scene { server: source, place } = Scene::on(StandIn::sample());
    place.run(&["backup"]).success();
    (source, StandIn::start(Setup::empty()), place)
}

/// The record of the newest backup's last drill.
fn drilled(place: &Place, collection: &str) -> Option<LevelRecord> {
    let backup = place.backups(collection).pop()?;
    backup.verification?.levels.remove(&Level::Restore)
}

/// Checks that a drill left nothing: no collection, and no file in any collection's folder.
#[track_caller]
fn nothing_left(stand_in: &StandIn, place: &Place, collections: &[&str]) {
    let left: Vec<String> = stand_in.state(|state| state.collections.keys().cloned().collect());
    assert_eq!(left, collections);
    let files = stand_in.state(|state| {
        let folders = state.nodes.iter().flat_map(|node| node.snapshots.values());
        folders.map(Vec::len).sum::<usize>()
    });
    assert_eq!(files, 0);
    let status = place.status();
    assert_eq!(status.undeleted_snapshots, []);
    assert_eq!(status.current_run, None);
}

#[test]
fn every_backup_is_restored_compared_recorded_and_removed_again() {
    for (version, compression) in [("1.18.3", "gzip"), ("1.14.1", "zstd")] {
        let Scene { server: _source, place } = Scene::on(StandIn::start(Setup::sample_of(version)));
        place.run(&["backup", "--compression", compression]).success();
        let target = StandIn::start(Setup::empty_of(version));
        let ran = place.run(&["drill", "--to", &target.url()]).success();
        assert!(ran.last_line().contains("Drill succeeded: 4 of 4 backups passed"), "{}", ran.stderr);
        nothing_left(&target, &place, &[]);
        for (collection, sampled) in
            [("minilm_general", 16), ("mixtral_embeddings", 16), ("named-and-sparse", 16), ("empty", 0)]
        {
            let backup = place.backups(collection).remove(0);
            let sample = backup.manifest.points_sample.map_or(0, |sample| sample.points.len());
            assert_eq!(sample, sampled, "{collection}");
            assert_eq!(drilled(&place, collection).unwrap().outcome, CheckOutcome::Passed);
            assert!(ran.stderr.contains(&format!("Drill of {collection} passed")), "{}", ran.stderr);
        }
        assert_eq!(place.status().operations[&Operation::Drill].last_outcome, Some(Outcome::Success));
        let deleted = target.requests_matching("DELETE", "/snapshots/");
        let dropped: Vec<_> = target.requests_matching("DELETE", "__drill_");
        assert_eq!((deleted.len(), dropped.len()), (4, 8), "the file is deleted before the collection");
        place.run(&["list"]).success();
    }
}

#[test]
fn a_drill_passes_on_a_real_server_too() {
    let scene = Scene::with_samples();
    scene.backup().success();
    let Scene { server: _server, place } = scene;
    place.run(&["drill", "--on-source"]).success().says(&["Drill succeeded: 3 of 3 backups passed"]);
    assert_eq!(place.status().undeleted_snapshots, []);
}

#[test]
fn a_point_with_another_vector_fails_the_drill_and_is_named() {
    for (collection, index) in [("minilm_general", 4), ("named-and-sparse", 7), ("mixtral_embeddings", 0)] {
        let (_source, target, place) = scene();
        target.faults(|faults| faults.add(Fault::new(Effect::RestoredVectorDiffers(index))));
        let ran = place.run(&["drill", "--collection", collection, "--to", &target.url()]).code(4);
        let expected = format!("point {index} differs from the backup");
        assert!(ran.last_line().contains(&expected), "{}", ran.stderr);
        let record = drilled(&place, collection).unwrap();
        assert_eq!(record.outcome, CheckOutcome::Failed);
        assert_eq!(record.findings.len(), 1);
        assert_eq!(
            (record.findings[0].kind.as_str(), &record.findings[0].message),
            ("point_differs", &expected)
        );
        assert_eq!(place.backups(collection).remove(0).condition(), Condition::Failed);
        nothing_left(&target, &place, &[]);

        target.faults(|faults| faults.clear());
        let id = place.backups(collection)[0].manifest.backup_id.to_string();
        let arguments = ["drill", "--collection", collection, "--backup", &id, "--to", &target.url()];
        place.run(&arguments).success();
        assert_eq!(place.backups(collection).remove(0).condition(), Condition::Good);
    }
}

#[test]
fn points_that_the_last_drill_found_and_this_one_does_not_fail_it() {
    let (_source, target, place) = scene();
    place.run(&["drill", "--collection", "minilm_general", "--to", &target.url()]).success();
    target.faults(|faults| faults.add(Fault::new(Effect::RestoredLacksPoints(5))));
    let ran = place.run(&["drill", "--collection", "minilm_general", "--to", &target.url()]).code(4);
    assert!(ran.last_line().contains("95 points were restored"), "{}", ran.stderr);
    assert_eq!(drilled(&place, "minilm_general").unwrap().findings[0].kind, "points_differ");
    nothing_left(&target, &place, &[]);
}

#[test]
fn another_configuration_than_was_backed_up_fails_the_drill() {
    let (_source, target, place) = scene();
    let name = qdrant_backup_shared::CollectionName::new("minilm_general").unwrap();
    let mut manifest = place.backups("minilm_general").remove(0).manifest;
    manifest.source.config.as_mut().unwrap()["params"]["vectors"]["distance"] = json!("Manhattan");
    manifest.source.payload_schema = Some(json!({ "lost": { "data_type": "keyword", "points": 1 } }));
    json_file::write(&place.layout().manifest(&name, manifest.backup_id), &manifest).unwrap();
    place.run(&["drill", "--collection", "minilm_general", "--to", &target.url()]).code(4);
    let kinds: Vec<String> =
        drilled(&place, "minilm_general").unwrap().findings.into_iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["config_differs", "payload_index_missing"]);
}

#[test]
fn faults_of_the_server_are_no_verdict_on_the_backup() {
    let (_source, target, place) = scene();
    target.faults(|faults| faults.add(Fault::new(Effect::UploadNoSpace)));
    let ran = place.run(&["drill", "--collection", "minilm_general", "--to", &target.url()]).code(1);
    assert!(ran.last_line().contains("drill inconclusive"), "{}", ran.stderr);
    assert_eq!(drilled(&place, "minilm_general").unwrap().outcome, CheckOutcome::Inconclusive);
    assert_eq!(place.backups("minilm_general").remove(0).condition(), Condition::Good);
    nothing_left(&target, &place, &[]);
    target.faults(|faults| {
        faults.clear();
        faults.add(Fault::status(500).on(Endpoint::RetrievePoints));
    });
    place.run(&["drill", "--collection", "minilm_general", "--to", &target.url()]).code(1);
    assert_eq!(drilled(&place, "minilm_general").unwrap().outcome, CheckOutcome::Inconclusive);
    nothing_left(&target, &place, &[]);
    place.run(&["drill", "--to", "http://127.0.0.1:1"]).code(1).says(&["cannot reach Qdrant"]);
}

#[test]
fn the_source_is_drilled_on_only_when_that_is_said_and_only_with_small_snapshots() {
    let (source, _target, place) = scene();
    source.clear_requests();
    place.run(&["drill"]).code(78).says(&["--on-source"]);
    place.run(&["drill", "--to", &source.url()]).code(78);
    assert!(source.requests().is_empty());
    place.run(&["drill", "--on-source"]).success();
    let collections = ["empty", "minilm_general", "mixtral_embeddings", "named-and-sparse"];
    nothing_left(&source, &place, &collections);
    place.configure("qdrant:\n  retries: 0\ndrill:\n  max_size: 10KiB\n");
    let ran = place.run(&["drill", "--on-source", "--collection", "minilm_general"]).code(1);
    assert!(ran.last_line().contains("drill.max_size is 10.00 KiB"), "{}", ran.stderr);
}

#[test]
fn the_configured_server_and_its_own_key_are_used() {
    let source = StandIn::start(Setup::sample().api_key("own-key"));
    let target = StandIn::start(Setup::empty().api_key("their-key"));
    let place = Place::initialised(&source.url());
    let file = place.beside("their-key");
    qdrant_backup_shared::atomic::write(&file, 0o600, b"their-key\n").unwrap();
    let url = target.url();
    place.configure(&format!(
        "qdrant:\n  retries: 0\ndrill:\n  url: {url}\n  api_key_file: {}\n",
        file.display()
    ));
    let run = |arguments: &[&str]| Ran::of(place.command(arguments).env("QDRANT_API_KEY", "own-key"));
    run(&["backup"]).success();
    run(&["drill"]).success();
    assert!(target.requests().iter().all(|request| request.header("api-key") != Some("own-key")));
    nothing_left(&target, &place, &[]);
}

#[test]
fn the_least_recently_drilled_backup_is_one_of_all() {
    let (_source, target, place) = scene();
    let arguments = ["drill", "--backup", "least-recent", "--to", &target.url()];
    for expected in 1..=4 {
        place.run(&arguments).success().says(&["Drill succeeded: 1 of 1 backups passed"]);
        let all = ["minilm_general", "mixtral_embeddings", "named-and-sparse", "empty"];
        assert_eq!(all.iter().filter(|name| drilled(&place, name).is_some()).count(), expected);
    }
}

#[test]
fn what_a_killed_drill_left_is_removed_by_the_next_and_nothing_else_is() {
    let (_source, target, place) = scene();
    let genuine = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap().read().unwrap();
    let repository: qdrant_backup_shared::Repository =
        json_file::read(&place.layout().repository_file()).unwrap();
    let ours = format!("docs__drill_{}00000001", &repository.repository_id[..8]);
    for name in [ours.as_str(), "docs", "docs__drill_0000000000000000", "docs__drill_x"] {
        let content = e2e::qdrant_stand_in::Content::bytes(genuine.clone());
        let collection = Collection::from_snapshot(name, content.clone()).unwrap();
        target.state(|state| state.add_collection(collection));
        if name == ours {
            target.add_snapshot(name, "qdrant-backup-left.snapshot", content);
        }
    }
    place.run(&["drill", "--collection", "empty", "--to", &target.url()]).success();
    nothing_left(&target, &place, &["docs", "docs__drill_0000000000000000", "docs__drill_x"]);
}

#[test]
fn scratch_collections_are_neither_backed_up_nor_restored_into() {
    let (source, _target, place) = scene();
    let name = "docs__drill_0123456789abcdef";
    source.state(|state| {
        state.add_collection(Collection::created(
            name,
            &json!({ "vectors": { "size": 4, "distance": "Dot" } }),
        ))
    });
    place.run(&["backup"]).success().says(&["Backup succeeded: 4 of 4"]);
    let ran = place.run(&["restore", "--collection", "empty", "--as", name, "--force"]).code(1);
    assert!(ran.last_line().contains("is a name reserved for drills"), "{}", ran.stderr);
}

#[test]
fn a_drill_gives_way_to_a_backup() {
    let (target, place) = big_scene();
    let child = place.command(&["drill", "--to", &target.url()]).spawn().unwrap();
    wait_for(|| !target.requests_matching("POST", "/upload").is_empty());
    let begun = Instant::now();
    place.run(&["backup"]).success();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(75), "{stderr}");
    assert!(stderr.lines().last().unwrap().contains("stopped to let another run take the lock"), "{stderr}");
    let drill = &place.status().operations[&Operation::Drill];
    assert_eq!(drill.failures.keys().collect::<Vec<_>>(), [&FailureKind::Locked]);
    assert_eq!(drilled(&place, "big"), None, "there is no result");
    nothing_left(&target, &place, &[]);
}

#[test]
fn two_drills_do_not_give_way_to_each_other_and_an_interrupted_one_tidies_up() {
    let (target, place) = big_scene();
    let child = place.command(&["drill", "--to", &target.url()]).spawn().unwrap();
    wait_for(|| !target.requests_matching("POST", "/upload").is_empty());
    place.run(&["drill", "--to", &target.url()]).code(75);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = wait(child);
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(drilled(&place, "big"), None);
    nothing_left(&target, &place, &[]);
}

/// A backup larger than the buffers on the way, and a server that never reads it.
fn big_scene() -> (StandIn, Place) {
    let big = GeneratedSnapshot::new(64 << 20);
    let source =
        Box::leak(Box::new(StandIn::start(Setup::empty().collection(Collection::generated("big", big)))));
    let place = Place::initialised(&source.url());
    place.configure("qdrant:\n  retries: 0\nbackup:\n  compression: none\n");
    place.run(&["backup"]).success();
    let never = Fault::new(Effect::NeverAnswer).on(Endpoint::UploadSnapshot);
    (StandIn::start(Setup::empty().fault(never)), place)
}

fn wait(child: Child) -> std::process::Output {
    let output = child.wait_with_output().unwrap();
    std::io::stderr().write_all(&output.stderr).unwrap();
    output
}

fn wait_for(condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(30), "this was never reached");
        std::thread::sleep(Duration::from_millis(20));
    }
}
