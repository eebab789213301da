//! Permissions: modes of directories and files under any umask, and the inherited group.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::users::need_root;
use e2e::{Place, Ran, Scene};

use crate::traces::server_of;
use e2e::disks::chmod;

/// `place.command(arguments)` under this umask.
fn with_umask(place: &Place, umask: &str, arguments: &[&str]) -> Ran {
    let inner = place.command(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask} && exec \"$@\""), "sh"]);
    command.arg(inner.get_program()).args(inner.get_args()).env_clear();
    for (name, value) in inner.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Ran::of(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))
}

fn everything(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// Checks the mode of everything in the backup directory and counts the entries of each kind.
#[track_caller]
fn check_modes(root: &Path) -> (usize, usize, usize) {
    let (mut directories, mut archives, mut json) = (0, 0, 0);
    for path in everything(root) {
        let mode = fs::metadata(&path).unwrap().mode() & 0o7777;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let expected = if path.is_dir() {
            directories += 1;
            0o2750
        } else if name.contains(".snapshot") {
            archives += 1;
            0o600
        } else if name == ".lock" {
            json += 1;
            // A user who can open it could hold the lock.
            0o600
        } else {
            json += 1;
            0o640
        };
        assert_eq!(mode, expected, "{}: {mode:o}", path.display());
    }
    (directories, archives, json)
}

#[cfg(feature = "outside")]
#[test]
fn modes_are_as_documented_under_every_umask() {
    for umask in ["000", "022", "077", "777"] {
        let server = server_of(64 << 10);
        let place = Place::new(&server.url());
        let state = place.beside("state");
        let path = state.to_str().unwrap();
        with_umask(&place, umask, &["init", "--state-dir", path]).success();
        with_umask(&place, umask, &["backup", "--state-dir", path]).success();
        with_umask(&place, umask, &["backup", "--state-dir", path]).success();
        let lock = fs::File::open(place.path().join(".lock")).unwrap();
        lock.try_lock().unwrap();
        with_umask(&place, umask, &["backup", "--state-dir", path]).code(75);
        // repository.json, .lock and two manifests; status.json and last_skipped.json.
        assert_eq!(check_modes(place.path()), (3, 2, 4), "umask {umask}");
        assert_eq!(check_modes(&state), (1, 0, 2), "umask {umask}");
    }
}

#[cfg(feature = "outside")]
#[test]
fn what_is_made_belongs_to_the_directorys_group() {
    need_root();
    let Scene { server: _server, place } = Scene::on(server_of(64 << 10));
    let group = 54_321;
    chown(place.path(), None, Some(group)).unwrap();
    // Changing the group of a directory can clear the setgid bit; an administrator would set it again.
    chmod(place.path(), 0o2750);
    place.run(&["backup"]).success();
    let made: Vec<PathBuf> =
        everything(place.path()).into_iter().filter(|path| !path.ends_with("repository.json")).collect();
    assert!(made.contains(&place.backups("vectors")[0].archive), "{made:?}");
    for path in made {
        assert_eq!(fs::metadata(&path).unwrap().gid(), group, "{}", path.display());
    }
}

#[test]
fn a_directory_that_was_there_keeps_the_mode_its_owner_gave_it() {
    let server = server_of(64 << 10);
    let place = Place::new(&server.url());
    fs::create_dir(place.path()).unwrap();
    chmod(place.path(), 0o700);
    place.run(&["init"]).success();
    place.run(&["backup"]).success();
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777, 0o700);
}
