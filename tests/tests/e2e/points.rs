//! Single points: every difference between a backup and a collection is found, and exactly those points are restored.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{Answer, Collection, Effect, Endpoint, Fault, GeneratedSnapshot, Setup, StandIn};
use e2e::scene::{DOCS, SIZE};
use e2e::server::Server;
use e2e::{Place, Running, Scene};
use qdrant_backup_shared::operation::{Operation, Outcome};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A server with a backup of its larger collection (250 points). After the backup 20 points were deleted, 10 got
/// another payload, 5 another vector, and 8 were added.
struct Spoiled {
    scene: Scene<Server>,
    name: String,
    /// The points in the backup.
    before: BTreeMap<u64, Value>,
    /// The current points.
    now: BTreeMap<u64, Value>,
}

const DELETED: std::ops::Range<u64> = 40..60;
const PAYLOADS: std::ops::Range<u64> = 100..110;
const VECTORS: std::ops::Range<u64> = 200..205;
const ADDED: std::ops::Range<u64> = 1000..1008;

impl Spoiled {
    fn new() -> Self {
        let scene = Scene::with_samples();
        scene.backup().success();
        let name = scene.server.collections()[2].clone();
        let before = by_id(&scene.server.points(&name));
        let spoiled = Self { now: BTreeMap::new(), before, name, scene };
        let Self { before, name, scene, .. } = &spoiled;
        let changed = PAYLOADS.map(|id| {
            let mut point = before[&id].clone();
            point["payload"]["lang"] = json!("spoiled");
            point["payload"]["extra"] = json!([1, { "a": null }]);
            point
        });
        let moved = VECTORS.map(|id| {
            let mut point = before[&id].clone();
            point["vector"] = before[&(id - 100)]["vector"].clone();
            point
        });
        let added = ADDED.map(|id| {
            let mut point = before[&1].clone();
            point["id"] = json!(id);
            point
        });
        let written: Vec<Value> = changed.chain(moved).chain(added).collect();
        scene.server.write(name, &written);
        scene.server.delete_points(name, &DELETED.map(|id| json!(id)).collect::<Vec<_>>());
        let now = spoiled.points();
        Self { now, ..spoiled }
    }

    fn points(&self) -> BTreeMap<u64, Value> {
        by_id(&self.scene.server.points(&self.name))
    }

    fn place(&self) -> &Place {
        &self.scene.place
    }

    fn compare(&self, more: &[&str]) -> e2e::Ran {
        self.place().run(&[&["compare", "--collection", &self.name, "--on-source"], more].concat())
    }

    fn restore(&self, more: &[&str]) -> e2e::Ran {
        self.place()
            .run(&[&["restore", "--points", "--collection", &self.name, "--on-source"], more].concat())
    }

    /// The current points, with these in their backed up state.
    fn with(&self, ids: impl IntoIterator<Item = u64>) -> BTreeMap<u64, Value> {
        let mut all = self.now.clone();
        all.extend(ids.into_iter().map(|id| (id, self.before[&id].clone())));
        all
    }

    #[track_caller]
    fn assert_tidy(&self) {
        assert_eq!(self.scene.server.scratch_collections(), Vec::<String>::new());
        let status = self.place().status();
        assert_eq!(status.undeleted_snapshots, []);
        assert_eq!(status.current_run, None);
    }
}

fn by_id(points: &Value) -> BTreeMap<u64, Value> {
    let points = points.as_array().unwrap().iter();
    points.map(|point| (point["id"].as_u64().unwrap(), point.clone())).collect()
}

