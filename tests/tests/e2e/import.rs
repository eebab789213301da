//! Imports: snapshots of other tools, and archives without a manifest, become backups.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use e2e::qdrant_stand_in::GenuineSnapshot;
use e2e::{Place, Planted, Running, Scene, eventually};
use flate2::Compression;
use flate2::write::GzEncoder;
use qdrant_backup_shared::atomic;
use qdrant_backup_shared::manifest::{Encoding, Origin, ServerChecksum};
use rustix::process::Signal;
use sha2::{Digest, Sha256};

const STAMP: &str = "2025-07-15-14-30-00";
const PEER: &str = "8372720498335175";

fn place() -> Place {
    Place::initialised("http://127.0.0.1:9")
}

fn genuine(file: &str) -> Vec<u8> {
    GenuineSnapshot::find("1.18.3", file).unwrap().read().unwrap()
}

/// A file next to the backup directory.
fn put(place: &Place, name: &str, bytes: &[u8]) -> String {
    let path = place.beside(name);
    atomic::write(&path, 0o644, bytes).unwrap();
    path.to_string_lossy().into_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_genuine_snapshot_becomes_a_backup_plain_or_compressed() {
    // Compressed like the `zstd` command does, and like `pzstd` does: with a skippable frame first.
    let whole = genuine("minilm_general.snapshot");
    let frame = zstd::encode_all(whole.as_slice(), 3).unwrap();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], &(frame.len() as u32).to_le_bytes()].concat();
    for packed in [frame.clone(), [skippable, frame].concat()] {
        let place = place();
        let packed = put(&place, &format!("minilm_general-{PEER}-{STAMP}.snapshot.zst"), &packed);
        place.run(&["import", &packed]).success().says(&["as backup 2025-07-15-14-30-00 of minilm_general"]);
        assert_eq!(place.prove(), 1);
        let archive = place.backups("minilm_general").remove(0).manifest.archives.remove(0);
        assert_eq!(archive.encoding, [Encoding::Zstd]);
        assert!(archive.file_name.ends_with(".snapshot.zst"));
        place.run(&["verify"]).success();
    }

    let place = place();
    let plain = put(
        &place,
        &format!("mixtral_embeddings-{PEER}-{STAMP}.snapshot"),
        &genuine("mixtral_embeddings.snapshot"),
    );
    let packed = put(
        &place,
        &format!("minilm_general-{PEER}-{STAMP}.snapshot.gz"),
        &gzip(&genuine("minilm_general.snapshot")),
    );
    place
        .run(&["import", &plain, &packed])
        .success()
        .says(&["Imported", "as backup 2025-07-15-14-30-00 of mixtral_embeddings"])
        .says(&["as backup 2025-07-15-14-30-00 of minilm_general"]);
    assert_eq!(place.prove(), 2, "both digests are right");
    let manifest = place.backups("mixtral_embeddings").remove(0).manifest;
    assert_eq!(manifest.origin, Origin::Imported);
    assert_eq!(manifest.started_at.to_rfc3339(), "2025-07-15T14:30:00+00:00");
    assert_eq!(manifest.points_count(), None);
    assert_eq!(manifest.source.shard_count, Some(2));
    assert!(manifest.source.config.unwrap()["params"]["vectors"].is_object());
    let archive = &manifest.archives[0];
    assert_eq!((archive.peer_id, archive.shard_ids.clone()), (Some(PEER.parse().unwrap()), vec![0, 1]));
    assert_eq!(archive.encoding, []);
    assert_eq!(archive.server_checksum, ServerChecksum::NotChecked);
    assert_eq!(archive.snapshot_name, Some(format!("mixtral_embeddings-{PEER}-{STAMP}.snapshot")));
    let manifest = place.backups("minilm_general").remove(0).manifest;
    assert_eq!(manifest.archives[0].encoding, [Encoding::Gzip]);
    assert!(manifest.archives[0].file_name.ends_with(".snapshot.gz"));
    let list = place.run(&["list"]).success().stdout;
    assert_eq!(list.matches(STAMP).count(), 2, "{list}");
    place.run(&["verify", "--backup", "all"]).success();

    place
        .run(&["import", &plain])
        .success()
        .says(&["backup 2025-07-15-14-30-00 already contains this snapshot"]);
    assert_eq!(place.ids("mixtral_embeddings").len(), 1);
    assert!(fs::exists(&plain).unwrap(), "the imported file is not moved");
    assert!(place.temporary().is_empty());
}

