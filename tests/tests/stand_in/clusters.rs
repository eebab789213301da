//! Clusters: the nodes' addresses, what each node reports, and what can be read through it.

use e2e::qdrant_stand_in::{
    Collection, Effect, Endpoint, Fault, GeneratedSnapshot, Setup, StandIn, StandInCluster,
};
use serde_json::{Value, json};

use crate::client::{count, get, points, post, put, replicas, send};

fn docs(shards: u32, points: u64) -> Collection {
    Collection::generated("docs", GeneratedSnapshot::new(0).points_count(points).shards(shards))
}

fn process_id(stand_in: &StandIn) -> Value {
    get(stand_in, "/telemetry").result()["id"].clone()
}

#[test]
fn nodes_share_one_port_at_addresses_of_their_own() {
    let cluster = StandInCluster::start_with(Setup::cluster(3));
    let port = cluster.nodes()[0].port();
    let urls: Vec<String> = (1..=3).map(|host| format!("http://127.0.0.{host}:{port}")).collect();
    assert_eq!(cluster.urls(), urls);
    for (node, host) in cluster.nodes().iter().zip(1..) {
        let shown = get(node, "/cluster").result();
        assert_eq!(shown["peer_id"], json!(node.peer_id()));
        let uri = &shown["peers"][node.peer_id().to_string()]["uri"];
        assert_eq!(*uri, json!(format!("http://127.0.0.{host}:6335/")));
        assert_eq!(shown["peers"].as_object().unwrap().len(), 3);
    }
}

#[test]
fn nodes_at_one_address_have_a_port_each() {
    let cluster = StandInCluster::start_with(Setup::cluster_on_ports(3).path_prefix("/q"));
    let ports: std::collections::BTreeSet<u16> = cluster.nodes().iter().map(StandIn::port).collect();
    assert_eq!(ports.len(), 3);
    for url in cluster.urls() {
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/q"), "{url}");
    }
}

#[tokio::test]
async fn one_authority_is_enough_to_trust_every_node() {
    let provider = rustls::crypto::ring::default_provider();
    // Another test of this process may have installed it before.
    provider.install_default().ok();
    let cluster = StandInCluster::start_with(Setup::cluster(3).tls());
    let pem = cluster.nodes()[0].authority_pem().unwrap();
    let trusting = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()])
        .build()
        .unwrap();
    for url in cluster.urls() {
        assert_eq!(trusting.get(format!("{url}/cluster")).send().await.unwrap().status(), 200, "{url}");
    }
}

#[test]
fn a_peer_may_be_listed_that_is_not_there_and_a_node_may_be_behind() {
    let setup = Setup::cluster(2).stranger(77, "http://127.0.0.9:6335/");
    let cluster = StandInCluster::start_with(setup);
    let commit = |node: usize| {
        let shown = get(&cluster.nodes()[node], "/cluster").result();
        assert_eq!(shown["peers"]["77"]["uri"], json!("http://127.0.0.9:6335/"));
        shown["raft_info"]["commit"].as_u64().unwrap()
    };
    let before = commit(0);
    cluster.state(|state| state.nodes[1].lag(3, 2));
    assert_eq!([commit(0), commit(1), commit(1), commit(1)], [before, before - 3, before - 3, before]);
    let body = json!({ "vectors": { "size": 4, "distance": "Dot" } });
    put(&cluster.nodes()[0], "/collections/new", &body).result();
    assert!(commit(1) > before);
}

#[test]
fn a_node_goes_down_and_comes_up_at_its_port_with_what_is_on_its_disk() {
    let cluster = StandInCluster::start_with(Setup::cluster(3).spread(docs(3, 90), 1));
    let node = &cluster.nodes()[1];
    let (url, process) = (node.url(), process_id(node));
    post(node, "/collections/docs/shards/1/snapshots", "").result();
    node.go_down();
    assert!(send(node, "GET", "/cluster", &[], b"").is_err());
    assert_eq!(get(&cluster.nodes()[0], "/cluster").status, 200);
    node.come_up();
    assert_eq!(node.url(), url);
    assert_ne!(process_id(node), process, "another process");
    assert_eq!(node.shard_snapshot_names("docs", 1).len(), 1);
    // Starting it twice is the same as once.
    node.come_up();
    assert_eq!(get(node, "/cluster").status, 200);
}

#[test]
fn a_request_can_kill_its_node() {
    let cluster = StandInCluster::start_with(Setup::cluster(2).spread(docs(2, 20), 1));
    let node = &cluster.nodes()[1];
    node.faults(|faults| faults.add(Fault::new(Effect::Dies).on(Endpoint::CreateShardSnapshot).first(1)));
    assert!(send(node, "POST", "/collections/docs/shards/1/snapshots", &[], b"").is_err());
    let refused = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        send(node, "GET", "/cluster", &[], b"").is_err()
    });
    assert!(refused);
    assert_eq!(count(&cluster.nodes()[0], "docs").status, 500);
    node.come_up();
    assert_eq!(count(node, "docs").result()["count"], json!(20));
    assert!(cluster.all_snapshots().is_empty());
}

