//! A model of a file system: its current state, and which part of it is durable.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::change::{Change, Id, ROOT};
use super::tree::{Blob, Node, Tree};

/// The contents of each directory.
pub(crate) type Names = HashMap<Id, BTreeMap<String, Id>>;

/// A file system, updated one change at a time.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    /// The durable names, up to the first name change that may be lost.
    pub(crate) settled: Names,
    /// The name changes since then in order, and which of them are durable.
    pub(crate) pending: Vec<(Change, bool)>,
    /// The current names.
    pub(crate) names: Names,
    pub(crate) files: HashMap<Id, File>,
    next: Id,
}

/// The contents of a file.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) now: Arc<Vec<u8>>,
    /// The durable part: the contents at the last sync.
    pub(crate) synced: Option<Arc<Vec<u8>>>,
}

impl File {
    pub(crate) fn lasts(&self) -> bool {
        self.synced.as_ref() == Some(&self.now)
    }
}

impl Disk {
    /// Starts with the contents of `tree`, all of it durable.
    pub(crate) fn of(tree: &Tree) -> Self {
        let names = HashMap::from([(ROOT, BTreeMap::new())]);
        let mut disk =
            Self { settled: Names::new(), pending: Vec::new(), names, files: HashMap::new(), next: ROOT + 1 };
        for (path, node) in &tree.0 {
            let (directory, name) = disk.place(path).expect("a directory comes before its entries");
            let id = disk.new_id();
            match node {
                Node::Directory => drop(disk.names.insert(id, BTreeMap::new())),
                Node::File(blob) => {
                    let bytes = Arc::new(blob.bytes.clone());
                    disk.files.insert(id, File { now: bytes.clone(), synced: Some(bytes) });
                }
            }
            disk.names.entry(directory).or_default().insert(name, id);
        }
        disk.settled = disk.names.clone();
        disk
    }

    /// Returns a new identity.
    pub(crate) fn new_id(&mut self) -> Id {
        self.next += 1;
        self.next - 1
    }

    /// The node at `path`.
    pub(crate) fn find(&self, path: &str) -> Option<Id> {
        if path.is_empty() {
            return Some(ROOT);
        }
        path.split('/').try_fold(ROOT, |id, name| self.names.get(&id)?.get(name).copied())
    }

    /// The parent directory of `path`, and the name in it.
    pub(crate) fn place(&self, path: &str) -> Option<(Id, String)> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Some((self.find(directory)?, name.to_owned()))
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { id, offset, bytes } => {
                let at = usize::try_from(*offset).expect("small files");
                let file = Arc::make_mut(&mut self.file(*id).now);
                if file.len() < at + bytes.len() {
                    file.resize(at + bytes.len(), 0);
                }
                file[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Change::SetLength { id, length } => {
                let length = usize::try_from(*length).expect("small files");
                Arc::make_mut(&mut self.file(*id).now).resize(length, 0);
            }
            Change::Sync { id } => self.sync(*id),
            Change::Name { id, .. }
            | Change::MakeDirectory { id, .. }
            | Change::Rename { id, .. }
            | Change::Remove { id, .. } => {
                self.next = self.next.max(id + 1);
                if matches!(change, Change::MakeDirectory { .. }) {
                    self.names.insert(*id, BTreeMap::new());
                } else if !self.names.contains_key(id) {
                    self.file(*id);
                }
                rename(&mut self.names, change, Kept::New);
                self.pending.push((change.clone(), false));
            }
        }
    }

    fn file(&mut self, id: Id) -> &mut File {
        self.files.entry(id).or_insert_with(|| File { now: Arc::default(), synced: None })
    }

    fn sync(&mut self, id: Id) {
        if !self.names.contains_key(&id) {
            let file = self.file(id);
            file.synced = Some(file.now.clone());
            return;
        }
        for (change, lasts) in &mut self.pending {
            *lasts |= change.directory() == Some(id);
        }
        let settled = self.pending.iter().take_while(|(_, lasts)| *lasts).count();
        for (change, _) in self.pending.drain(..settled) {
            rename(&mut self.settled, &change, Kept::New);
        }
    }

    /// The tree that is visible now.
    pub(crate) fn tree(&self) -> Tree {
        tree(&self.names, &|id| self.node(id, |file| Blob::of(file.now.to_vec())))
    }

    /// The node of `id`, where `blob` returns the contents of a file.
    pub(crate) fn node(&self, id: Id, blob: impl Fn(&File) -> Arc<Blob>) -> Node {
        self.files.get(&id).map_or(Node::Directory, |file| Node::File(blob(file)))
    }
}

/// Which names exist after a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Only the new one, as it should be.
    New,
    /// Both, as on file systems without atomic rename.
    Both,
}

/// Applies a name change, even if an earlier one is missing.
pub(crate) fn rename(names: &mut Names, change: &Change, kept: Kept) {
    let Some(directory) = change.directory() else { return };
    let entries = names.entry(directory).or_default();
    match change {
        Change::Name { name, id, .. } => drop(entries.insert(name.clone(), *id)),
        Change::MakeDirectory { name, id, .. } => {
            entries.insert(name.clone(), *id);
            names.entry(*id).or_default();
        }
        Change::Rename { from, to, id, .. } => {
            if kept == Kept::New {
                entries.remove(from);
            }
            entries.insert(to.clone(), *id);
        }
        Change::Remove { name, .. } => drop(entries.remove(name)),
        Change::Write { .. } | Change::SetLength { .. } | Change::Sync { .. } => {}
    }
}

/// The visible tree with these names, where `node` returns the node of each identity.
pub(crate) fn tree(names: &Names, node: &dyn Fn(Id) -> Node) -> Tree {
    let mut tree = Tree::default();
    let mut directories = vec![(ROOT, String::new())];
    while let Some((id, below)) = directories.pop() {
        for (name, id) in names.get(&id).into_iter().flatten() {
            let path = format!("{below}{name}");
            let node = node(*id);
            if node == Node::Directory {
                directories.push((*id, format!("{path}/")));
            }
            tree.0.insert(path, node);
        }
    }
    tree
}