#[test]
fn every_genuine_snapshot_of_a_collection_can_be_imported_and_no_shards() {
    for snapshot in GenuineSnapshot::all().unwrap() {
        let place = place();
        let file = put(&place, "some.snapshot", &snapshot.read().unwrap());
        let arguments = ["import", &file, "-c", &snapshot.collection, "--at", "2025-07-15T14:30:00Z"];
        if snapshot.is_shard {
            place.run(&arguments).code(1).says(&["not imported: not a whole snapshot", "shard"]);
            assert!(place.stored().is_empty());
        } else if snapshot.local_shard_ids.is_empty() {
            place.run(&arguments).code(1).says(&["not imported", "every shard is on another node"]);
        } else {
            let ran = place.run(&arguments).success();
            assert_eq!(place.prove(), 1);
            let partial = snapshot.local_shard_ids.len() < snapshot.shards as usize;
            assert_eq!(ran.stderr.contains("not the whole collection"), partial, "{}", ran.stderr);
        }
    }
}

#[test]
fn what_is_no_whole_snapshot_is_refused_and_leaves_nothing() {
    let place = place();
    let whole = genuine("minilm_general.snapshot");
    let packed = gzip(&whole);
    let zstd = zstd::encode_all(whole.as_slice(), 1).unwrap();
    let mut flipped = packed.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let cases: [(&str, &[u8], &str); 8] = [
        ("garbage", b"<html>404</html>", "not a whole snapshot"),
        ("empty", b"", "not a whole snapshot"),
        ("half", &whole[..whole.len() / 2], "not a whole snapshot"),
        ("no-end", &whole[..whole.len() - 1024], "not a whole snapshot"),
        ("half-gzip", &packed[..packed.len() - 9], "incomplete gzip"),
        ("flipped", &flipped, "not"),
        ("trailing", &[&packed[..], b"tail"].concat(), "not"),
        ("half-zstd", &zstd[..zstd.len() - 9], "incomplete zstd"),
    ];
    let mut files = Vec::new();
    for (stem, bytes, why) in cases {
        let file = put(&place, &format!("{stem}-{PEER}-{STAMP}.snapshot"), bytes);
        place.run(&["import", &file]).code(1).says(&[&format!("{stem}-"), "not imported", why]);
        files.push(file);
    }
    assert!(place.stored().is_empty(), "{:?}", place.stored());
    let good = put(&place, &format!("good-{PEER}-{STAMP}.snapshot"), &whole);
    place.run(&["import", &files[0], &good]).code(3);
    assert_eq!(place.prove(), 1);
    let directory = place.path().to_string_lossy().into_owned();
    place
        .run(&["import", &directory, "-c", "x"])
        .code(1)
        .says(&["not imported: not a directory", "it has no manifest.json"]);
    place.run(&["import", "/nowhere/at/all", "-c", "x"]).code(1).says(&["No such file"]);
}

#[test]
fn collection_and_time_come_from_the_name_or_are_asked_for() {
    let place = place();
    let bytes = genuine("minilm_general.snapshot");
    let file = put(&place, "nightly.tar", &bytes);
    place.run(&["import", &file]).code(1).says(&["`--collection`"]);
    place.run(&["import", &file, "-c", "docs", "--at", "noon"]).code(78).says(&["--at: expected a time"]);
    place
        .run(&["import", &file, "-c", "docs"])
        .success()
        .says(&["using the time of its last change", "--at"]);
    place.run(&["import", &file, "-c", "wiki", "--at", "2020-02-29T01:02:03+01:00"]).success();
    assert_eq!(place.ids("wiki"), ["2020-02-29-00-02-03"]);
    place.run(&["import", &file, "-c", "leap", "--at", "2016-12-31T23:59:60Z"]).success();
    assert_eq!(place.ids("leap"), ["2016-12-31-23-59-59"]);
    for at in ["+10000-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00"] {
        place.run(&["import", &file, "-c", "odd", "--at", at]).code(78).says(&["--at: expected a time"]);
    }
    place.run(&["import", &file, "-c", "odd", "--at", "9999-12-31T23:59:59Z"]).success();
    let other = put(&place, "other.tar", &genuine("mixtral_embeddings.snapshot"));
    place
        .run(&["import", &other, "-c", "odd", "--at", "9999-12-31T23:59:59Z"])
        .code(1)
        .says(&["not imported", "no backup can have the time 9999-12-31T23:59:59Z"]);
    assert_eq!(place.ids("odd"), ["9999-12-31-23-59-59"]);
    let stamped = put(&place, &format!("a%2Fb-{STAMP}.snapshot"), &bytes);
    place.run(&["import", &stamped, "--at", "2020-02-29T00:00:00Z"]).success().says(&["`--at` was ignored"]);
    assert_eq!(place.ids("a/b"), [STAMP]);
    assert_eq!(place.prove(), 5);
}

