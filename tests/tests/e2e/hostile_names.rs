//! A server that lists names that are impossible in Qdrant.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use e2e::directory::name;
use e2e::qdrant_stand_in::{Collection, GenuineSnapshot, Setup};
use e2e::scene::{docs, generated};
use e2e::{Place, Scene};
use qdrant_backup_shared::digest::Sha256Digest;
use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::{FailureKind, atomic, json_file};
use sha2::{Digest, Sha256};

/// A tar with one member.
fn tar_of(path: &str, kind: tar::EntryType, mode: u32) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    let field = &mut header.as_gnu_mut().unwrap().name;
    field[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(if kind == tar::EntryType::Regular { 4 } else { 0 });
    if kind != tar::EntryType::Regular {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    if kind == tar::EntryType::Regular {
        bytes.extend(b"evil");
        bytes.resize(1024, 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

#[test]
fn a_name_that_qdrant_cannot_have_fails_alone_and_becomes_no_backup_of_files() {
    let scene = Scene::of(
        Setup::empty()
            .collection(docs())
            .collection(Collection::with_bytes(
                "/files",
                0,
                tar_of("bin/tool", tar::EntryType::Regular, 0o4755),
            ))
            .collection(generated(".."))
            .collection(generated("a\nERROR: forged"))
            .collection(generated(&"x".repeat(3_000))),
    );

    let ran = scene.backup().code(3).says(&["ERROR: Backup of \"/files\" failed", "it has a \"/\""]);
    ran.says(&["ERROR: Backup of \"..\" failed", "it means a directory"])
        .says(&["ERROR: Backup of \"a\\nERROR: forged\" failed", "it has a control character"])
        .says(&["failed", "it is longer than 255 characters"])
        .says(&["Backup partial: 1 of 5 collections", "\"/files\" (http_status)"]);

    assert_eq!(scene.place.prove(), 1);
    assert_eq!(scene.place.stored().len(), 2, "{:?}", scene.place.stored());
    assert_eq!(scene.collection("docs").last_outcome, Some(Outcome::Success));
    assert!(!scene.place.status().collections.contains_key(&name("/files")));
    assert_eq!(scene.operation().failures.into_iter().collect::<Vec<_>>(), [(FailureKind::HttpStatus, 4)]);
    let into = scene.place.beside("restored");
    scene.place.run(&["restore", "--files", "--into", into.to_str().unwrap()]).code(1);
    assert!(!into.join("bin").exists());
    let checked = scene.place.run(&["config", "check"]).stdout;
    assert!(checked.contains("FAIL") && checked.contains("Qdrant does not allow"), "{checked}");
}

#[test]
fn a_target_that_qdrant_cannot_have_is_refused_before_anything_is_sent() {
    let scene = Scene::of(Setup::empty().collection(docs()));
    scene.backup().success();
    let file = scene.place.beside("minilm_general.snapshot");
    let bytes = GenuineSnapshot::find("1.18.3", "minilm_general.snapshot").unwrap().read().unwrap();
    atomic::write(&file, 0o600, &bytes).unwrap();
    let file = file.to_str().unwrap();
    for (name, why) in [("..", "it means a directory"), ("a/b", "it has a \"/\"")] {
        let cannot = format!("Qdrant cannot have a collection \"{name}\": {why}");
        for more in [&[][..], &["--dry-run"], &["--force"]] {
            let arguments = [&["restore", "-c", "docs", "--as", name][..], more].concat();
            scene.place.run(&arguments).code(2).says(&["--as: ", &cannot]);
        }
        scene.place.run(&["import", "-c", name, file]).code(78).says(&["--collection: ", &cannot]);
        scene
            .place
            .run(&["import", "--points", "--into", name, "points.jsonl"])
            .code(78)
            .says(&["--into: ", &cannot]);
        let points = ["restore", "--points", "--on-source", "--missing", "-c", "docs", "--into", name];
        scene.place.run(&points).code(2).says(&["--into: ", &cannot]);
    }
    // The name of a file may say it. Such a backup can be restored under another name.
    let named = scene.place.beside("a%2Fb-2025-07-15-14-30-00.snapshot");
    atomic::write(&named, 0o600, &bytes).unwrap();
    scene.place.run(&["import", named.to_str().unwrap()]).success();
    let restore = ["restore", "-c", "a/b", "--allow-version-skew"];
    for more in [&[][..], &["--dry-run"]] {
        let ran = scene.place.run(&[&restore[..], more].concat()).code(1);
        assert!((ran.stdout + &ran.stderr).contains("choose another name with --as"));
    }
    assert!(scene.server.requests().iter().all(|request| !request.path_and_query.contains("upload")));
}

#[test]
fn aliases_of_collections_that_cannot_be_are_left_out() {
    let scene = Scene::of(Setup::empty().collection(docs()).alias("live", "docs").alias("forged", "/files"));

    scene.backup().success().says(&["WARN", "1 aliases", "\"/files\""]);

    assert_eq!(scene.manifest().source.aliases, Some(vec!["live".to_owned()]));
}

#[test]
fn more_collections_than_any_server_has_end_the_run_at_once() {
    let scene = Scene::of((0..15_000).fold(Setup::empty(), |setup, number| {
        setup.collection(Collection::with_bytes(&format!("c{number}"), 0, Vec::new()))
    }));

    scene.backup().code(1).says(&["15000 collections, more than any server has (10000)"]);

    assert!(scene.server.requests().len() < 10);
}

#[test]
fn a_flood_of_impossible_names_is_counted_and_the_rest_is_backed_up() {
    let names = (0..2_000).map(|number| format!("{number}{}", "x".repeat(3_000)));
    let scene = Scene::of(names.fold(Setup::empty().collection(docs()), |setup, name| {
        setup.collection(Collection::with_bytes(&name, 0, Vec::new()))
    }));

    let ran = scene.backup().code(3).says(&["and 1980 more such names"]);

    assert!(ran.stderr.len() < 20_000, "{}", ran.stderr.len());
    assert_eq!(scene.place.prove(), 1);
}

/// Replaces the archive of the only backup of configuration files, as a user with write permission could.
fn replace_archive(place: &Place, tar: &[u8]) {
    let backup = place.backups("/files").remove(0);
    let mut manifest = backup.manifest;
    let archive = &mut manifest.archives[0];
    let path = place.path().join("files").join(&archive.file_name);
    atomic::write(&path, 0o600, tar).unwrap();
    archive.snapshot.size_bytes = tar.len() as u64;
    archive.snapshot.sha256 = Sha256Digest::from_bytes(Sha256::digest(tar).into());
    archive.stored = archive.snapshot;
    json_file::write(&place.layout().manifest(&name("/files"), manifest.backup_id), &manifest).unwrap();
}

/// A place with one backup of a configuration file, stored uncompressed.
fn with_files() -> (Scene, String) {
    let scene = Scene::new();
    let file = scene.place.beside("tool");
    atomic::write(&file, 0o600, b"#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o6750)).unwrap();
    scene
        .place
        .configure(&format!("backup:\n  compression: none\n  include_files: [\"{}\"]\n", file.display()));
    scene.backup().success();
    let into = scene.place.beside("restored").to_str().unwrap().to_owned();
    (scene, into)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn restored_files_run_as_nobody_else_and_lie_in_a_directory_of_ones_own() {
    let (scene, into) = with_files();
    std::fs::create_dir(&into).unwrap();
    std::fs::set_permissions(&into, std::fs::Permissions::from_mode(0o777)).unwrap();

    scene.place.run(&["restore", "--files", "--into", &into]).success();

    let file = scene.place.beside("tool");
    let restored = Path::new(&into).join(file.strip_prefix("/").unwrap());
    assert_eq!(mode(&restored), 0o750);
    assert_eq!(mode(restored.parent().unwrap()), 0o700);
    assert_eq!(mode(Path::new(&into)), 0o700);

    replace_archive(&scene.place, &tar_of("tool", tar::EntryType::Regular, 0o6755));
    let other = scene.place.beside("other");
    scene.place.run(&["restore", "--files", "--into", other.to_str().unwrap()]).success();
    assert_eq!(mode(&other.join("tool")), 0o755);
    assert_eq!(mode(&other), 0o700);

    let link = scene.place.beside("link");
    std::fs::create_dir(scene.place.beside("target")).unwrap();
    symlink("target", &link).unwrap();
    scene
        .place
        .run(&["restore", "--files", "--into", link.to_str().unwrap()])
        .code(1)
        .says(&["is not a directory"]);
}

#[test]
fn restore_files_unpacks_only_regular_files_within_the_directory() {
    for (path, kind, says) in [
        ("../escaped", tar::EntryType::Regular, "points outside the directory"),
        ("/tmp/escaped", tar::EntryType::Regular, "points outside the directory"),
        ("link", tar::EntryType::Symlink, "not a file"),
        ("link", tar::EntryType::Link, "not a file"),
        ("device", tar::EntryType::Char, "not a file"),
        ("device", tar::EntryType::Block, "not a file"),
        ("pipe", tar::EntryType::Fifo, "not a file"),
    ] {
        let (scene, into) = with_files();
        replace_archive(&scene.place, &tar_of(path, kind, 0o755));
        scene.place.run(&["restore", "--files", "--into", &into]).code(1).says(&[says, "not unpacked"]);
        assert_eq!(std::fs::read_dir(&into).unwrap().count(), 0, "{path}");
        assert!(!scene.place.beside("escaped").exists());
    }
}

#[test]
fn what_is_no_backup_of_configuration_files_is_never_unpacked_as_one() {
    for (before, after) in [
        ("\"scope\": \"files\"", "\"scope\": \"collection\""),
        ("\"origin\": \"snapshot\"", "\"origin\": \"imported\""),
    ] {
        let (scene, into) = with_files();
        let id = scene.place.backups("/files")[0].manifest.backup_id;
        let manifest = scene.place.layout().manifest(&name("/files"), id);
        let text = std::fs::read_to_string(&manifest).unwrap();
        let changed = text.replace(before, after);
        assert_ne!(text, changed);
        atomic::write(&manifest, 0o600, changed.as_bytes()).unwrap();

        scene
            .place
            .run(&["restore", "--files", "--into", &into])
            .code(1)
            .says(&["WARN", "is not one; skipped"])
            .says(&["configuration files: there is no backup"]);
        assert!(!Path::new(&into).exists());
    }
}

#[test]
fn nothing_is_imported_in_the_place_of_configuration_files() {
    let scene = Scene::new();
    let bytes = tar_of("tool", tar::EntryType::Regular, 0o755);
    let file = scene.place.beside("x.snapshot");
    atomic::write(&file, 0o600, &bytes).unwrap();
    scene
        .place
        .run(&["import", "--collection", "/files", file.to_str().unwrap()])
        .code(78)
        .says(&["Qdrant cannot have a collection \"/files\""]);
}
