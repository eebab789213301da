//! The visible contents of a directory: every path below it, with the contents of the files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qdrant_backup_shared::atomic;
use sha2::{Digest, Sha256};

/// Bytes with their digest.
#[derive(Debug, PartialEq, Eq)]
pub struct Blob {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// The node at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory. Its entries are separate nodes.
    Directory,
    /// A file with its contents.
    File(Arc<Blob>),
}

/// Every path below the directory, as a relative path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree(pub BTreeMap<String, Node>);

impl Blob {
    /// These bytes.
    pub fn of(bytes: Vec<u8>) -> Arc<Self> {
        let sha256 = Sha256::digest(&bytes).into();
        Arc::new(Self { bytes, sha256 })
    }
}

impl Tree {
    /// What is in `directory`.
    ///
    /// # Panics
    /// When it contains anything but files and directories.
    pub fn of(directory: &Path) -> Self {
        let mut tree = Self::default();
        tree.add(directory, "");
        tree
    }

    fn add(&mut self, root: &Path, below: &str) {
        for entry in fs::read_dir(root.join(below)).expect("a directory") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("names are text");
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let kind = entry.file_type().expect("a kind");
            assert!(kind.is_dir() || kind.is_file(), "{path} is neither file nor directory");
            if kind.is_dir() {
                self.add(root, &path);
                self.0.insert(path, Node::Directory);
            } else {
                let bytes = fs::read(root.join(&path)).expect("a file");
                self.0.insert(path, Node::File(Blob::of(bytes)));
            }
        }
    }

    /// The files with their paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Arc<Blob>)> {
        self.0.iter().filter_map(|(path, node)| match node {
            Node::File(blob) => Some((path.as_str(), blob)),
            Node::Directory => None,
        })
    }

    /// The contents of the file at `path`.
    pub fn file(&self, path: &str) -> Option<&Arc<Blob>> {
        match self.0.get(path)? {
            Node::File(blob) => Some(blob),
            Node::Directory => None,
        }
    }

    /// A key that is different for different trees.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (path, node) in &self.0 {
            hash.update(path.as_bytes());
            match node {
                Node::Directory => hash.update(b"\0directory\0"),
                Node::File(blob) => {
                    hash.update(b"\0file\0");
                    hash.update(blob.sha256);
                }
            }
        }
        hash.finalize().into()
    }
}

/// A real directory that is changed to one tree after another.
pub struct Stage {
    path: PathBuf,
    shown: Tree,
}

impl Stage {
    /// Uses a directory with any contents.
    pub fn on(path: &Path) -> Self {
        Self { path: path.to_owned(), shown: Tree::of(path) }
    }

    /// Changes the directory to match `tree`.
    pub fn show(&mut self, tree: &Tree) {
        // A directory comes before its entries.
        for (path, node) in self.shown.0.iter().rev().filter(|(path, node)| tree.0.get(*path) != Some(node)) {
            let path = self.path.join(path);
            match node {
                Node::Directory => fs::remove_dir(path).expect("an empty directory"),
                Node::File(_) => fs::remove_file(path).expect("a file"),
            }
        }
        for (path, node) in tree.0.iter().filter(|(path, node)| self.shown.0.get(*path) != Some(node)) {
            let path = self.path.join(path);
            match node {
                Node::Directory => {
                    fs::DirBuilder::new().mode(0o750).create(&path).expect("a directory");
                    let mode = fs::Permissions::from_mode(atomic::DIRECTORY_MODE);
                    fs::set_permissions(&path, mode).expect("a mode");
                }
                Node::File(blob) => put(&path, &blob.bytes),
            }
        }
        self.shown = tree.clone();
    }
}

#[expect(clippy::disallowed_methods, reason = "what a crash leaves need not survive another one")]
fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
    let json = path.extension().is_some_and(|extension| extension == "json");
    let mode = if json { atomic::JSON_MODE } else { atomic::ARCHIVE_MODE };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}
