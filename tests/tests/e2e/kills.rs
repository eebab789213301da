//! Runs ended by signals, which clean up, and by kill -9, which do not.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::qdrant_stand_in::{Effect, Endpoint, Fault, Setup, StandIn};
use e2e::random::{Random, seed};
use e2e::running::PATIENCE;
use e2e::{Place, Ran, Running, Scene, eventually, eventually_within};
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::{CollectionName, FailureKind};
use rustix::process::Signal;
use serde_json::Value;

use crate::traces::{asked, collection_of, none, server_of};

const MIB: u64 = 1 << 20;

/// Checks that the run cleaned up: no temporary files, no snapshots on the server, and a correct status.
#[track_caller]
fn assert_interrupted(place: &Place, server: &StandIn, ran: &Ran) {
    assert_eq!(place.temporary(), none());
    assert_eq!(server.snapshot_names("vectors"), none());
    let status = place.status();
    assert_eq!(status.current_run, None);
    let history = &status.operations[&Operation::Backup];
    assert_eq!(history.last_outcome, Some(Outcome::Interrupted));
    assert_eq!(history.failures, BTreeMap::from([(FailureKind::Interrupted, 1)]));
    let vectors = CollectionName::new("vectors").unwrap();
    assert_eq!(status.collections[&vectors].last_outcome, Some(Outcome::Interrupted));
    assert!(status.undeleted_snapshots.is_empty());
    let last = ran.stderr.lines().last().unwrap();
    assert!(last.contains("ERROR: Backup interrupted by a signal: 0 of 1 collections"), "{}", ran.stderr);
}

#[test]
fn a_signal_during_the_download_ends_the_run_with_a_true_status_and_nothing_left() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        let server = server_of(MIB);
        let slow = Fault::new(Effect::BytesPerSecond(64 << 10)).first(1);
        server.faults(|faults| faults.add(slow));
        let place = Place::initialised(&server.url());
        let running = Running::start(&mut place.command(&["backup"]));
        eventually("a temporary file", || !place.temporary().is_empty());
        eventually("the download begins", || !asked(&server, "GET", ".snapshot").is_empty());
        let sent = Instant::now();
        running.signal(signal);
        let ran = running.end().code(code);
        assert!(sent.elapsed() < Duration::from_secs(8), "it ended at once, not with the download");

        assert_interrupted(&place, &server, &ran);
        assert_eq!(place.backups("vectors").len(), 0);
        assert_eq!(place.catalog().orphans, []);
        let next = place.run(&["backup"]).success();
        assert!(!next.stderr.contains("died"), "{}", next.stderr);
        assert_eq!(place.prove(), 1);
    }
}

#[test]
fn a_signal_during_the_creation_is_obeyed_and_what_the_server_makes_is_reported_later() {
    let server = server_of(64 << 10);
    server.faults(|faults| faults.add(Fault::new(Effect::CreationTakes(Duration::from_secs(2))).first(1)));
    let place = Place::initialised(&server.url());
    let running = Running::start(&mut place.command(&["backup"]));
    eventually("the creation is requested", || !asked(&server, "POST", "/snapshots").is_empty());
    running.signal(Signal::TERM);
    let ran = running.end().code(143);

    assert_interrupted(&place, &server, &ran);
    assert_eq!(place.status().unanswered_creations.len(), 1, "the intent is kept");
    let leftover =
        eventually_within(PATIENCE, "the server finishes anyway", || server.snapshot_names("vectors").pop());

    place.run(&["backup"]).success().says(&["WARN", &leftover, "not deleted, because that is not certain"]);
    let status = place.status();
    let suspected: Vec<&str> = status.suspected_leftovers.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(suspected, [leftover.as_str()]);
    assert_eq!(server.snapshot_names("vectors"), [leftover.as_str()]);
    assert_eq!(place.prove(), 1);
}

#[test]
fn collections_done_before_a_signal_stay_done() {
    let setup =
        Setup::empty().collection(collection_of("a", 64 << 10)).collection(collection_of("vectors", MIB));
    let slow = Fault::new(Effect::BytesPerSecond(64 << 10)).collection("vectors");
    let Scene { server, place } = Scene::on(StandIn::start(setup.fault(slow)));
    let running = Running::start(&mut place.command(&["backup", "--json"]));
    eventually("the second download begins", || !asked(&server, "GET", "vectors/snapshots/").is_empty());
    running.signal(Signal::TERM);
    let ran = running.end().code(143).says(&["Backup interrupted by a signal: 1 of 2 collections"]);
    assert_eq!(place.prove(), 1);
    let report: Value = serde_json::from_str(&ran.stdout).expect("the report is printed anyway");
    assert_eq!(report["outcome"], "interrupted");
    let status = place.status();
    assert_eq!(status.collections[&CollectionName::new("a").unwrap()].last_outcome, Some(Outcome::Success));
    assert_eq!(status.operations[&Operation::Backup].last_success_at, None);
}