#[test]
fn the_checksum_file_that_qdrant_keeps_beside_a_snapshot_is_compared() {
    let place = place();
    let snapshot = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap();
    let name = format!("minilm_general-{PEER}-{STAMP}.snapshot");
    let file = put(&place, &name, &snapshot.read().unwrap());
    put(&place, &format!("{name}.checksum"), "0".repeat(64).as_bytes());
    place.run(&["import", &file]).code(1).says(&["Qdrant's checksum file", "000000"]);
    put(&place, &format!("{name}.checksum"), snapshot.sha256.as_bytes());
    place.run(&["import", &file]).success().says(&["matches Qdrant's checksum file"]);
    let manifest = place.backups("minilm_general").remove(0).manifest;
    assert_eq!(manifest.archives[0].server_checksum, ServerChecksum::Matched);
}

#[test]
fn an_orphan_is_adopted_where_it_lies() {
    let place = place();
    let bytes = genuine("minilm_general.snapshot");
    let path: PathBuf = place.plant("docs", "2025-07-15T14:30:00Z", Planted::Orphan);
    atomic::write(&path, atomic::ARCHIVE_MODE, &gzip(&bytes)).unwrap();
    let file = path.to_string_lossy().into_owned();
    place.run(&["import", &file, "-c", "other"]).code(1).says(&["directory of a collection other than"]);
    place.run(&["import", &file]).success().says(&["as backup 2025-07-15-14-30-00 of docs"]);
    assert_eq!(place.prove(), 1);
    assert_eq!(place.stored().len(), 2, "not copied");
    assert!(place.catalog().orphans.is_empty());
    place.run(&["import", &file]).code(1).says(&["nothing to import"]);
    let garbage = place.plant("docs", "2025-07-16T14:30:00Z", Planted::Orphan);
    place.run(&["import", &garbage.to_string_lossy()]).code(1).says(&["not a whole snapshot"]);
    assert!(garbage.exists(), "a refused orphan is kept");
}

#[test]
fn a_second_snapshot_of_the_same_second_gets_the_next_id() {
    let place = place();
    for (name, of) in [("a", "minilm_general"), ("b", "mixtral_embeddings")] {
        let file = put(&place, name, &genuine(&format!("{of}.snapshot")));
        place.run(&["import", &file, "-c", "docs", "--at", STAMP]).success();
    }
    assert_eq!(place.ids("docs"), [STAMP, "2025-07-15-14-30-01"]);
    let started: Vec<String> =
        place.backups("docs").iter().map(|backup| backup.manifest.started_at.to_rfc3339()).collect();
    assert_eq!(started, ["2025-07-15T14:30:00+00:00", "2025-07-15T14:30:00+00:00"]);
}

#[test]
fn the_version_of_an_imported_snapshot_is_that_of_the_backups_around_it() {
    let Scene { server: _stand_in, place } = Scene::on(e2e::qdrant_stand_in::StandIn::sample());
    let backup = || place.run(&["backup", "--collection", "mixtral_embeddings"]).success();
    backup();
    let first = place.backups("mixtral_embeddings").remove(0).manifest;
    let peer = first.archives[0].peer_id.unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let stamp = |seconds: i64| {
        (first.started_at + chrono::TimeDelta::seconds(seconds)).format("%Y-%m-%d-%H-%M-%S").to_string()
    };
    let bytes = genuine("minilm_general.snapshot");
    let import = |name: &str, peer: u64, stamp: &str| {
        let path = put(&place, &format!("{name}-{peer}-{stamp}.snapshot"), &bytes);
        place.run(&["import", &path]).success();
        place.backups(name).remove(0).manifest.source.qdrant_version
    };
    assert!(first.source.qdrant_version.is_some());
    assert_eq!(import("last", peer, &stamp(1)), None, "no later backup proves it");

    backup();
    assert_eq!(import("between", peer, &stamp(1)), first.source.qdrant_version);
    assert_eq!(import("foreign", peer + 1, &stamp(1)), None, "another node");
    assert_eq!(import("before", peer, &stamp(-60)), None, "no earlier backup proves it");
    place.run(&["restore", "--collection", "between"]).success();
    place.run(&["restore", "--collection", "before"]).code(1).says(&["does not say which version"]);
    let drill = ["drill", "--collection", "before", "--on-source"];
    place.run(&drill).code(1).says(&["does not say which version", "--allow-version-skew"]);
    place.run(&[&drill[..], &["--allow-version-skew"]].concat()).success();
}