#[test]
fn a_comparison_finds_exactly_what_was_deleted_changed_and_added() {
    let spoiled = Spoiled::new();
    let (ids, points) = (spoiled.place().beside("ids"), spoiled.place().beside("points.jsonl.gz"));
    let ran = spoiled
        .compare(&["--ids", ids.to_str().unwrap(), "--points", points.to_str().unwrap()])
        .code(3)
        .says(&["Compared", "they differ; points written during the comparison may count as differences"]);
    assert!(
        ran.stdout.contains(
            "missing              20  only in the backup: deleted since the backup (40, 41, 42, 43, 44, …)"
        ),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("changed              15"), "{}", ran.stdout);
    assert!(ran.stdout.contains("new                   8"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("payload: extra (10), lang (10); vectors: the unnamed one (5)"),
        "{}",
        ran.stdout
    );
    let line = |kind: &str, id: u64| format!("{kind} {id}");
    let mut expected: Vec<(u64, String)> = DELETED.map(|id| (id, line("missing", id))).collect();
    expected.extend(PAYLOADS.chain(VECTORS).map(|id| (id, line("changed", id))));
    expected.extend(ADDED.map(|id| (id, line("new", id))));
    expected.sort();
    let found = fs::read_to_string(&ids).unwrap();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected.iter().map(|(_, line)| line).collect::<Vec<_>>());

    let text =
        std::io::read_to_string(flate2::read::MultiGzDecoder::new(fs::File::open(&points).unwrap())).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 43);
    let changed = lines.iter().find(|line| line["kind"] == "changed").unwrap();
    assert_eq!(changed["point"], spoiled.before[&PAYLOADS.start]);
    assert_eq!(changed["other"], spoiled.now[&PAYLOADS.start]);
    assert_eq!(spoiled.points(), spoiled.now, "nothing was changed");
    spoiled.assert_tidy();
    // An existing file is never replaced.
    spoiled.compare(&["--ids", ids.to_str().unwrap()]).code(1).says(&["it already exists"]);
}

#[test]
fn what_is_equal_is_said_to_be_and_programs_are_told_in_json() {
    let spoiled = Spoiled::new();
    let other = &spoiled.scene.server.collections()[1];
    let ran = spoiled.place().run(&["compare", "--collection", other, "--on-source"]).success();
    assert!(ran.stderr.contains("they are equal"), "{}", ran.stderr);
    let ran = spoiled.compare(&["--json", "--rate", "10000"]).code(3);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["found"]["missing"], json!({ "count": 20, "first": [40, 41, 42, 43, 44] }));
    assert_eq!(found["found"]["changed_payload_keys"], json!({ "extra": 10, "lang": 10 }));
    assert_eq!(found["found"]["changed_vectors"], json!({ "": 5 }));
    assert_eq!(found["is_equal"], json!(false));
}

#[test]
fn missing_points_come_back_and_nothing_else_is_touched() {
    let spoiled = Spoiled::new();
    let ran = spoiled.restore(&["--missing", "--dry-run"]).success().says(&["20 points would be written"]);
    assert!(ran.stdout.contains("write                20  that are missing there"), "{}", ran.stdout);
    assert!(ran.stdout.contains("left alone           15  that differ there (100, 101, 102, 103, 104, …); --changed overwrites them"), "{}", ran.stdout);
    assert_eq!(spoiled.points(), spoiled.now);
    spoiled.restore(&["--missing"]).success().says(&["20 points are back in", "all of them verified"]);
    assert_eq!(spoiled.points(), spoiled.with(DELETED));
    spoiled.assert_tidy();
    let restores = &spoiled.place().status().operations[&Operation::Restore];
    assert_eq!(restores.last_outcome, Some(Outcome::Success));
    // The second time there is nothing to do.
    spoiled.restore(&["--missing"]).success().says(&["0 points are back in"]);
    assert_eq!(spoiled.points(), spoiled.with(DELETED));
}