/// The number of killed runs, with one collection at a time and with several.
const KILLS: u64 = 60;
const KILLS_OF_SEVERAL: u64 = 40;

/// Checks that `list` is right: every backup is good, and every archive decompresses to the recorded digest.
#[track_caller]
pub fn assert_list_is_true(place: &Place) -> usize {
    let list = place.run(&["list", "--json"]).success();
    let listing: Value = serde_json::from_str(&list.stdout).expect("JSON");
    let backups = listing["backups"].as_array().unwrap();
    assert!(backups.iter().all(|backup| backup["condition"] == "good"), "{listing}");
    assert_eq!(listing["unreadable"].as_array().unwrap().len(), 0, "{listing}");
    assert_eq!(place.prove(), backups.len());
    backups.len()
}

#[test]
fn killed_at_any_moment_a_run_leaves_only_backups_that_can_be_trusted() {
    kill_often(KILLS, "1", &["vectors", "texts"]);
}

#[test]
fn killed_with_several_collections_under_way_a_run_loses_none_of_them() {
    kill_often(KILLS_OF_SEVERAL, "3", &["vectors", "texts", "images", "sounds"]);
}

fn kill_often(kills: u64, jobs: &str, names: &[&str]) {
    let mut random = Random::of(seed());
    let mut setup = Setup::empty();
    for name in names {
        setup = setup.collection(collection_of(name, 192 << 10));
    }
    // Makes every stage long enough to be hit.
    let setup = setup
        .fault(Fault::new(Effect::CreationTakes(Duration::from_millis(60))))
        .fault(Fault::new(Effect::BytesPerSecond(2 * MIB)))
        .fault(Fault::new(Effect::Delay(Duration::from_millis(60))).on(Endpoint::DeleteSnapshot));
    let Scene { server, place } = Scene::on(StandIn::start(setup));
    let start = || {
        let mut command = place.command(&["backup", "--jobs", jobs]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let began = Instant::now();
    place.run(&["backup", "--jobs", jobs]).success();
    // A little longer than a run takes on this machine, so that its end is hit too.
    let longest = u64::try_from(began.elapsed().as_micros()).unwrap() * 11 / 10;

    for stage in [Stage::Create, Stage::Download, Stage::Cleanup] {
        let mut child = start();
        eventually(&format!("stage {stage}"), || {
            let current = place.status().current_run;
            // The file may still describe the previous run.
            current.is_some_and(|current| current.pid == child.id() && current.stage == stage)
        });
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "killed in stage {stage}");
        assert_list_is_true(&place);
    }
    for _ in 0..kills {
        let mut child = start();
        std::thread::sleep(Duration::from_micros(random.below(longest)));
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        assert!(ended.code().is_none_or(|code| code == 0), "killed or successful, never failed: {ended:?}");
        assert!(
            ended.code().is_none() || place.status().current_run.is_none(),
            "a finished run is not in progress"
        );
        assert_list_is_true(&place);
    }

    // A creation that was in progress when its run died may have finished.
    std::thread::sleep(Duration::from_millis(200));
    let orphans: BTreeSet<_> = place.catalog().orphans.into_iter().map(|orphan| orphan.path).collect();
    let before = assert_list_is_true(&place);
    place.run(&["backup", "--jobs", jobs]).success();
    assert_eq!(assert_list_is_true(&place), before + names.len());
    assert_eq!(place.temporary(), none());
    let catalog = place.catalog();
    assert_eq!(catalog.orphans.into_iter().map(|orphan| orphan.path).collect::<BTreeSet<_>>(), orphans);
    let status = place.status();
    assert_eq!(status.current_run, None);
    assert!(status.undeleted_snapshots.is_empty(), "{:?}", status.undeleted_snapshots);
    for name in names {
        let mut suspected: Vec<String> = status
            .suspected_leftovers
            .iter()
            .filter(|entry| entry.collection.as_str() == *name)
            .map(|entry| entry.name.clone())
            .collect();
        suspected.sort();
        assert_eq!(server.snapshot_names(name), suspected, "everything left on the server is reported");
    }
}
