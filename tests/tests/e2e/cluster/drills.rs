//! Drills of backups by shard.

use e2e::qdrant_stand_in::{Effect, Fault, Setup, StandIn, StandInCluster};
use e2e::scene::DOCS;
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::operation::Operation;
use qdrant_backup_shared::verification::{CheckOutcome, Level};

use super::{Scene, TENANTS, docs, tenants, uploads};
use crate::traces::none;

fn scene() -> Scene {
    Scene::of(Setup::cluster(3).spread(docs(3), 2).spread(tenants(), 1)).backed_up()
}

#[track_caller]
fn outcome(scene: &Scene, collection: &str) -> CheckOutcome {
    scene.place.newest(collection).verification.expect("a record").levels[&Level::Restore].outcome.clone()
}

#[track_caller]
fn assert_nothing_left(scene: &Scene, cluster: &StandInCluster, collections: &[&str]) {
    let left: Vec<String> = cluster.state(|state| state.collections.keys().cloned().collect());
    assert_eq!(left, collections);
    assert_eq!(cluster.all_snapshots(), none());
    let status = scene.place.status();
    assert_eq!((status.restoring, status.undeleted_snapshots, status.current_run), (vec![], vec![], None));
}

#[test]
fn backups_by_shard_are_drilled_on_clusters_of_any_size() {
    for count in [1, 2, 3] {
        let scene = scene();
        let target = StandInCluster::start_with(Setup::cluster(count));
        let ran = scene.place.run(&["drill", "--to", &target.urls()[0]]).success();
        ran.says(&["Drill succeeded: 2 of 2 backups passed"]);
        assert_eq!(outcome(&scene, DOCS), CheckOutcome::Passed);
        assert_eq!(outcome(&scene, TENANTS), CheckOutcome::Passed);
        assert_nothing_left(&scene, &target, &[]);
    }
}

#[test]
fn a_drill_on_the_source_leaves_its_collections_and_nothing_else() {
    let scene = scene();
    scene.place.run(&["drill", "--on-source"]).success().says(&["2 of 2 backups passed"]);
    assert_nothing_left(&scene, &scene.cluster, &[DOCS, TENANTS]);
}

#[test]
fn outside_cluster_mode_shard_keys_cannot_be_drilled_and_others_are() {
    let scene = scene();
    let single = StandIn::start(Setup::empty());
    let ran = scene.place.run(&["drill", "--to", &single.url()]).success();
    ran.says(&["Drill succeeded: 1 of 2 backups passed, 1 cannot be drilled"]);
    assert_eq!(outcome(&scene, DOCS), CheckOutcome::Passed);
    assert_eq!(outcome(&scene, TENANTS), CheckOutcome::Unsupported);
    assert_eq!(scene.place.newest(TENANTS).condition(), Condition::Good);
    let drill = &scene.place.status().operations[&Operation::Drill];
    assert_eq!((drill.failures_total, drill.consecutive_failures), (0, 0));
    assert!(single.state(|state| state.collections.is_empty()));
    assert_eq!(single.all_snapshots(), none());
}

#[test]
fn a_point_that_differs_in_one_shard_fails_the_drill_and_is_named() {
    let scene = scene();
    let single = StandIn::start(Setup::empty());
    let sample = scene.manifest(DOCS).points_sample.expect("a sample");
    let point = sample.points.last().unwrap().id.clone();
    let index: u64 = serde_json::to_value(&point).unwrap().as_u64().unwrap();
    single.faults(|faults| faults.add(Fault::new(Effect::RestoredVectorDiffers(index))));
    let ran = scene.place.run(&["drill", "--collection", DOCS, "--to", &single.url()]).code(4);
    ran.says(&[&format!("point {index} differs from the backup")]);
    assert_eq!(outcome(&scene, DOCS), CheckOutcome::Failed);
    assert!(single.state(|state| state.collections.is_empty()));
}

#[test]
fn a_drill_that_fails_half_way_condemns_nothing_and_leaves_nothing() {
    let scene = scene();
    let target = StandInCluster::start_with(Setup::cluster(2));
    for node in target.nodes() {
        node.faults(|faults| faults.add(Fault::new(Effect::UploadNoSpace).shard(1)));
    }
    scene.place.run(&["drill", "--collection", DOCS, "--to", &target.urls()[0]]).code(1).says(&["shard 1"]);
    assert_eq!(outcome(&scene, DOCS), CheckOutcome::Inconclusive);
    assert_eq!(scene.place.newest(DOCS).condition(), Condition::Good);
    assert_nothing_left(&scene, &target, &[]);
    assert!(!uploads(target.nodes(), "docs").contains(&2));
}
