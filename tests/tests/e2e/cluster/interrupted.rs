//! Interrupted backups of clusters: by signals, and by kill -9 at any moment.

use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{Effect, Endpoint, Fault, Setup, StandIn, folder};
use e2e::scene::DOCS;
use e2e::{Running, eventually};
use qdrant_backup_shared::operation::{Operation, Outcome};
use rustix::process::Signal;

use super::{Scene, creations, docs, tenants};
use e2e::random::{Random, seed};

use crate::kills::assert_list_is_true;
use crate::traces::none;

/// The number of killed runs.
const KILLS: u64 = 30;

/// Every snapshot on any node.
fn left(scene: &Scene) -> Vec<String> {
    let mut left = scene.cluster.all_snapshots();
    left.sort();
    left
}

/// The snapshots that are ours or may be ours according to the status, in the same format.
fn suspected(scene: &Scene) -> Vec<String> {
    let status = scene.place.status();
    let entries = status.suspected_leftovers.iter();
    let mut suspected: Vec<String> = entries
        .map(|entry| format!("{}: {}", folder(entry.collection.as_str(), entry.shard_id), entry.name))
        .collect();
    suspected.sort();
    suspected
}

#[test]
fn a_signal_ends_the_run_with_nothing_left_on_any_node() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let scene = Scene::docs(1);
        scene.fault(2, Fault::new(Effect::BytesPerSecond(1 << 10)).first(1));
        let command = &mut scene.place.command(&["backup", "--jobs", "3"]);
        let running = Running::start(command);
        let downloads = |node: &StandIn| node.requests_matching("GET", ".snapshot").len();
        eventually("all nodes are read from", || {
            scene.cluster.nodes().iter().all(|node| downloads(node) > 0)
        });

        running.end_with(signal).code(code).says(&["Backup interrupted by a signal: 0 of 1 collections"]);

        assert_eq!((scene.place.temporary(), scene.place.stored()), (none(), none()));
        scene.assert_clean();
        let history = &scene.place.status().operations[&Operation::Backup];
        assert_eq!(history.last_outcome, Some(Outcome::Interrupted));
        scene.backup().success();
        assert_eq!(scene.place.prove(), 1);
    }
}

#[test]
fn a_signal_during_a_creation_is_obeyed_and_what_its_node_makes_is_reported_later() {
    let scene = Scene::docs(1);
    scene.fault(1, Fault::new(Effect::CreationTakes(Duration::from_secs(2))).first(1));
    let running = Running::start(&mut scene.place.command(&["backup", "--jobs", "3"]));
    eventually("the creation is requested", || !creations(scene.node(1)).is_empty());
    running.end_with(Signal::TERM).code(143);
    let unanswered = scene.place.status().unanswered_creations;
    assert!(unanswered.iter().any(|creating| creating.shard_id == Some(1)), "{unanswered:?}");
    eventually("the node finishes anyway", || !scene.node(1).all_snapshots().is_empty());

    scene.backup().success().says(&["WARN", "was probably left by an interrupted run"]);

    assert_eq!(scene.node(1).shard_snapshot_names(DOCS, 1).len(), 1);
    assert_eq!(left(&scene), suspected(&scene));
    assert_eq!(scene.place.prove(), 1);
    scene.place.run(&["prune", "--server-leftovers"]).success();
}

#[test]
fn killed_at_any_moment_a_run_leaves_only_backups_that_can_be_trusted() {
    let mut random = Random::of(seed());
    // Makes every stage long enough to be hit.
    let setup = Setup::cluster(3)
        .spread(docs(6), 2)
        .spread(tenants(), 1)
        .fault(Fault::new(Effect::CreationTakes(Duration::from_millis(60))))
        .fault(Fault::new(Effect::BytesPerSecond(1 << 20)))
        .fault(Fault::new(Effect::Delay(Duration::from_millis(30))).on(Endpoint::DeleteShardSnapshot));
    let scene = Scene::of(setup);
    let began = Instant::now();
    scene.place.run(&["backup", "--jobs", "3"]).success();
    let longest = u64::try_from(began.elapsed().as_micros()).unwrap() * 11 / 10;
    for _ in 0..KILLS {
        let mut command = scene.place.command(&["backup", "--jobs", "3"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random.below(longest)));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert!(ended.code().is_none_or(|code| code == 0), "killed or successful, never failed: {ended:?}");
        assert_list_is_true(&scene.place);
    }
    // Creations in progress when their run died may have finished.
    std::thread::sleep(Duration::from_millis(200));
    let before = assert_list_is_true(&scene.place);
    scene.place.run(&["backup", "--jobs", "3"]).success();
    assert_eq!(assert_list_is_true(&scene.place), before + 2);
    assert_eq!(scene.place.temporary(), none());
    let status = scene.place.status();
    assert_eq!((status.current_run, status.undeleted_snapshots), (None, Vec::new()));
    // No node keeps what is certainly ours. What may be ours, because no answer named it, is reported.
    assert_eq!(left(&scene), suspected(&scene));
    scene.place.run(&["verify", "--backup", "all"]).success();
}
