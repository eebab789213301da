//! A backup directory for one test, and runs of `qdrant-backup` on it.

use std::fs;
use std::io::Read;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::manifest::{Encoding, Manifest, SizeAndDigest};
use qdrant_backup_shared::{Layout, Status, VerificationRecord, atomic, json_file, status_journal};
use sha2::{Digest, Sha256};

use crate::directory::{Directory, name};
use crate::programs::program;

/// A temporary place: the backup directory, a configuration file, and the arguments for the program.
pub struct Place {
    outer: tempfile::TempDir,
    directory: Directory,
    url: String,
}

/// A backup with the contents of its files.
#[derive(Debug)]
pub struct Stored {
    backup: Backup,
    /// The first archive.
    pub archive: PathBuf,
    /// The manifest.
    pub manifest: Manifest,
    /// The verification record, if there is a readable one.
    pub verification: Option<VerificationRecord>,
}

/// The result of a run of the program.
#[derive(Debug)]
pub struct Ran {
    /// The exit code. None if a signal killed the program.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error: the log.
    pub stderr: String,
}

impl Place {
    /// A place that backs up the Qdrant at `url`, without a repository yet. Retries are off, and so is waiting for
    /// the server. Waiting for its shards is short. So a fault shows at once.
    pub fn new(url: &str) -> Self {
        let outer = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::at(outer.path().join("backups"));
        let place = Self { outer, directory, url: url.to_owned() };
        place.configure("qdrant:\n  retries: 0\n  wait_for_server: 0s\n  cluster_timeout: 1s\n");
        place
    }

    /// Like [`Place::new`], with a repository.
    pub fn initialised(url: &str) -> Self {
        let place = Self::new(url);
        place.run(&["init"]).success();
        place
    }

    /// Later runs back up the Qdrant at `url`.
    pub fn set_url(&mut self, url: &str) {
        url.clone_into(&mut self.url);
    }

    /// The URL of the Qdrant that is backed up.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A path next to the backup directory.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.outer.path().join(name)
    }

    /// Replaces the configuration file, which every run uses.
    pub fn configure(&self, yaml: &str) {
        atomic::write(&self.beside("backup.yaml"), 0o644, yaml.as_bytes())
            .expect("the configuration can be written");
    }

    /// A command that runs the program with `arguments`. Of the test's environment it keeps only what it needs.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("qdrant-backup"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.beside("backup.yaml"))
            .env_clear()
            .env("QDRANT_URL", &self.url)
            .env("QDRANT_BACKUP_PATH", self.path())
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(key) = std::env::var_os("QDRANT_API_KEY") {
            // Only a real server requires it; tests set the key of a stand-in.
            command.env("QDRANT_API_KEY", key);
        }
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// The path of the backup directory.
    pub fn catalog(&self) -> Catalog {
        Catalog::read(&self.layout()).expect("the backup directory can be read")
    }

    /// The status in the status file.
    pub fn status(&self) -> Status {
        let kept = status_journal::read(&self.layout()).expect("the status exists");
        assert!(kept.problem.is_none(), "{:?}", kept.problem);
        kept.status
    }

    /// The backups of `collection`, oldest first.
    pub fn backups(&self, collection: &str) -> Vec<Stored> {
        let backups = self.catalog().collections.remove(&name(collection)).unwrap_or_default();
        backups.into_iter().map(|backup| Stored::of(backup, &self.layout())).collect()
    }

    /// The newest backup of `collection`.
    ///
    /// # Panics
    /// When there is no backup.
    #[track_caller]
    pub fn newest(&self, collection: &str) -> Stored {
        self.backups(collection).pop().expect("a backup")
    }

    /// The ids of the backups of `collection`, oldest first.
    pub fn ids(&self, collection: &str) -> Vec<String> {
        self.backups(collection).iter().map(|backup| backup.backup_id.to_string()).collect()
    }

    /// Every file in the backup directory with its contents, to check that nothing has changed.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let read = |name: String| {
            let bytes = fs::read(self.path().join(&name)).expect("a file");
            (name, bytes)
        };
        self.files().into_iter().map(read).collect()
    }

    /// Every file in the backup directory as a sorted relative path, without directories.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        walk(self.path(), self.path(), &mut files);
        files.sort();
        files
    }

    /// Archives, manifests and temporary files: all files below the collections' directories.
    pub fn stored(&self) -> Vec<String> {
        self.files().into_iter().filter(|name| name.starts_with("collections/")).collect()
    }

    /// The temporary files.
    pub fn temporary(&self) -> Vec<String> {
        self.files().into_iter().filter(|name| name.ends_with(".tmp")).collect()
    }

    /// Decompresses every archive and compares it with its manifest, so that every listed backup is proven good.
    /// Returns the number of backups.
    pub fn prove(&self) -> usize {
        prove(&self.layout())
    }
}

