//! Backups by shard in the directory: export, import, verify, hold and prune; and their leftovers on other nodes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::directory::name;
use e2e::qdrant_stand_in::{Content, StandIn, StandInCluster};
use e2e::{Place, Ran};
use qdrant_backup_shared::manifest::{Encoding, Manifest, Origin};
use qdrant_backup_shared::status::ServerSnapshot;
use qdrant_backup_shared::{Status, atomic, json_file};
use serde_json::{Value, json};

const AT: &str = "2025-07-15T14:30:00Z";
const LATER: &str = "2025-07-16T14:30:00Z";

fn place() -> Place {
    Place::initialised("http://127.0.0.1:9")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn archive(place: &Place, manifest: &Manifest, shard_id: u32) -> PathBuf {
    let archive = manifest.archives.iter().find(|archive| archive.shard_ids == [shard_id]).unwrap();
    place.layout().collection(&manifest.collection).join(&archive.file_name)
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    atomic::write(path, 0o600, &bytes).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Exports the newest backup of `collection` to a new directory.
fn exported(place: &Place, collection: &str) -> PathBuf {
    let output = place.beside(&format!("exported-{collection}"));
    place.run(&["export", "-c", collection, "-o", text(&output)]).success().says(&[
        "Exported",
        "in 3 shards",
        "README.md",
    ]);
    output
}

#[test]
fn an_export_is_a_directory_with_every_shard_and_all_that_makes_the_collection() {
    let place = place();
    let manifest = place.plant_shards("custom", AT);
    let output = exported(&place, "custom");
    assert_eq!(
        names(&output),
        [
            "README.md",
            "SHA256SUMS",
            "collection.json",
            "manifest.json",
            "shard-1.snapshot",
            "shard-2.snapshot",
            "shard-3.snapshot"
        ]
    );
    let sums = Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&output).output().unwrap();
    assert!(sums.status.success(), "{}", Ran::from(sums).stdout);
    let copy: Manifest = json_file::read(&output.join("manifest.json")).unwrap();
    assert_eq!(copy, manifest);
    let requests: Value = serde_json::from_slice(&fs::read(output.join("collection.json")).unwrap()).unwrap();
    assert_eq!(requests["collection"], "custom");
    assert_eq!(requests["create"]["sharding_method"], "custom");
    assert_eq!(requests["payload_indexes"], json!([{ "field_name": "n", "field_schema": "integer" }]));
    assert_eq!(
        requests["shard_keys"],
        json!([
            { "shard_key": "eu", "shards_number": 2, "first_shard_id": 1, "placeholder": false },
            { "shard_key": "us", "shards_number": 1, "first_shard_id": 3, "placeholder": false }
        ])
    );
    assert_eq!(requests["aliases"], json!(["custom-alias"]));
    assert_eq!(requests["lacking"], json!([]));
}

#[test]
fn only_an_empty_directory_takes_an_export_of_shards() {
    let place = place();
    place.plant_shards("auto", AT);
    let export = |output: &str| place.run(&["export", "-c", "auto", "-o", output]);
    export("-").code(1).says(&["consists of single shards (3)", "new directory", "stdout"]);
    let file = place.beside("file");
    atomic::write(&file, 0o600, b"precious").unwrap();
    for force in [&[][..], &["--force"]] {
        let arguments = [&["export", "-c", "auto", "-o", text(&file)], force].concat();
        place.run(&arguments).code(1).says(&["new directory", "file: "]);
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    let missing = place.beside("missing");
    export(text(&missing.join("out"))).code(1).says(&["missing/out", "cannot be created"]);
    let empty = place.beside("empty");
    fs::create_dir(&empty).unwrap();
    export(text(&empty)).success();
    export(text(&empty)).code(1).says(&["empty: is not empty"]);
}

#[test]
fn a_damaged_shard_is_named_and_nothing_is_left_of_the_export() {
    let place = place();
    let manifest = place.plant_shards("auto", AT);
    flip(&archive(&place, &manifest, 1));
    let output = place.beside("out");
    let ran = place.run(&["export", "-c", "auto", "-o", text(&output)]);
    ran.code(4).says(&["export of auto 2025-07-15-14-30-00 failed: shard 1: "]);
    assert!(!output.exists());
    // An existing directory stays empty.
    fs::create_dir(&output).unwrap();
    let id = manifest.backup_id.to_string();
    place.run(&["export", "-c", "auto", "--backup", &id, "-o", text(&output)]).code(4).says(&["shard 1: "]);
    assert_eq!(names(&output), Vec::<String>::new());
    place.run(&["verify", "--backup", "all"]).code(4).says(&["auto-2025-07-15-14-30-00.shard-1.snapshot.gz"]);
}

/// The commands in a README, unchanged.
fn commands(readme: &str) -> String {
    let mut commands = String::new();
    for block in readme.split("```sh\n").skip(1) {
        commands += block.split("```").next().unwrap();
    }
    commands
}

/// Runs them with `sh` in the directory against these nodes.
fn by_hand(directory: &Path, nodes: &[String], key: Option<&Path>) -> Ran {
    let readme = fs::read_to_string(directory.join("README.md")).unwrap();
    let script = directory.with_extension("sh");
    atomic::write(&script, 0o600, commands(&readme).as_bytes()).unwrap();
    let nodes: Vec<&str> = nodes.iter().map(|node| node.trim_end_matches('/')).collect();
    let mut command = Command::new("sh");
    command.arg("-eu").arg(&script).current_dir(directory).stdin(Stdio::null());
    command.env("QDRANT", nodes[0]).env("NODES", nodes.join(" "));
    if let Some(key) = key {
        command.env("KEY", key);
    }
    Ran::of(&mut command)
}

#[test]
fn what_the_readme_says_restores_a_cluster() {
    for collection in ["auto", "custom"] {
        let place = place();
        let manifest = place.plant_shards(collection, AT);
        let output = exported(&place, collection);
        let mut setup = StandInCluster::sharded();
        setup.state.collections.clear();
        setup.state.aliases.clear();
        let cluster = StandInCluster::start_with(setup);

        let ran = by_hand(&output, &cluster.urls(), None).success();

        let points = manifest.points_count().unwrap();
        assert!(ran.stdout.contains(&format!("{{\"count\":{points}}}")), "{}\n{}", ran.stdout, ran.stderr);
        cluster.state(|state| {
            let restored = &state.collections[collection];
            assert_eq!(restored.points_count(), points);
            assert_eq!(restored.payload_indexes.keys().collect::<Vec<_>>(), ["n"]);
            assert_eq!(state.aliases[&format!("{collection}-alias")], collection);
        });
    }
}

#[test]
fn what_the_readme_says_restores_one_server_with_a_key_and_any_name() {
    let place = place();
    let manifest = place.plant_shards("auto", AT);
    let odd = "an odd name's \"$HOME\"";
    let directory = place.beside("auto-as-odd");
    fs::create_dir(&directory).unwrap();
    place.run(&["export", "-c", "auto", "-o", text(&directory)]).success();
    place.run(&["import", "--collection", odd, text(&directory)]).success();
    let output = place.beside("odd");
    place.run(&["export", "-c", odd, "-o", text(&output)]).success();
    let server = StandIn::start(e2e::qdrant_stand_in::Setup::empty().api_key("secret key"));
    let key = place.beside("key");
    atomic::write(&key, 0o600, b"api-key: secret key\n").unwrap();

    by_hand(&output, &[server.url()], None).code(22);
    by_hand(&output, &[server.url()], Some(&key)).success();

    server.state(|state| {
        assert_eq!(state.collections[odd].points_count(), manifest.points_count().unwrap());
        assert_eq!(state.aliases["auto-alias"], odd);
    });
}

#[test]
fn an_exported_directory_becomes_the_same_backup_again() {
    for collection in ["auto", "custom"] {
        let (from, to) = (place(), place());
        let manifest = from.plant_shards(collection, AT);
        let output = exported(&from, collection);
        to.run(&["import", text(&output)]).success().says(&[
            &format!("as backup 2025-07-15-14-30-00 of {collection}"),
            "every shard matches manifest.json",
        ]);

        assert_eq!(to.prove(), 1);
        let imported = to.backups(collection).remove(0).manifest;
        assert_eq!(imported.origin, Origin::Imported);
        assert!(imported.is_by_shard());
        assert_eq!((&imported.source, &imported.requires), (&manifest.source, &manifest.requires));
        assert_eq!(imported.started_at, manifest.started_at);
        for (archive, original) in imported.archives.iter().zip(&manifest.archives) {
            assert_eq!(archive.encoding, [] as [Encoding; 0]);
            assert_eq!((archive.snapshot, &archive.shard_ids), (original.snapshot, &original.shard_ids));
            let id = archive.shard_ids[0];
            assert_eq!(archive.file_name, format!("{collection}-2025-07-15-14-30-00.shard-{id}.snapshot"));
        }
        to.run(&["verify"]).success();
        // Importing and exporting again gives the same files.
        let again = to.beside("again");
        to.run(&["export", "-c", collection, "-o", text(&again)]).success();
        assert_eq!(fs::read(again.join("README.md")).unwrap(), fs::read(output.join("README.md")).unwrap());
        // The snapshot is recognized here and on the original server.
        for place in [&from, &to] {
            place
                .run(&["import", text(&output)])
                .success()
                .says(&["backup 2025-07-15-14-30-00 already contains this snapshot"]);
        }
        to.run(&["import", "--collection", "beside", text(&output)]).success();
        assert_eq!(to.ids("beside"), ["2025-07-15-14-30-00"]);
    }
}

#[test]
fn a_directory_that_is_not_as_it_was_exported_is_refused_and_leaves_nothing() {
    let (from, to) = (place(), place());
    from.plant_shards("custom", AT);
    let output = exported(&from, "custom");
    let refused = |says: &[&str]| {
        to.run(&["import", text(&output)]).code(1).says(&["not imported"]).says(says);
        assert_eq!(to.stored(), Vec::<String>::new());
    };
    let at = |name: &str| output.join(name);
    let put = |name: &str, bytes: &[u8]| atomic::write(&at(name), 0o600, bytes).unwrap();

    let whole = fs::read(at("shard-2.snapshot")).unwrap();
    flip(&at("shard-2.snapshot"));
    refused(&["shard 2: "]);
    fs::remove_file(at("shard-2.snapshot")).unwrap();
    refused(&["shard 2: ", "No such file"]);
    // The file of another shard is intact but wrong.
    put("shard-2.snapshot", &fs::read(at("shard-3.snapshot")).unwrap());
    refused(&["shard 2: ", "manifest.json says", "not the file that was exported"]);
    put("shard-2.snapshot", &whole);

    let manifest = fs::read_to_string(at("manifest.json")).unwrap();
    put("manifest.json", manifest.replace("shard_archives", "time_travel").as_bytes());
    refused(&["requires \"time_travel\""]);
    put("manifest.json", manifest.replace("\"shard_count\": 3", "\"shard_count\": 4").as_bytes());
    refused(&["the collection has 4"]);
    fs::remove_file(at("manifest.json")).unwrap();
    refused(&["it has no manifest.json"]);
    put("manifest.json", manifest.as_bytes());
    to.run(&["import", text(&output)]).success();
}

#[test]
fn shards_without_their_manifest_are_kept_until_a_person_deletes_them() {
    let place = place();
    let manifest = place.plant_shards("custom", AT);
    let kept = place.plant_shards("auto", AT);
    fs::remove_file(place.layout().manifest(&manifest.collection, manifest.backup_id)).unwrap();
    let orphan = archive(&place, &manifest, 2);
    let (before, bytes) = (place.stored(), fs::read(&orphan).unwrap());
    place.run(&["import", text(&orphan)]).code(1).says(&[
        "not imported",
        "of a single shard",
        "nothing was imported",
        "`export`",
    ]);
    assert_eq!(place.stored(), before);
    assert!(fs::read(&orphan).unwrap() == bytes);
    let list = place.run(&["prune", "--orphans"]).success().stdout;
    assert_eq!(list.matches("custom-2025-07-15-14-30-00.shard-").count(), 3, "{list}");
    place.run(&["prune", "--orphans", "--yes"]).success();
    assert!(!orphan.exists());
    assert!(archive(&place, &kept, 0).exists());
    assert_eq!(place.prove(), 1);
}

#[test]
fn a_shard_that_is_missing_or_damaged_makes_the_backup_bad_and_is_named() {
    let place = place();
    let good = place.plant_shards("custom", AT);
    let bad = place.plant_shards("custom", LATER);
    let file = archive(&place, &bad, 3);
    let bytes = fs::read(&file).unwrap();

    fs::remove_file(&file).unwrap();
    let list: Value = serde_json::from_str(&place.run(&["list", "--json"]).success().stdout).unwrap();
    let newest = &list["backups"][1];
    assert_eq!(newest["archives"], 3);
    assert_eq!(newest["backup_id"], bad.backup_id.to_string());
    assert!(newest.to_string().contains("custom-2025-07-16-14-30-00.shard-3.snapshot.gz"), "{newest}");
    place
        .run(&["verify", "--backup", &bad.backup_id.to_string()])
        .code(4)
        .says(&["custom-2025-07-16-14-30-00.shard-3.snapshot.gz"]);
    // The newest good backup is another one.
    let output = place.beside("out");
    let export = place.run(&["export", "-c", "custom", "-o", text(&output)]).success();
    export.says(&[&format!("Exported custom {}", good.backup_id)]);

    atomic::write(&file, 0o600, &bytes).unwrap();
    place.run(&["verify", "--backup", "all"]).success().says(&["passed", "KiB of 3 shards in"]);
    flip(&file);
    place
        .run(&["verify", "--backup", &bad.backup_id.to_string()])
        .code(4)
        .says(&["custom-2025-07-16-14-30-00.shard-3.snapshot.gz"]);
    let bad_ones = place.run(&["prune", "--bad"]).success().stdout;
    assert!(bad_ones.contains(&bad.backup_id.to_string()), "{bad_ones}");
    place.run(&["prune", "--bad", "--yes"]).success();
    assert_eq!(place.ids("custom"), [good.backup_id.to_string()]);
    assert_eq!(place.prove(), 1);
}

#[test]
fn prune_deletes_all_shards_of_a_backup_and_no_others_and_a_hold_keeps_them() {
    let place = place();
    place.configure("retention:\n  keep_last: 1\n");
    place.plant_status();
    let old = place.plant_shards("custom", AT);
    let new = place.plant_shards("custom", LATER);
    let id = old.backup_id.to_string();
    place.run(&["hold", &id, "--collection", "custom"]).success();
    place.run(&["prune", "--yes"]).success();
    assert_eq!(place.ids("custom").len(), 2);
    place.run(&["unhold", &id, "--collection", "custom"]).success();
    place.run(&["prune", "--yes"]).success().says(&["deleted 1 backup"]);
    assert_eq!(place.ids("custom"), [new.backup_id.to_string()]);
    assert!(place.stored().iter().all(|file| !file.contains(&id)), "{:?}", place.stored());
    assert_eq!((place.stored().len(), place.prove()), (4, 1));
}

/// A status record of our snapshot of this shard on the node that has it.
fn leftover(cluster: &StandInCluster, node: usize, shard_id: u32) -> ServerSnapshot {
    let server = &cluster.nodes()[node];
    let file = format!("auto-shard-{shard_id}-2025-07-15-14-30-00.snapshot");
    let content = Content::bytes(file.as_bytes().to_vec());
    let checksum = content.sha256().parse().unwrap();
    cluster.state(|state| {
        let folder = e2e::qdrant_stand_in::folder("auto", Some(shard_id));
        state.store(node, &folder, &file, content.clone(), Some(content.sha256()));
    });
    ServerSnapshot {
        collection: name("auto"),
        shard_id: Some(shard_id),
        node_url: format!("{}/", server.url()),
        name: file,
        checksum: Some(checksum),
    }
}

#[test]
fn leftovers_are_found_and_deleted_on_every_node_and_a_node_that_is_down_is_told() {
    let cluster = StandInCluster::start_with(StandInCluster::sharded());
    let urls = cluster.urls();
    let place = Place::initialised(&urls[0]);
    place.configure(&format!("qdrant:\n  retries: 0\n  nodes: [{}]\n", urls.join(", ")));
    let all = [leftover(&cluster, 0, 0), leftover(&cluster, 1, 1), leftover(&cluster, 2, 2)];
    let mut status = Status::new("1".to_owned(), "host".to_owned());
    status.undeleted_snapshots = all.to_vec();
    place.put_status(&status);

    let listed = place.run(&["prune", "--server-leftovers"]).success().stdout;
    for snapshot in &all {
        let line = listed.lines().find(|line| line.contains(&snapshot.name)).expect("a line");
        assert!(line.contains(" there ") && line.contains(&snapshot.node_url), "{listed}");
    }
    assert!(listed.contains("SHARD"), "{listed}");
    assert_eq!(cluster.all_snapshots().len(), 3);

    place
        .run(&["prune", "--server-leftovers", "--yes"])
        .success()
        .says(&["Deleted snapshot auto-shard-1-2025-07-15-14-30-00.snapshot"]);
    assert_eq!(cluster.all_snapshots(), Vec::<String>::new());
    assert!(place.status().undeleted_snapshots.is_empty());
}