#[test]
fn changed_points_are_overwritten_only_where_they_are_named() {
    let spoiled = Spoiled::new();
    let ids = spoiled.place().beside("ids");
    spoiled.compare(&["--ids", ids.to_str().unwrap()]).code(3);
    let ids = ids.to_str().unwrap();
    // Without --changed only the missing points are restored.
    let ran = spoiled.restore(&["--ids", "45", "100", "3", "1003"]).success();
    assert!(
        ran.stdout.contains("left alone            1  that differ there (100); --changed overwrites them"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("NOT FOUND             1  in the backup (1003)"), "{}", ran.stdout);
    ran.says(&["2 others were left alone"]);
    assert_eq!(spoiled.points(), spoiled.with([45]));
    let ran = spoiled.restore(&["--changed", "--ids", "100", "203", "46"]).success();
    assert!(ran.stderr.contains("2 points of"), "{}", ran.stderr);
    assert_eq!(spoiled.points(), spoiled.with([45, 100, 203]));
    // The file written by a comparison can be used. Points that are equal by now are left alone.
    spoiled.restore(&["--missing", "--changed", "--ids", ids]).success();
    assert_eq!(spoiled.points(), spoiled.with(DELETED.chain(PAYLOADS).chain(VECTORS)));
    spoiled.assert_tidy();
}

#[test]
fn a_filter_says_which_points_as_they_are_in_the_backup() {
    let spoiled = Spoiled::new();
    let filter = r#"{"must": [{"key": "n", "match": {"value": 104}}]}"#;
    spoiled.restore(&["--changed", "--filter", filter]).success();
    assert_eq!(spoiled.points(), spoiled.with([104]));
    spoiled.restore(&["--filter", "{"]).code(2).says(&["--filter is not valid JSON"]);
    spoiled.restore(&["--filter", r#"{"must": [{"key": 7}]}"#]).code(1).says(&["Qdrant answered 400"]);
    assert_eq!(spoiled.points(), spoiled.with([104]));
    spoiled.assert_tidy();
}

#[test]
fn nothing_is_written_unless_it_is_said_which_points() {
    let spoiled = Spoiled::new();
    spoiled.restore(&[]).code(2).says(&["--points needs one of --missing"]);
    spoiled.place().run(&["restore", "--points", "--missing", "--on-source", "--dry-run"]).code(2);
    spoiled.place().run(&["restore", "--collection", &spoiled.name, "--missing"]).code(2);
    spoiled
        .place()
        .run(&["restore", "--points", "--missing", "--collection", &spoiled.name])
        .code(78)
        .says(&["--on-source"]);
    spoiled.restore(&["--ids", "seven"]).code(1).says(&["--ids"]);
    assert_eq!(spoiled.points(), spoiled.now);
}

#[test]
fn two_backups_are_compared_with_each_other() {
    let spoiled = Spoiled::new();
    std::thread::sleep(Duration::from_millis(1100));
    spoiled.scene.backup().success();
    let ids = spoiled.place().ids(&spoiled.name);
    let ran = spoiled.compare(&["--backup", &ids[0], "--with", &ids[1]]).code(3);
    let ran = ran.says(&["they differ"]).never_says("during the comparison");
    assert!(ran.stdout.contains("changed              15  in both, but not the same"), "{}", ran.stdout);
    assert!(ran.stdout.contains(&format!("backup {}", ids[1])), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("missing              20") && ran.stdout.contains("new                   8"),
        "{}",
        ran.stdout
    );
    spoiled.compare(&[]).success();
    spoiled.compare(&["--backup", &ids[1], "--with", "latest"]).success();
    spoiled.assert_tidy();
}

/// A stand-in with [`DOCS`] of this many points, backed up.
fn docs(points: u64, change: impl FnOnce(&mut Collection)) -> Scene {
    let mut docs = Collection::generated(DOCS, GeneratedSnapshot::new(SIZE).points_count(points));
    change(&mut docs);
    Scene::of(Setup::empty().collection(docs)).backed_up()
}

/// Deletes the points from 10 to `to` as a client.
fn delete(server: &StandIn, to: u64) {
    server.state(|state| {
        let docs = state.collection_mut(DOCS);
        (10..to).for_each(|id| docs.delete_point(&json!(id)));
    });
}

const COMPARE: [&str; 4] = ["compare", "--collection", DOCS, "--on-source"];
const MISSING: [&str; 6] = ["restore", "--points", "--missing", "--collection", DOCS, "--on-source"];

#[test]
fn strict_mode_and_limits_on_rates_only_make_pages_smaller_and_the_walk_slower() {
    let strict = json!({ "enabled": true, "max_query_limit": 7, "upsert_max_batchsize": 3, "search_allow_exact": false });
    let scene = docs(300, |docs| docs.config["strict_mode_config"] = strict);
    delete(&scene.server, 40);
    scene.place.run(&COMPARE).code(3);
    scene.place.run(&MISSING).success().says(&["30 points are back in"]);
    let writes = scene.server.requests_matching("PUT", "/points?wait=true&ordering=strong");
    assert!(writes.len() >= 10, "{}", writes.len());

    let busy = Answer::status(429).retry_after("1");
    let scene = docs(300, |_| {});
    delete(&scene.server, 40);
    scene.server.faults(|faults| {
        faults.add(Fault::answer(busy.clone()).on(Endpoint::ScrollPoints).after(1).first(1));
        faults.add(Fault::answer(busy).on(Endpoint::UpsertPoints).first(1));
    });
    scene.place.run(&MISSING).success().says(&["30 points are back in"]);
    assert_eq!(scene.hits(), 2);
}

#[test]
fn writes_whose_answer_is_lost_are_repeated_and_do_no_harm() {
    let scene = docs(300, |_| {});
    scene.configure(&[("retries", "3")]);
    delete(&scene.server, 40);
    scene.server.faults(|faults| {
        faults.add(Fault::new(Effect::AnswerAfter(Answer::status(502))).on(Endpoint::UpsertPoints).first(1));
    });
    scene.place.run(&MISSING).success().says(&["30 points are back in", "all of them verified"]);
    scene.place.run(&COMPARE).success();
}

#[test]
fn a_point_that_is_not_as_it_was_written_fails_the_restore_and_is_named() {
    let scene = docs(300, |_| {});
    delete(&scene.server, 12);
    scene.server.faults(|faults| {
        // The server reports a write that it did not do.
        let body =
            json!({ "result": { "operation_id": 1, "status": "completed" }, "status": "ok", "time": 0.0 });
        let lie = Answer::empty(200).json(&body);
        faults.add(Fault::answer(lie).on(Endpoint::UpsertPoints));
    });
    scene.place.run(&MISSING).code(1).says(&["2 points differ from what was written, such as 10"]);
    assert_eq!(scene.place.status().operations[&Operation::Restore].last_outcome, Some(Outcome::Failed));
}

#[test]
fn points_do_not_go_where_they_do_not_fit() {
    let scene = docs(50, |_| {});
    scene.server.state(|state| {
        let mut other = Collection::generated("other", GeneratedSnapshot::new(SIZE).points_count(5));
        other.config["params"]["vectors"]["size"] = json!(77);
        state.add_collection(other);
        state.add_collection(Collection::generated("same", GeneratedSnapshot::new(SIZE).points_count(0)));
        state.aliases.insert("prod".to_owned(), "same".to_owned());
    });
    let into = |name: &str| scene.place.run(&[&MISSING[..], &["--into", name]].concat());
    into("other").code(1).says(&["do not fit into \"other\": vectors.(unnamed).size", "77 on the server"]);
    into("prod").code(1).says(&["\"prod\" is an alias of \"same\""]);
    into("nowhere").code(1).says(&["there is no collection \"nowhere\""]);
    assert!(scene.server.requests_matching("PUT", "/points").is_empty());
    into("same").success().says(&["50 points are back in \"same\""]);
    scene.server.state(|state| assert_eq!(state.collection_mut(DOCS).points_count(), 50));
    scene.server.state(|state| drop(state.collections.remove(DOCS)));
    scene.place.run(&COMPARE).code(1).says(&["there is no collection \"docs\"", "qdrant-backup restore"]);
}

#[test]
fn named_and_sparse_vectors_are_compared_and_brought_back() {
    let scene = Scene::sample();
    let name = "named-and-sparse";
    let points = scene.server.state(|state| {
        let collection = state.collection_mut(name);
        (0..30).map(|index| collection.points.point(index, &collection.config)).collect::<Vec<Value>>()
    });
    scene.server.state(|state| {
        let collection = state.collection_mut(name);
        collection.delete_point(&points[3]["id"]);
        let mut other = points[7].clone();
        let vector = other["vector"].as_object_mut().unwrap();
        let first = vector.keys().next().unwrap().clone();
        vector.remove(&first);
        collection.write_point(other);
    });
    let compare = ["compare", "--collection", name, "--on-source"];
    let ran = scene.place.run(&compare).code(3);
    assert!(
        ran.stdout.contains("missing               1") && ran.stdout.contains("changed               1"),
        "{}",
        ran.stdout
    );
    scene
        .place
        .run(&["restore", "--points", "--missing", "--changed", "--collection", name, "--on-source"])
        .success();
    scene.place.run(&compare).success();
}

#[test]
fn points_go_back_under_their_shard_keys() {
    let keys = vec![(json!("eu"), vec![1, 2]), (json!(7), vec![3])];
    let mut setup = Setup::empty();
    setup.state.cluster_enabled = true;
    let snapshot = GeneratedSnapshot::new(SIZE).points_count(30).shard_keys(&keys);
    let scene = Scene::of(setup.collection(Collection::generated(DOCS, snapshot))).backed_up();
    let all = |scene: &Scene| scene.server.state(|state| state.collection_mut(DOCS).whole_points());
    let before = all(&scene);
    assert!(before.iter().any(|point| point["shard_key"] == 7));
    scene.server.state(|state| {
        let docs = state.collection_mut(DOCS);
        docs.delete_point(&json!(2));
        docs.delete_point(&json!(29));
        // This point was written under the other key.
        let mut moved = before[5].clone();
        moved["shard_key"] = json!(7);
        docs.write_point(moved);
    });
    let ran = scene.place.run(&[&MISSING[..], &["--changed"]].concat()).success();
    assert!(
        ran.stdout.contains("left alone            1  that are under another shard key there (5)"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("shard keys    \"eu\" (1), 7 (1)"), "{}", ran.stdout);
    let now = all(&scene);
    assert_eq!(
        now.iter().filter(|point| point["id"] != 5).collect::<Vec<_>>(),
        before.iter().filter(|point| point["id"] != 5).collect::<Vec<_>>()
    );
    scene.server.state(|state| {
        let docs = state.collection_mut(DOCS);
        docs.delete_point(&json!(29));
        docs.shards.retain(|shard| shard.key != Some(json!(7)));
    });
    scene.place.run(&MISSING).code(1).says(&["has no shard key 7, which"]);
}

#[test]
fn killed_in_the_middle_the_next_call_tidies_up_and_goes_on() {
    for (endpoint, arguments) in
        [(Endpoint::ScrollPoints, &COMPARE[..]), (Endpoint::UpsertPoints, &MISSING[..])]
    {
        let scene = docs(600, |_| {});
        delete(&scene.server, 500);
        let all = if endpoint == Endpoint::UpsertPoints { 2 } else { 1 };
        scene.server.faults(|faults| faults.add(Fault::new(Effect::NeverAnswer).on(endpoint).after(all)));
        let mut child = scene.place.command(arguments).spawn().unwrap();
        let begun = Instant::now();
        while scene.hits() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "this was never reached");
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let scratch = |scene: &Scene| {
            scene
                .server
                .state(|state| state.collections.keys().filter(|name| name.contains("__drill_")).count())
        };
        assert_eq!(scratch(&scene), 1);
        scene.heal();
        let expected = if endpoint == Endpoint::UpsertPoints { 0 } else { 3 };
        let ran = scene.place.run(arguments).code(expected);
        assert!(ran.stderr.contains("which an interrupted run left on the server"), "{}", ran.stderr);
        assert_eq!(scratch(&scene), 0);
        scene.assert_server_clean();
        if expected == 0 {
            scene.place.run(&COMPARE).success();
        }
    }
}

#[test]
fn a_backup_goes_through_a_file_of_lines_into_another_collection() {
    let spoiled = Spoiled::new();
    let server = &spoiled.scene.server;
    for name in ["points.jsonl", "points.jsonl.gz", "points.jsonl.zst"] {
        let file = spoiled.place().beside(name).display().to_string();
        let export = ["export", "--points", "--collection", &spoiled.name, "--on-source", "-o", &file];
        spoiled
            .place()
            .run(&export)
            .success()
            .says(&[&format!("Exported {} points of", spoiled.before.len())]);
        spoiled.place().run(&export).code(1).says(&["it already exists"]);
        spoiled.assert_tidy();
        let into = format!("{}-again", spoiled.name);
        let import = [
            "import",
            "--points",
            &file,
            "--into",
            &into,
            "--set",
            "shard_number=3",
            "--set",
            "hnsw_config.m=7",
        ];
        spoiled
            .place()
            .run(&import)
            .success()
            .says(&[&format!("Imported {} points of", spoiled.before.len())]);
        assert_eq!(by_id(&server.points(&into)), spoiled.before, "{name}");
        spoiled.place().run(&import).code(1).says(&["exists; choose another name, or continue", "--resume"]);
        spoiled.place().run(&[&import[..], &["--resume"]].concat()).success();
        assert_eq!(by_id(&server.points(&into)), spoiled.before, "{name}");
        server.delete(&into);
    }
    // A file that was truncated between two lines.
    let file = spoiled.place().beside("points.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let cut: Vec<&str> = text.lines().take(100).collect();
    qdrant_backup_shared::atomic::write(&file, 0o600, cut.join("\n").as_bytes()).unwrap();
    let into = format!("{}-cut", spoiled.name);
    let import = ["import", "--points", file.to_str().unwrap(), "--into", &into];
    spoiled.place().run(&import).code(1).says(&["line 100: the file ends without its closing line"]);
    server.delete(&into);
    spoiled.place().run(&["import", "--points", file.to_str().unwrap()]).code(2);
    for (arguments, says) in [
        (&["--set", "shardnumber=2"][..], "has no shardnumber; did you mean shard_number?"),
        (&["--set", "colour=red"], "has no colour; known: vectors, sparse_vectors, "),
    ] {
        spoiled.place().run(&[&import[..], arguments].concat()).code(2).says(&[says]);
    }
    let snapshot = spoiled.place().beside("docs.snapshot").display().to_string();
    let import = ["import", "--points", &snapshot, "--into", &into];
    spoiled.place().run(&import).code(2).says(&["docs.snapshot is a snapshot: import it without --points"]);
}

/// A file of the points of [`DOCS`], whose header has `params` too.
fn exported(scene: &Scene, params: Value) -> String {
    let file = scene.place.beside("points.jsonl");
    let to = file.display().to_string();
    scene.place.run(&["export", "--points", "-c", DOCS, "--on-source", "-o", &to]).success();
    let text = fs::read_to_string(&file).unwrap();
    let (header, points) = text.split_once('\n').unwrap();
    let mut header: Value = serde_json::from_str(header).unwrap();
    let known = header["config"]["params"].as_object_mut().unwrap();
    known.extend(params.as_object().unwrap().clone());
    let text = format!("{header}\n{points}");
    qdrant_backup_shared::atomic::write(&file, 0o600, text.as_bytes()).unwrap();
    to
}

#[test]
fn an_import_that_stops_says_how_to_go_on_and_then_leaves_out_nothing() {
    let scene = docs(50, |_| {});
    let file = exported(&scene, json!({ "read_fan_out_factor": 2, "colour": "red" }));
    let import = ["import", "--points", &file, "--into", "again"];
    let resume = [&import[..], &["--resume"]].concat();
    let advice = "\"again\" may exist now with only some of the points: repeat the command with --resume";
    let refuse = |endpoint: Endpoint| {
        let refused = Fault::new(Effect::Answer(Answer::status(500))).on(endpoint).first(1);
        scene.server.faults(|faults| {
            faults.clear();
            faults.add(refused);
        });
    };
    // Nothing was created, so there is nothing to go on with.
    refuse(Endpoint::CreateCollection);
    let ran = scene.place.run(&import).code(1);
    assert!(!ran.stderr.contains("--resume"), "{}", ran.stderr);
    for (nth, endpoint) in [Endpoint::UpdateCollection, Endpoint::UpsertPoints].into_iter().enumerate() {
        refuse(endpoint);
        let (command, advice) = if nth == 0 {
            (&import[..], advice)
        } else {
            (&resume[..], "to continue the import into \"again\", repeat the command")
        };
        scene.place.run(command).code(1).says(&[advice]);
    }
    let ran = scene.place.run(&resume).success().says(&["Imported 50 points of"]);
    ran.says(&[
        "\"again\" is created without params.colour, which this version does not know: set it by hand",
    ]);
    let (params, points) = scene.server.state(|state| {
        let again = state.collection_mut("again");
        (again.config["params"].clone(), again.whole_points())
    });
    assert_eq!(params["read_fan_out_factor"], json!(2));
    assert_eq!(points.len(), 50);
}

#[test]
fn a_file_that_is_damaged_joined_or_of_another_collection_is_not_imported_as_whole() {
    let scene = docs(50, |_| {});
    let place = &scene.place;
    let file = exported(&scene, json!({}));
    let packed = |name: &str| {
        let to = place.beside(name).display().to_string();
        place.run(&["export", "--points", "-c", DOCS, "--on-source", "-o", &to]).success();
        fs::read(&to).unwrap()
    };
    let (plain, gzip, zstd) = (fs::read(&file).unwrap(), packed("whole.jsonl.gz"), packed("whole.jsonl.zst"));
    // The last bytes are the checksum.
    let flipped = |bytes: &[u8], from_the_end: usize| {
        let mut bytes = bytes.to_vec();
        let at = bytes.len() - from_the_end;
        bytes[at] ^= 1;
        bytes
    };
    for (number, (bytes, says)) in [
        (gzip[..gzip.len() - 5].to_vec(), "cannot be read after line 52"),
        (flipped(&gzip, 6), "cannot be read after line 52"),
        (flipped(&zstd, 2), "cannot be read after line"),
        (
            [&gzip[..], &gzip].concat(),
            "line 53: it comes after the closing line: are these two files in one?",
        ),
        ([&plain[..], b"x"].concat(), "line 53: it comes after the closing line"),
    ]
    .into_iter()
    .enumerate()
    {
        let (broken, into) = (place.beside("broken"), format!("new-{number}"));
        qdrant_backup_shared::atomic::write(&broken, 0o600, &bytes).unwrap();
        place.run(&["import", "--points", broken.to_str().unwrap(), "--into", &into]).code(1).says(&[says]);
    }
    // A collection that is not an interrupted import is left alone.
    let points = |name: &str| scene.server.state(|state| state.collection_mut(name).whole_points());
    place.run(&["import", "--points", &file, "--into", "same"]).success();
    scene.server.state(|state| {
        let same = state.collection_mut("same");
        let mut point = same.whole_points().remove(3);
        point["payload"] = json!({ "n": "another" });
        same.write_point(point);
        let mut other = Collection::generated("other", GeneratedSnapshot::new(SIZE).points_count(5));
        other.config["params"]["vectors"] = json!({ "size": 3, "distance": "Dot" });
        state.add_collection(other);
    });
    for (into, says) in [
        ("same", "\"same\" has other points than the file, such as "),
        ("other", "the points do not fit into \"other\""),
    ] {
        let asked = || ["PUT", "PATCH"].map(|method| scene.server.requests_matching(method, into).len());
        let before = (points(into), asked());
        place
            .run(&["import", "--points", &file, "--into", into, "--resume"])
            .code(1)
            .says(&[says])
            .never_says("delete the collection");
        assert_eq!((points(into), asked()), before, "nothing was changed");
    }
}

/// Starts `arguments` and waits until a fault has had an effect.
fn started(scene: &Scene, arguments: &[&str]) -> Running {
    let running = Running::start(&mut scene.place.command(arguments));
    let begun = Instant::now();
    while scene.hits() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "this was never reached");
        std::thread::sleep(Duration::from_millis(20));
    }
    running
}

#[test]
fn a_point_that_somebody_writes_after_the_plan_is_left_alone() {
    let scene = docs(50, |_| {});
    delete(&scene.server, 13);
    // The first points by id are read after the plan.
    let slow = Fault::new(Effect::Delay(Duration::from_secs(2))).on(Endpoint::RetrievePoints).first(1);
    scene.server.faults(|faults| faults.add(slow));
    let running = started(&scene, &MISSING);
    let theirs = scene.server.state(|state| {
        let docs = state.collection_mut(DOCS);
        let mut point = docs.whole_points().remove(0);
        (point["id"], point["payload"]) = (json!(11), json!({ "written": "just now" }));
        docs.write_point(point.clone());
        point
    });
    running.end().success().says(&[
        "2 points are back in",
        "1 were written by someone else in the meantime and are left alone (11)",
    ]);
    let now = scene.server.state(|state| state.collection_mut(DOCS).whole_points());
    assert_eq!(now[11], theirs);
}

#[test]
fn a_signal_ends_a_comparison_and_leaves_nothing_on_the_server() {
    let scene = docs(50, |_| {});
    scene.server.faults(|faults| faults.add(Fault::new(Effect::NeverAnswer).on(Endpoint::ScrollPoints)));
    let running = started(&scene, &COMPARE);
    running.signal(Signal::TERM);
    running.end().code(143).says(&["Comparison failed: interrupted by a signal"]);
    scene.server.state(|state| assert_eq!(state.collections.keys().collect::<Vec<_>>(), [DOCS]));
    scene.assert_server_clean();
}

#[test]
fn a_backup_that_is_too_large_for_the_source_is_compared_elsewhere() {
    let scene = docs(50, |_| {});
    delete(&scene.server, 13);
    scene.place.configure("drill:\n  max_size: 1KiB\n");
    scene.place.run(&COMPARE).code(1).says(&["drill.max_size is 1.00 KiB"]);
    let other = StandIn::start(Setup::empty());
    let elsewhere = ["compare", "--collection", DOCS, "--to", &other.url()];
    let ran = scene.place.run(&elsewhere).code(3);
    assert!(ran.stdout.contains("missing               3"), "{}", ran.stdout);
    assert!(other.state(|state| state.collections.is_empty()));
    scene
        .place
        .run(&["restore", "--points", "--missing", "--collection", DOCS, "--to", &other.url()])
        .success();
    assert!(other.requests_matching("PUT", "/points").is_empty(), "points go to the live collection");
    scene.place.run(&elsewhere).success();
}
