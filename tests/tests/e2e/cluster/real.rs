//! Tests with a real cluster if `QDRANT_URL` and `QDRANT_NODES` are set: collections of every kind are backed up,
//! restored under another name, and compared point by point on each node.

use e2e::scene::configuration;
use e2e::{Cluster, Place, Ran};

use crate::traces::none;

/// Timeouts for a real cluster, with or without `qdrant.nodes`.
fn place(cluster: &Cluster) -> Place {
    let place = Place::initialised(cluster.url());
    let nodes = cluster.list();
    let changes = [
        ("nodes", nodes.as_str()),
        ("cluster_timeout", "60s"),
        ("stall_timeout", "20s"),
        ("create_timeout", "60s"),
    ];
    place.configure(&configuration(&changes));
    place
}

fn backup(cluster: &Cluster, place: &Place) -> Ran {
    place.run(&[&["backup", "--jobs", "3"], &cluster.selection()[..]].concat())
}

#[test]
fn every_kind_of_collection_comes_back_beside_itself_on_a_real_cluster_too() {
    let cluster = Cluster::with_samples();
    let place = place(&cluster);
    backup(&cluster, &place).success();
    assert_eq!(place.prove(), cluster.collections().len());
    place.run(&["verify"]).success();
    for name in cluster.collections() {
        assert!(place.newest(name).manifest.is_by_shard(), "{name}");
        assert_eq!(cluster.snapshots(name), none(), "{name}");
        let original = cluster.nodes.points(0, name);
        cluster.nodes.assert_points(name, &original);
        let restored = format!("{name}-restored");
        place.run(&["restore", "--collection", name, "--as", &restored]).success();
        cluster.nodes.assert_points(&restored, &original);
        let shards = |name: &str| cluster.nodes.replicas(name);
        assert_eq!(shards(&restored), shards(name), "keys, ids and copies");
        assert!(shards(&restored).iter().all(|(_, _, state)| state == "Active"));
        assert_eq!(cluster.snapshots(&restored), none());
        place.run(&["restore", "--collection", name, "--as", &restored]).code(1).says(&["exists"]);
        cluster.delete(&restored);
    }
    let status = place.status();
    assert_eq!((status.restoring, status.undeleted_snapshots), (vec![], vec![]));
}

#[test]
fn another_number_of_copies_is_made_on_a_real_cluster_too() {
    let cluster = Cluster::with_samples();
    let place = place(&cluster);
    backup(&cluster, &place).success();
    for name in cluster.collections() {
        let original = cluster.nodes.points(0, name);
        let shards = place.newest(name).manifest.archives.len();
        for copies in [1, 3] {
            let restored = format!("{name}-times-{copies}");
            let factor = copies.to_string();
            let arguments =
                ["restore", "--collection", name, "--as", &restored, "--replication-factor", &factor];
            place.run(&arguments).success();
            cluster.nodes.assert_points(&restored, &original);
            assert_eq!(cluster.nodes.replicas(&restored).len(), shards * copies, "{restored}");
            cluster.delete(&restored);
        }
    }
}

#[test]
fn drills_pass_and_leave_nothing_on_a_real_cluster_too() {
    let cluster = Cluster::with_samples();
    let place = place(&cluster);
    backup(&cluster, &place).success();
    let before = cluster.names();
    let passed = format!("{0} of {0} backups passed", cluster.collections().len());
    place.run(&["drill", "--on-source"]).success().says(&[&passed]);
    assert_eq!(cluster.names(), before);
    assert_eq!(place.status().restoring, []);
}

#[test]
fn what_is_exported_and_imported_comes_back_on_a_real_cluster_too() {
    let cluster = Cluster::with_samples();
    let place = place(&cluster);
    backup(&cluster, &place).success();
    let name = cluster.collections().iter().find(|name| cluster.is_keyed(name)).expect("one with keys");
    let directory = place.beside("exported");
    let directory = directory.to_str().unwrap();
    place.run(&["export", "--collection", name, "--output", directory]).success();
    let other = self::place(&cluster);
    other.run(&["import", directory]).success();
    let restored = format!("{name}-imported");
    other.run(&["restore", "--collection", name, "--as", &restored]).success();
    cluster.nodes.assert_points(&restored, &cluster.nodes.points(0, name));
    cluster.delete(&restored);
}
