//! docs/recovery.md is true: its recipe without our programs works, and its commands are ones that we have.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use e2e::programs::program;
use e2e::qdrant_stand_in::{Setup, StandIn};
use e2e::{Place, Ran};
use flate2::Compression;
use flate2::write::GzEncoder;
use qdrant_backup_shared::{CollectionName, atomic};

const COLLECTION: &str = "mixtral_embeddings";

/// A document of the repository.
fn document(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    fs::read_to_string(root.join(path)).expect("the document can be read")
}

/// The lines of fenced code, without the fences.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        inside && !fence
    })
}

/// The commands of a document: what follows the prompt.
fn commands(text: &str) -> Vec<&str> {
    code(text).filter_map(|line| line.strip_prefix("$ ")).collect()
}

/// Section 7's commands for a backup and a server of the test's own.
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

/// As a person at a shell who stops at the first command that fails.
fn by_hand(script: &str) -> Ran {
    Ran::of(
        Command::new("timeout").args(["60", "sh", "-euc", script]).env_clear().env("PATH", "/usr/bin:/bin"),
    )
}

fn backed_up() -> Place {
    let source = StandIn::sample();
    let place = Place::initialised(&source.url());
    place.run(&["backup", "--collection", COLLECTION]).success();
    place
}

#[test]
fn the_recipe_without_our_programs_restores_a_backup() {
    let place = backed_up();
    let target = StandIn::start(Setup::empty());

    let ran = by_hand(&recipe(&place, &target)).success();

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
    let name = CollectionName::new(COLLECTION).unwrap();
    for damage in ["a flipped bit", "another snapshot"] {
        let place = backed_up();
        let target = StandIn::start(Setup::empty());
        let manifest = place.backups(COLLECTION).remove(0).manifest;
        let path = place.layout().collection(&name).join(&manifest.archives[0].file_name);
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
        assert!(target.requests().is_empty(), "{damage}: nothing was even asked");
    }
}

#[test]
fn every_documented_command_is_one_that_the_program_knows() {
    let place = Place::new("http://127.0.0.1:1");
    let programs = program("qdrant-backup");
    let path = format!("{}:/usr/bin:/bin", programs.parent().unwrap().display());
    for (document_path, least) in [("docs/recovery.md", 15), ("README.md", 8)] {
        let text = document(document_path);
        let lines: Vec<&str> = code(&text)
            .map(|line| line.strip_prefix("$ ").unwrap_or(line))
            .filter(|line| line.starts_with("qdrant-backup ") && !line.contains(" init"))
            .collect();
        assert!(lines.len() >= least, "{document_path}: {lines:?}");
        for line in lines {
            let config = place.beside("backup.yaml").display().to_string();
            // The shell takes the line apart, as it does for its reader.
            let line = line.replace("qdrant-backup ", &format!("qdrant-backup --config {config} "));
            let ran = Ran::of(
                Command::new("sh")
                    .args(["-c", &line])
                    .env_clear()
                    .env("PATH", &path)
                    .env("QDRANT_BACKUP_PATH", place.path())
                    .env("QDRANT_URL", "http://127.0.0.1:1")
                    .current_dir(place.beside("")),
            );
            assert!(ran.code.is_some_and(|code| ![0, 2, 127].contains(&code)), "{line}: {ran:?}");
        }
    }
    assert!(!place.path().exists(), "there is no repository, so nothing was done");
}