#[test]
fn every_node_gives_the_whole_collection() {
    let cluster = StandInCluster::start_with(Setup::cluster(3).spread(docs(4, 101), 2));
    let first = points(&cluster.nodes()[0], "docs");
    assert_eq!(first.as_array().unwrap().len(), 101);
    for node in cluster.nodes() {
        assert_eq!(points(node, "docs"), first);
        assert_eq!(count(node, "docs").result()["count"], json!(101));
        let body = r#"{"ids":[100,5],"with_payload":true,"with_vector":true}"#;
        let retrieved = post(node, "/collections/docs/points", body).result();
        assert_eq!(retrieved, json!([first[100], first[5]]));
    }
}

#[test]
fn a_shard_is_read_from_another_replica_and_without_one_not_at_all() {
    let cluster = StandInCluster::start_with(Setup::cluster(3).spread(docs(3, 90), 2));
    let node = &cluster.nodes()[0];
    cluster.nodes()[1].go_down();
    assert_eq!(count(node, "docs").result()["count"], json!(90));
    cluster.state(|state| state.collection_mut("docs").place_shard(2, &[1]));
    let failed = count(node, "docs");
    assert_eq!(failed.status, 500);
    assert!(failed.text().contains("1 of 1 read operations failed"), "{}", failed.text());
    assert!(failed.text().contains("http://127.0.0.2:6335/"), "{}", failed.text());
    assert_eq!(get(node, "/collections/docs").status, 500);
    cluster.nodes()[1].come_up();
    assert_eq!(count(node, "docs").result()["count"], json!(90));

    cluster.state(|state| state.collection_mut("docs").set_shard_state(1, "Dead"));
    let body = r#"{"limit":10}"#;
    let failed = post(node, "/collections/docs/points/scroll", body);
    assert_eq!(failed.status, 500);
    let peer = node.peer_id();
    let message = format!("The replica set for shard 1 on peer {peer} does not have enough active replicas");
    assert!(failed.text().contains(&message), "{}", failed.text());
}

#[test]
fn a_new_collection_is_spread_and_has_no_more_replicas_than_there_are_nodes() {
    let cluster = StandInCluster::start_with(Setup::cluster(3));
    let node = &cluster.nodes()[0];
    let vectors = json!({ "size": 4, "distance": "Dot" });
    put(node, "/collections/plain", &json!({ "vectors": vectors })).result();
    let mut peers: Vec<u64> = replicas(node, "plain").into_iter().map(|(_, peer, _)| peer).collect();
    peers.sort_unstable();
    assert_eq!(peers, cluster.nodes().iter().map(StandIn::peer_id).collect::<Vec<u64>>());

    let body = json!({ "vectors": vectors, "shard_number": 2, "replication_factor": 5 });
    put(node, "/collections/many", &body).result();
    assert_eq!(replicas(node, "many").len(), 6);
    assert_eq!(get(node, "/collections/many").result()["config"]["params"]["replication_factor"], json!(5));
    let local = get(&cluster.nodes()[2], "/collections/many/cluster").result()["local_shards"].clone();
    assert_eq!(local.as_array().unwrap().len(), 2);

    let single = StandIn::start(Setup::empty());
    put(&single, "/collections/plain", &json!({ "vectors": vectors })).result();
    assert_eq!(replicas(&single, "plain").len(), 1);
}

#[test]
fn a_snapshot_of_the_collection_has_only_the_shards_of_its_node() {
    let cluster = StandInCluster::start_with(Setup::cluster(2).spread(docs(3, 90), 1));
    let target = StandInCluster::start_with(Setup::cluster(2));
    for (node, to) in cluster.nodes().iter().zip(target.nodes()) {
        let name = post(node, "/collections/docs/snapshots", "").result()["name"].clone();
        let bytes = get(node, &format!("/collections/docs/snapshots/{}", name.as_str().unwrap())).body;
        let path = "/collections/docs/snapshots/upload?priority=snapshot";
        crate::client::upload(to, path, "x.snapshot", &bytes).result();
    }
    assert_eq!(points(&target.nodes()[0], "docs"), points(&cluster.nodes()[0], "docs"));
    assert_eq!(
        replicas(&target.nodes()[0], "docs")
            .into_iter()
            .map(|(shard, peer, _)| (shard, peer))
            .collect::<Vec<_>>(),
        replicas(&cluster.nodes()[0], "docs")
            .into_iter()
            .map(|(shard, peer, _)| (shard, peer))
            .collect::<Vec<_>>()
    );
}