/// Fails the test unless the file at `path` has this size and digest.
#[track_caller]
fn assert_is(bytes: &[u8], expected: SizeAndDigest, path: &Path) {
    assert_eq!(bytes.len() as u64, expected.size_bytes, "{}", path.display());
    assert_eq!(Sha256::digest(bytes)[..], expected.sha256.as_bytes()[..], "{}", path.display());
}

/// Like [`Place::prove`], for any backup directory.
///
/// # Panics
/// When a listed backup is bad.
pub fn prove(layout: &Layout) -> usize {
    let catalog = Catalog::read(layout).expect("the backup directory can be read");
    assert!(catalog.unreadable.is_empty(), "{:?}", catalog.unreadable);
    let mut proven = 0;
    for backup in catalog.collections.values().flatten() {
        assert_eq!(backup.remarks().missing, None);
        let manifest = backup.whole(layout).expect("it still exists").manifest;
        for archive in &manifest.archives {
            let path = layout.collection(&manifest.collection).join(&archive.file_name);
            let stored = fs::read(&path).expect("the archive can be read");
            assert_is(&stored, archive.stored, &path);
            assert_is(&decode(&stored, &archive.encoding), archive.snapshot, &path);
        }
        proven += 1;
    }
    proven
}

impl Deref for Place {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

fn decode(stored: &[u8], encoding: &[Encoding]) -> Vec<u8> {
    match encoding {
        [] => stored.to_vec(),
        [Encoding::Gzip] => {
            let mut plain = Vec::new();
            flate2::read::MultiGzDecoder::new(stored).read_to_end(&mut plain).expect("gzip");
            plain
        }
        [Encoding::Zstd] => zstd::decode_all(stored).expect("zstd"),
        other => panic!("cannot decode {other:?}"),
    }
}

fn walk(root: &Path, directory: &Path, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            walk(root, &path, files);
        } else {
            let relative = path.strip_prefix(root).expect("below the root");
            files.push(relative.to_string_lossy().into_owned());
        }
    }
}

impl Stored {
    fn of(backup: Backup, layout: &Layout) -> Self {
        let record = layout.verification(&backup.collection, backup.backup_id);
        let manifest = backup.whole(layout).expect("it still exists").manifest;
        let archive = layout.collection(&manifest.collection).join(&manifest.archives[0].file_name);
        Self { backup, archive, manifest, verification: json_file::read(&record).ok() }
    }
}

impl Deref for Stored {
    type Target = Backup;

    fn deref(&self) -> &Backup {
        &self.backup
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// Runs `command` to its end.
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().expect("the program starts"))
    }

    /// Fails the test and shows the log unless the exit code is `code`.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless the run succeeded.
    #[track_caller]
    pub fn success(self) -> Self {
        self.code(0)
    }

    /// Fails the test unless some line of the log contains all of `parts`.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        let found = self.stderr.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line contains {parts:?}:\n{}", self.stderr);
        self
    }

    /// The last line of the log.
    ///
    /// # Panics
    /// When the log is empty.
    #[track_caller]
    pub fn last_line(&self) -> &str {
        self.stderr.lines().last().expect("a line")
    }

    /// Fails the test if any line of the log contains `text`.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "{text:?} was logged:\n{}", self.stderr);
        self
    }
}
