//! The manual procedure for clusters in docs/recovery.md works without our programs.

#![cfg(feature = "outside")]

use std::process::Command;

use e2e::qdrant_stand_in::{Collection, GeneratedSnapshot, Setup, StandInCluster};
use e2e::{Place, Ran};
use serde_json::json;

use crate::documents::{commands, document};

#[test]
fn nothing_but_curl_restores_a_cluster_as_documented() {
    let mut snapshot = GeneratedSnapshot::new(600 << 10).points_count(3000).shards(3);
    snapshot.config["params"]["vectors"] = json!({ "size": 64, "distance": "Cosine" });
    let wiki = Collection::generated("wiki", snapshot);
    let cluster = StandInCluster::start_with(Setup::cluster(3).spread(wiki, 2));
    let place = Place::initialised(&cluster.urls()[0]);
    place.run(&["backup"]).success();
    cluster.state(|state| drop(state.collections.remove("wiki")));
    let id = place.backups("wiki").remove(0).manifest.backup_id.to_string();

    let text = document("docs/recovery.md");
    let section = text.split("\n## 8. ").nth(1).expect("the section");
    let section = section.split("\n### By hand\n").nth(1).expect("by hand");
    let section = section.split("\n## ").next().unwrap();
    let mut script = commands(section).join("\n");
    for (number, url) in cluster.urls().iter().enumerate() {
        script = script.replace(&format!("http://qdrant-{number}.qdrant:6333"), url.trim_end_matches('/'));
    }
    let script = script.replace("/opt/qdrant/backups", &place.path().display().to_string());
    let script = script.replace("2026-11-29-06-43-57", &id);
    let script = script.replace("/var/tmp/", &format!("{}/", place.beside("").display()));
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).env_clear().env("PATH", "/usr/bin:/bin");
    let ran = Ran::of(&mut shell).success();
    assert!(!ran.stdout.contains("\"error\""), "{}", ran.stdout);
    assert!(ran.stdout.contains("{\"count\":3000}"), "{}", ran.stdout);
    let points = cluster.state(|state| state.collection_mut("wiki").points_count());
    assert_eq!(points, 3000);
    assert_eq!(cluster.all_snapshots(), Vec::<String>::new());
}
