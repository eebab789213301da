//! The addresses of nodes: by the rule, by a list, and by a wrong list.

use e2e::qdrant_stand_in::{Answer, Endpoint, Fault, Setup, StandIn, StandInCluster};
use e2e::scene::{DOCS, configuration, generated};
use e2e::{Place, Ran};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::manifest::Scope;

use super::{Scene, docs};

#[test]
fn nodes_are_found_at_their_hosts_with_the_rest_of_the_url() {
    let setup = Setup::cluster(3).spread(docs(3), 1).path_prefix("/qdrant").api_key("a-key");
    let cluster = StandInCluster::start_with(setup);
    let place = Place::new(&cluster.urls()[0]);
    let run = |arguments: &[&str]| Ran::of(place.command(arguments).env("QDRANT_API_KEY", "a-key"));
    run(&["init"]).success();
    run(&["backup"]).success().never_says("WARN");
    assert_eq!(place.prove(), 1);
    for node in cluster.nodes() {
        assert_eq!(node.requests_matching("POST", "/qdrant/collections/docs/shards/").len(), 1);
    }
    assert_eq!(cluster.all_snapshots(), Vec::<String>::new());
}

#[test]
fn where_the_rule_does_not_fit_it_is_said_and_a_list_helps() {
    let scene = Scene::of(Setup::cluster_on_ports(3).spread(docs(3), 1));
    let first = scene.node(0).peer_id();
    scene
        .backup()
        .code(1)
        .says(&["WARN", &format!("is node {first}; set qdrant.nodes to the REST URLs of all nodes")]);
    scene.assert_failed(
        DOCS,
        &FailureKind::ShardsUncovered,
        &["shard 1 is only on nodes that do not answer"],
    );

    scene.configure(&[("nodes", &scene.list())]);
    scene.backup().success().never_says("WARN");
    scene.configure(&[]);
    let list = scene.nodes.urls().join(",");
    Ran::of(scene.place.command(&["backup"]).env("QDRANT_NODES", &list)).success().never_says("WARN");
    assert_eq!(scene.place.prove(), 2);
    scene.assert_clean();
}

#[test]
fn urls_that_are_wrong_are_told_each_and_the_right_ones_used() {
    let scene = Scene::of(Setup::cluster_on_ports(3).spread(docs(3), 2));
    let other = StandInCluster::start_with(Setup::cluster(1).peer_id(77));
    let alone = StandIn::start(Setup::empty());
    let [first, second] = [0, 1].map(|node| scene.nodes.urls()[node].clone());
    let nowhere = "http://127.0.0.1:1".to_owned();
    let given = [
        first.clone(),
        second.clone(),
        second.clone(),
        other.urls()[0].clone(),
        alone.url(),
        nowhere.clone(),
    ];
    scene.configure(&[("nodes", &format!("[{}]", given.join(", ")))]);

    let ran = scene.backup().success();

    let same = format!("are the same node, {}: the first is used", scene.node(1).peer_id());
    let ran = ran.says(&["WARN", &second, &same]);
    let ran = ran.says(&["WARN", &other.urls()[0], "which is not in the cluster of", "not used"]);
    let ran = ran.says(&["WARN", &alone.url(), "is not used: it is not in cluster mode"]);
    let ran = ran.says(&["WARN", &nowhere, "is not used: "]);
    ran.says(&[
        "WARN",
        &format!("node {} of the cluster is not used", scene.node(2).peer_id()),
        "no answering URL in qdrant.nodes belongs to it",
    ]);
    assert_eq!(scene.place.prove(), 1);
    assert!(scene.origins(DOCS).values().all(|node| *node != 2));
    assert!(other.nodes()[0].requests().iter().all(|request| !request.changes_something()));
    scene.assert_clean();
    assert!(checked(&scene.place).contains("2 of 3 nodes answer"));
}

/// The output of `config check`.
fn checked(place: &Place) -> String {
    place.run(&["config", "check"]).stdout
}

#[test]
fn the_list_need_not_have_the_url_that_is_asked() {
    let scene = Scene::of(Setup::cluster_on_ports(3).spread(docs(3), 1));
    let others = scene.nodes.urls()[1..].join(", ");
    scene.configure(&[("nodes", &format!("[{others}]"))]);
    scene.backup().success().never_says("WARN");
    assert_eq!(scene.place.prove(), 1);
}

#[test]
fn a_peer_that_is_listed_and_not_there_is_told_and_does_not_matter() {
    let setup = Setup::cluster(3).spread(docs(3), 1).stranger(77, "http://127.0.0.9:6335/");
    let scene = Scene::of(setup);
    scene.backup().success().says(&["WARN", "node 77 of the cluster is not used", "127.0.0.9"]);
    assert_eq!(scene.place.prove(), 1);
    scene.assert_clean();
    let odd = Scene::of(Setup::cluster(3).spread(docs(3), 1).stranger(78, "nonsense"));
    odd.backup().success().says(&["WARN", "node 78", "set qdrant.nodes"]);
}

#[test]
fn where_the_cluster_may_not_be_asked_the_node_is_backed_up_alone() {
    let proxy = Fault::answer(Answer::status(404).text("no such page"));
    for refused in [Fault::status(403), Fault::status(404), proxy] {
        let setup = Setup::cluster(3).spread(docs(3), 1).collection(generated("whole"));
        let scene = Scene::of(setup.fault(refused.on(Endpoint::Cluster)));

        scene.backup().code(3).says(&["ERROR: Backup of docs failed", "this node cannot snapshot the whole"]);

        let [second, third] = [1, 2].map(|node| scene.node(node).peer_id());
        let lacks = format!("shard 1 (only on peer {second}), shard 2 (only on peer {third})");
        scene.assert_failed(DOCS, &FailureKind::ShardsUncovered, &[&lacks]);
        assert_eq!(scene.manifest("whole").archives[0].scope, Scope::Collection);
        assert_eq!(scene.place.prove(), 1);
        assert!(scene.node(1).requests().is_empty());
        scene.assert_clean();
    }
}

#[test]
fn config_check_tells_how_many_nodes_answer_and_which_do_not() {
    let scene = Scene::docs(2);
    assert!(checked(&scene.place).contains("3 of 3 nodes answer"), "{}", checked(&scene.place));
    scene.node(2).go_down();
    let lost = format!("node {} of the cluster is not used", scene.node(2).peer_id());
    let text = checked(&scene.place);
    assert!(text.contains("2 of 3 nodes answer") && text.contains(&lost), "{text}");
    let single = StandIn::start(Setup::empty());
    let place = Place::initialised(&single.url());
    assert!(!checked(&place).contains("nodes answer"));
    place.configure(&configuration(&[("nodes", &format!("[{}]", single.url()))]));
    let text = checked(&place);
    assert!(
        text.contains("qdrant.nodes lists 1 nodes, but") && text.contains("is not in a cluster"),
        "{text}"
    );
}
