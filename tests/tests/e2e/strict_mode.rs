//! Servers that refuse some requests: backups still work, and unknown values are reported as unknown.

use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{Collection, Effect, Endpoint, Fault, GeneratedSnapshot, Setup, StandIn};
use e2e::scene::{DOCS, SIZE};
use e2e::{Place, Scene};
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use serde_json::{Value, json};

const MANY: u64 = 100;

/// [`DOCS`] with this strict mode and [`MANY`] points.
fn strict(mut config: Value) -> Collection {
    config["enabled"] = json!(true);
    let mut snapshot = GeneratedSnapshot::new(SIZE).points_count(MANY);
    snapshot.config["strict_mode_config"] = config;
    Collection::generated(DOCS, snapshot)
}

fn scene(config: Value) -> Scene {
    Scene::of(Setup::empty().collection(strict(config)))
}

fn drill(place: &Place, target: &StandIn) -> CheckOutcome {
    place.run(&["drill", "--to", &target.url()]).success();
    let record = place.backups(DOCS).pop().unwrap().verification.unwrap();
    record.levels[&Level::Restore].outcome.clone()
}

#[test]
fn where_exact_counts_are_disabled_the_approximate_count_is_told_as_such() {
    let scene = scene(json!({ "search_allow_exact": false }));
    // The server's estimate is close to the real number.
    scene.server.state(|state| state.collection_mut(DOCS).estimate = Some(103));
    scene.backup().success().says(&["Backed up docs: about 103 points"]);
    let manifest = scene.manifest();
    assert_eq!(manifest.points_count(), None, "nothing exact is known");
    assert_eq!(manifest.source.points_count_approximate, Some(103));
    assert_eq!(manifest.points_sample.unwrap().points.len(), 16);
    assert_eq!(scene.collection(DOCS).points, None);
    scene.place.run(&["verify"]).success();
    let listed = scene.place.run(&["list"]).success();
    assert!(listed.stdout.contains("about 103"), "{}", listed.stdout);

    // The scratch collection and the restored one have the same strict mode.
    let target = StandIn::start(Setup::empty());
    assert_eq!(drill(&scene.place, &target), CheckOutcome::Passed);
    let ran = scene.place.run(&["restore", "--collection", DOCS, "--to", &target.url()]).success();
    ran.says(&["does not count exactly", "about 100 points"]);
    let again = scene.place.run(&["restore", "--collection", DOCS]).code(1);
    again.says(&["collection \"docs\" exists (about 103 points)", "\"docs\" is untouched"]);
    let forced = scene.place.run(&["restore", "--collection", DOCS, "--force"]).success();
    assert!(
        forced.stdout.contains("docs, WHICH EXISTS: its about 103 points are replaced"),
        "{}",
        forced.stdout
    );
    assert_eq!(scene.place.backups(DOCS).len(), 2, "the target was backed up first");
}

#[test]
fn an_approximate_count_condemns_only_what_is_empty_or_grossly_incomplete() {
    let scene = scene(json!({ "search_allow_exact": false }));
    scene.backup().success();
    for (lost, code) in [(20, 0), (60, 4), (100, 4)] {
        let target = StandIn::start(Setup::empty().fault(Fault::new(Effect::RestoredLacksPoints(lost))));
        let id = scene.manifest().backup_id.to_string();
        let arguments = ["drill", "--collection", DOCS, "--backup", &id, "--to", &target.url()];
        scene.place.run(&arguments).code(code);
    }
    assert_eq!(scene.place.backups(DOCS).remove(0).condition(), Condition::Failed);
}

#[test]
fn an_empty_snapshot_is_found_by_an_approximate_count_too() {
    let scene = scene(json!({ "search_allow_exact": false }));
    let empty = StandIn::start(Setup::sample());
    let content = empty.state(|state| state.collection_mut("empty").content.clone());
    scene.server.faults(|faults| faults.add(Fault::new(Effect::CreationContent(content))));
    let ran = scene.backup().code(1);
    ran.says(&["the collection has 100 points, but the snapshot contains none"]);
}

