//! The procedure in docs/recovery.md works without our programs.

use std::fs;
use std::io::Write;
use std::process::Command;

use e2e::qdrant_stand_in::{Setup, StandIn};
use e2e::{Place, Ran, Scene};
use flate2::Compression;
use flate2::write::GzEncoder;
use qdrant_backup_shared::atomic;

use crate::documents::{commands, document};

const COLLECTION: &str = "mixtral_embeddings";

/// Section 7's commands for this test's backup and server.
fn recipe(place: &Place, target: &StandIn) -> String {
    let text = document("docs/recovery.md");
    let section = text.split("\n## ").find(|section| section.starts_with("7. ")).expect("section 7");
    let manifest = place.backups(COLLECTION).remove(0).manifest;
    let documented = "ce12198c41aae0907860f659e8f63e22892871317f376b3e892cab6474b975dd";
    let script = commands(section).join("\n");
    assert!(script.contains(documented) && !script.contains("qdrant-backup"), "{script}");
    let values = [
        ("http://new-server:6333", target.url()),
        ("/opt/qdrant/backups", place.path().display().to_string()),
        ("/var/tmp", place.beside("").display().to_string()),
        ("2026-11-21-02-00-00", manifest.backup_id.to_string()),
        (documented, manifest.archives[0].snapshot.sha256.to_string()),
    ];
    values.iter().fold(script, |script, (documented, ours)| script.replace(documented, ours))
}

/// Runs the commands in a shell that stops at the first failure.
fn by_hand(script: &str) -> Ran {
    Ran::of(
        Command::new("timeout").args(["60", "sh", "-euc", script]).env_clear().env("PATH", "/usr/bin:/bin"),
    )
}

fn backed_up(compression: &str) -> Place {
    let Scene { server: _source, place } = Scene::on(StandIn::sample());
    place.run(&["backup", "--collection", COLLECTION, "--compression", compression]).success();
    place
}

#[cfg(feature = "outside")]
#[test]
fn the_recipe_without_our_programs_restores_a_backup() {
    for compression in ["gzip", "zstd", "none"] {
        restores_without_our_programs(compression);
    }
}

fn restores_without_our_programs(compression: &str) {
    let place = backed_up(compression);
    let target = StandIn::start(Setup::empty());
    // The document's variant for archives that are not gzip.
    let text = document("docs/recovery.md");
    let recipe = match compression {
        "zstd" => {
            assert!(text.contains("`zstd -dc` instead of `gunzip -c`"));
            recipe(&place, &target).replace("gunzip -c", "zstd -dc").replace(".snapshot.gz", ".snapshot.zst")
        }
        "none" => recipe(&place, &target).replace("gunzip -c", "cat").replace(".snapshot.gz", ".snapshot"),
        _ => recipe(&place, &target),
    };

    let ran = by_hand(&recipe).success();

    assert!(ran.stdout.contains(": OK\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains(r#"{"count":250}"#), "{}", ran.stdout);
    let source = StandIn::sample();
    let points = |stand_in: &StandIn| {
        stand_in.state(|state| {
            let collection = state.collection_mut(COLLECTION);
            (0..collection.points_count())
                .map(|index| collection.points.point(index, &collection.config))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(points(&target), points(&source));
    assert_eq!(target.state(|state| state.aliases["prod"].clone()), COLLECTION);
    assert_eq!(target.snapshot_names(COLLECTION), Vec::<String>::new());
    let upload = &target.requests_matching("POST", "/snapshots/upload")[0];
    assert!(upload.path_and_query.contains("?priority=snapshot&checksum="), "{}", upload.path_and_query);
    assert!(!place.beside(&format!("{COLLECTION}.snapshot")).exists(), "it cleans up");
}

#[test]
fn the_recipe_stops_at_a_damaged_archive_before_it_changes_anything() {
    for damage in ["a flipped bit", "another snapshot"] {
        let place = backed_up("gzip");
        let target = StandIn::start(Setup::empty());
        let path = place.newest(COLLECTION).archive;
        let mut bytes = fs::read(&path).unwrap();
        if damage == "a flipped bit" {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        } else {
            let mut other = GzEncoder::new(Vec::new(), Compression::fast());
            other.write_all(&[7; 10_000]).unwrap();
            bytes = other.finish().unwrap();
        }
        atomic::write(&path, 0o600, &bytes).unwrap();

        let ran = by_hand(&recipe(&place, &target));

        assert_ne!(ran.code, Some(0), "{damage}: {}", ran.stdout);
        assert!(target.requests().is_empty(), "{damage}: no request was sent");
    }
}
