//! `export`: the plain snapshot, or a clear error.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use e2e::{Place, Ran, Server, Stored};
use qdrant_backup_shared::atomic;
use sha2::{Digest, Sha256};

fn backed_up(server: &Server) -> (Place, String, Stored) {
    let place = Place::initialised(&server.url());
    let collection = server.collections()[2].clone();
    place.run(&["backup", "--collection", &collection]).success();
    let backup = place.backups(&collection).remove(0);
    (place, collection, backup)
}

fn sound(backup: &Stored, bytes: &[u8]) -> bool {
    Sha256::digest(bytes)[..] == backup.manifest.archives[0].snapshot.sha256.as_bytes()[..]
}

#[test]
fn the_snapshot_is_written_whole_private_and_never_over_a_file() {
    let server = Server::with_samples();
    let (place, collection, backup) = backed_up(&server);
    let path = place.beside("out.snapshot");
    let output = path.to_str().expect("a path");
    let arguments = ["export", "--collection", &collection, "-o", output];
    place.run(&arguments).success().says(&["Exported", &collection, "digest matches the manifest"]);
    assert!(sound(&backup, &fs::read(&path).expect("the export")));
    assert_eq!(fs::metadata(&path).expect("the export").permissions().mode() & 0o777, 0o600);
    place.run(&arguments).code(1).says(&["already exists", "--force"]);
    let id = backup.manifest.backup_id.to_string();
    place.run(&["export", "-c", &collection, "-o", output, "--force", "--backup", &id]).success();
    let directory = place.path();
    let directory = directory.to_str().expect("a path");
    place
        .run(&["export", "-c", &collection, "--force", "-o", directory])
        .code(1)
        .says(&["not a regular file"]);
}

#[test]
fn the_snapshot_comes_out_of_every_kind_of_archive() {
    let server = Server::with_samples();
    for compression in ["gzip", "zstd", "none"] {
        let place = Place::initialised(&server.url());
        let collection = server.collections()[2].clone();
        place.run(&["backup", "--collection", &collection, "--compression", compression]).success();
        let path = place.beside("out.snapshot");
        let output = path.to_str().expect("a path");
        place.run(&["export", "--collection", &collection, "-o", output]).success();
        assert!(
            sound(&place.backups(&collection)[0], &fs::read(&path).expect("the export")),
            "{compression}"
        );
    }
}

#[test]
fn stdout_gets_the_snapshot_and_nothing_else() {
    let server = Server::with_samples();
    let (place, collection, backup) = backed_up(&server);
    let output = place
        .command(&["export", "--collection", &collection, "-o", "-"])
        .stderr(Stdio::null())
        .output()
        .expect("the program starts");
    assert!(output.status.success());
    assert!(sound(&backup, &output.stdout));
}

#[test]
fn a_damaged_archive_leaves_no_file_and_exit_code_4() {
    let server = Server::with_samples();
    let (place, collection, backup) = backed_up(&server);
    let archive = backup.archive.clone();
    let whole = fs::read(&archive).expect("an archive");
    // By its id, because it is recorded as bad after the first time.
    let id = backup.manifest.backup_id.to_string();
    // In the middle, in the first byte, and at the end.
    for offset in [whole.len() / 2, 0, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[offset] ^= 1;
        atomic::write(&archive, 0o600, &damaged).expect("it can be damaged");
        let path = place.beside("out");
        let output = path.to_str().expect("a path");
        place.run(&["export", "-c", &collection, "--backup", &id, "-o", output]).code(4);
        assert!(!path.exists());
        let left = fs::read_dir(path.parent().expect("a directory")).expect("it can be listed");
        assert!(left.flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with(".tmp")));
        place.run(&["export", "-c", &collection, "--backup", &id, "-o", "-"]).code(4).says(&[
            "ERROR",
            "export of",
            &collection,
        ]);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let server = Server::with_samples();
    let (place, collection, _) = backed_up(&server);
    let says = |ran: Ran, what: &str| ran.code(1).says(&[what]);
    let nowhere = "there is no collection \"nowhere\" among the backups";
    says(place.run(&["export", "-c", "nowhere", "-o", "-"]), nowhere);
    let missing = "2001-01-01-00-00-00";
    says(place.run(&["export", "-c", &collection, "--backup", missing, "-o", "-"]), missing);
    place.run(&["export", "-c", &collection, "--backup", "all", "-o", "-"]).code(2);
}