/// A file of this size that zstd decompresses to more than thirty thousand times as much: a tar with a single member.
fn bomb(bytes: usize) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("0/segments/bomb.tar").unwrap();
    header.set_size(1 << 50);
    header.set_mode(0o644);
    header.set_cksum();
    let head = header.as_bytes();
    // A frame with a window of 128 KiB: a raw block, then blocks of one repeated byte.
    let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x38];
    packed.extend_from_slice(&((head.len() as u32) << 3).to_le_bytes()[..3]);
    packed.extend_from_slice(head);
    while packed.len() < bytes {
        packed.extend_from_slice(&((128_u32 << 10) << 3 | 1 << 1).to_le_bytes()[..3]);
        packed.push(0);
    }
    packed.extend_from_slice(&[1, 0, 0]);
    packed
}

#[test]
fn a_snapshot_bomb_takes_little_memory_does_not_keep_a_signal_waiting_and_leaves_nothing() {
    let place = place();
    // A thousand times as much, split into members as `pigz` and this program write them.
    let gzip = gzip(&vec![0; 64 << 20]).repeat(160);
    for (name, packed) in [("zstd", bomb(10 << 20)), ("gzip", gzip)] {
        let file = put(&place, &format!("{name}-{PEER}-{STAMP}.snapshot"), &packed);
        let mut command = place.command(&["import", &file]);
        let running = Running::start(&mut command);
        eventually("it is read", || !place.temporary().is_empty());
        std::thread::sleep(std::time::Duration::from_secs(1));
        let taken = running.anonymous_kib().expect("it is still running");
        assert!(taken < 32 << 10, "{name}: {taken} KiB of memory");
        let begun = std::time::Instant::now();
        running.end_with(Signal::TERM).code(143).says(&["interrupted by a signal"]);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{name}: {:?}", begun.elapsed());
        assert!(place.stored().is_empty(), "{:?}", place.stored());
    }
    // The lock is free.
    let good = put(&place, &format!("good-{PEER}-{STAMP}.snapshot"), &genuine("minilm_general.snapshot"));
    place.run(&["import", &good]).success();
}

#[test]
fn a_backup_that_became_a_bomb_fails_at_what_its_manifest_allows_and_fills_no_disk() {
    let place = place();
    let good = put(&place, &format!("good-{PEER}-{STAMP}.snapshot.zst"), &{
        zstd::encode_all(genuine("minilm_general.snapshot").as_slice(), 1).unwrap()
    });
    place.run(&["import", &good]).success();
    let backup = place.backups("good").remove(0);
    let directory = place.layout().collection(&backup.manifest.collection);
    let packed = bomb(10 << 20);
    atomic::write(&directory.join(&backup.manifest.archives[0].file_name), 0o600, &packed).unwrap();
    let path = place.layout().manifest(&backup.manifest.collection, backup.manifest.backup_id);
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let digest: String = Sha256::digest(&packed).iter().map(|byte| format!("{byte:02x}")).collect();
    manifest["archives"][0]["stored"] = serde_json::json!({ "size_bytes": packed.len(), "sha256": digest });
    atomic::write(&path, 0o640, manifest.to_string().as_bytes()).unwrap();

    let begun = std::time::Instant::now();
    let id = backup.manifest.backup_id.to_string();
    let out = place.beside("out").display().to_string();
    let export = ["export", "-c", "good", "--backup", &id, "-o", &out];
    place.run(&export).code(4).says(&["does not match the manifest (length or digest)"]);
    assert!(!place.beside("out").exists());
    place.run(&["verify", "--backup", "all"]).code(4).says(&["has more bytes than expected"]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
}