#[test]
fn a_page_limit_below_the_sample_makes_smaller_pages_of_it() {
    for most in [1, 5, 15] {
        let scene = scene(json!({ "max_query_limit": most, "max_timeout": 1 }));
        scene.backup().success();
        let manifest = scene.manifest();
        assert_eq!(manifest.points_count(), Some(MANY));
        let sample = manifest.points_sample.unwrap();
        let ids: Vec<Value> = sample.points.into_iter().map(|point| point.id).collect();
        assert_eq!(ids, (0..16).map(Value::from).collect::<Vec<_>>(), "limit {most}");
        let target = StandIn::start(Setup::empty());
        assert_eq!(drill(&scene.place, &target), CheckOutcome::Passed);
    }
}

#[test]
fn a_limit_on_rates_below_the_sample_reads_it_in_parts() {
    // A whole sample by id would cost 16 tokens.
    let scene = scene(json!({ "read_rate_limit": 12 }));
    let begun = Instant::now();
    scene.backup().success().says(&["Backed up docs: 100 points"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(scene.manifest().points_sample.is_some(), "as much of it as there was time for");
}

#[test]
fn the_pause_that_a_server_asks_for_is_kept() {
    let scene = scene(json!({ "read_rate_limit": 60 }));
    scene.configure(&[("retries", "2")]);
    scene.server.state(|state| state.collection_mut(DOCS).exhaust_reads());
    scene.backup().success();
    assert_eq!(scene.manifest().points_count(), Some(MANY), "counted exactly, a second later");
}

#[test]
fn a_server_that_never_counts_is_backed_up_with_a_warning() {
    for status in [400, 403, 429] {
        let scene = Scene::of(Setup::empty().collection(strict(json!({}))));
        scene.server.faults(|faults| {
            for endpoint in [Endpoint::CountPoints, Endpoint::ScrollPoints, Endpoint::RetrievePoints] {
                faults.add(Fault::status(status).on(endpoint));
            }
        });
        // The collection's description contains the approximate number.
        scene.backup().success().says(&["Backed up docs: about 100 points"]);
        assert_eq!(scene.manifest().points_sample, None);
        scene.place.run(&["restore", "--collection", DOCS, "--force"]).success();
        let restored = scene.server.state(|state| state.collection_mut(DOCS).points_count());
        assert_eq!(restored, MANY);
    }
}

#[test]
fn a_number_that_nobody_tells_stops_neither_backup_nor_restore() {
    let scene = scene(json!({}));
    scene.server.faults(|faults| faults.add(Fault::status(403).on(Endpoint::CountPoints)));
    scene.server.state(|state| state.collection_mut(DOCS).hides_points = true);
    let ran = scene.backup().success();
    ran.says(&["has no point count"]).says(&["Backed up docs: ? points"]);
    let manifest = scene.manifest();
    assert_eq!((manifest.points_count(), manifest.points_told()), (None, None));
    let refused = scene.place.run(&["restore", "--collection", DOCS]).code(1);
    refused.says(&["collection \"docs\" exists (unknown points)", "\"docs\" is untouched"]);
    let ran = scene.place.run(&["restore", "--collection", DOCS, "--force", "--no-safety-backup"]).success();
    ran.says(&["the number of points in \"docs\" was not checked"]);
    let dry = scene.place.run(&["restore", "--collection", DOCS, "--force", "--dry-run", "--json"]).success();
    let plan: Value = serde_json::from_str(&dry.stdout).unwrap();
    assert_eq!(plan["plans"][0]["target_exists"], json!(true));
    assert_eq!(plan["plans"][0]["target_points"], Value::Null);
}

#[test]
fn a_target_that_cannot_even_be_asked_about_still_exists() {
    let scene = Scene::new();
    scene.backup().success();
    scene.server.faults(|faults| faults.add(Fault::status(500).on(Endpoint::CountPoints)));
    let ran = scene.place.run(&["restore", "--collection", DOCS, "--force"]).code(1);
    ran.says(&["\"docs\" is untouched"]).never_says("does not exist");
}

#[test]
fn strict_mode_that_is_not_enabled_refuses_nothing() {
    let mut collection =
        strict(json!({ "search_allow_exact": false, "max_query_limit": 1, "read_rate_limit": 1 }));
    collection.config["strict_mode_config"]["enabled"] = json!(false);
    let Scene { server: _server, place } = Scene::of(Setup::empty().collection(collection));
    place.run(&["backup"]).success().says(&["Backed up docs: 100 points"]);
}
