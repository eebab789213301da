//! File systems for one test, and users with fewer rights.
//!
//! A small or read-only file system needs a mount. It is made in a new mount namespace that lives as long as a helper
//! process and is not visible elsewhere: programs enter it with nsenter, and the test accesses it through /proc.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::place::{Place, Ran};
use crate::programs::copy_program;
use crate::users::{NOBODY, is_root};

/// A tmpfs mounted on the backup directory of a place.
pub struct Disk {
    keeper: Child,
    mounted_on: PathBuf,
    in_user_namespace: bool,
}

impl Disk {
    /// Like [`Disk::mount`], with a repository.
    pub fn initialised(place: &Place, size_bytes: u64) -> Self {
        let disk = Self::mount(place, size_bytes);
        Ran::of(&mut disk.inside(&place.command(&["init"]))).success();
        disk
    }

    /// Creates the backup directory of `place` and mounts a file system of this size on it.
    ///
    /// # Panics
    /// When mounting is not permitted. Tests of a full disk must not be skipped silently.
    pub fn mount(place: &Place, size_bytes: u64) -> Self {
        let in_user_namespace = !is_root();
        let mounted_on = place.path().to_owned();
        fs::create_dir(&mounted_on).expect("a directory");
        let script =
            format!("mount -t tmpfs -o size={size_bytes},mode=0755 tmpfs \"$1\" && echo mounted && exec cat");
        let mut keeper = Command::new("unshare")
            .args(if in_user_namespace { &["--map-root-user", "--mount"][..] } else { &["--mount"] })
            .args(["--propagation", "private", "sh", "-c", &script, "sh"])
            .arg(&mounted_on)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) is installed");
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().expect("a pipe")).read_line(&mut said).expect("its output");
        assert_eq!(
            said.trim(),
            "mounted",
            "a tmpfs cannot be mounted in a new namespace, so full and read-only disks cannot be tested here; \
             run the tests as root, or allow user namespaces (CAP_SYS_ADMIN in a container)"
        );
        Self { keeper, mounted_on, in_user_namespace }
    }

    /// The test's path to the backup directory.
    pub fn path(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.keeper.id());
        Path::new(&root).join(self.mounted_on.strip_prefix("/").expect("an absolute path"))
    }

    /// `command`, run inside the mount namespace.
    pub fn inside(&self, command: &Command) -> Command {
        let mut entering = Command::new("nsenter");
        entering.arg(format!("--target={}", self.keeper.id())).arg("--mount");
        if self.in_user_namespace {
            entering.args(["--user", "--preserve-credentials"]);
        }
        entering.arg("--");
        wrap(entering, command)
    }

    /// Makes the disk read-only.
    pub fn make_read_only(&self) {
        let mut remount = Command::new("mount");
        remount.args(["-o", "remount,ro"]).arg(&self.mounted_on);
        let status = self.inside(&remount).status().expect("nsenter (util-linux) is installed");
        assert!(status.success(), "the disk cannot be made read-only");
    }

    /// Fills the disk to the last byte.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.path().join("filler")).expect("a file can be made");
        for block in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
        assert!(file.write_all(b"x").is_err(), "the disk is full");
    }

    /// Removes the files of [`Disk::fill`].
    pub fn free(&self) {
        fs::remove_file(self.path().join("filler")).expect("the filler can be removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The namespace ends with the helper, and the mount with the namespace.
        drop(self.keeper.kill());
        drop(self.keeper.wait());
    }
}

/// `command` run through another program, with the environment and streams of [`Place::command`].
fn wrap(mut by: Command, command: &Command) -> Command {
    by.arg(command.get_program());
    with_all_of(by, command)
}

fn with_all_of(mut by: Command, command: &Command) -> Command {
    by.args(command.get_args());
    // Cleared first, so that `command` gets only its own variables. PATH is needed to find the wrapper.
    by.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            by.env(name, value);
        }
    }
    by.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    by
}

/// A user who owns nothing: `nobody` if the tests run as root, otherwise the current user.
pub struct Nobody {
    program: tempfile::TempDir,
}

impl Nobody {
    /// Gives that user access to the program and the place.
    pub fn new(place: &Place) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let copy = directory.path().join("qdrant-backup");
        copy_program("qdrant-backup", &copy);
        let outer = place.path().parent().expect("a parent").to_owned();
        for path in [directory.path(), &copy, &outer] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("modes can be set");
        }
        Self { program: directory }
    }

    /// `command` as that user.
    pub fn runs(&self, command: &Command) -> Command {
        let mut by = Command::new(self.program.path().join("qdrant-backup"));
        if is_root() {
            // This also drops root's groups.
            by.uid(NOBODY).gid(NOBODY);
        }
        with_all_of(by, command)
    }

    /// Makes that user the owner of `path` and everything below it.
    pub fn owns(&self, path: &Path) {
        if is_root() {
            std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("root can change owners");
        }
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("a directory") {
                self.owns(&entry.expect("an entry").path());
            }
        }
    }
}

/// Sets the mode of a path.
#[track_caller]
pub fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("modes can be set");
}
