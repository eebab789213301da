//! Converts system calls to changes of a disk: what each call did below the watched directory.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use super::change::{Change, Id, Step};
use super::disk::Disk;
use super::trace::{Call, bytes, descriptor, gathered, string};
use super::tree::Tree;

/// Calls without an effect on the state after a crash. Modes and owners are among them, because they are set before a
/// file gets its name.
const HARMLESS: &[&str] = &[
    "access",
    "chdir",
    "chmod",
    "chown",
    "close",
    "close_range",
    "creds",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_wait",
    "eventfd2",
    "execve",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "fgetxattr",
    "flock",
    "fstat",
    "fstatfs",
    "getcwd",
    "getdents64",
    "getxattr",
    "inotify_add_watch",
    "lgetxattr",
    "listxattr",
    "llistxattr",
    "lstat",
    "newfstatat",
    "poll",
    "ppoll",
    "pread64",
    "readahead",
    "readlink",
    "readlinkat",
    "stat",
    "statfs",
    "statx",
    "sync_file_range",
    "utimensat",
];

/// The changes that `calls` made below `root`, whose state before was `before`.
pub(crate) struct Recorder<'a> {
    root: &'a str,
    disk: Disk,
    open: HashMap<i64, Open>,
    steps: Vec<Step>,
}

/// An open file description.
#[derive(Clone)]
struct Open {
    id: Id,
    /// The file position; duplicates of the descriptor share it.
    offset: Rc<Cell<u64>>,
    appends: bool,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(root: &'a Path, before: &Tree) -> Self {
        let root = root.to_str().expect("paths are text");
        Self { root, disk: Disk::of(before), open: HashMap::new(), steps: Vec::new() }
    }

    /// The changes, and the visible tree after them.
    pub(crate) fn end(self) -> (Vec<Step>, Tree) {
        let tree = self.disk.tree();
        (self.steps, tree)
    }

    /// # Panics
    /// When the call concerns something below the root and is not supported.
    pub(crate) fn enter(&mut self, call: &Call) {
        let Some(result) = call.result else { return };
        let argument = |number: usize| call.arguments.get(number).map_or("", String::as_str);
        match call.name.as_str() {
            "open" => self.opened(call, self.path("", argument(0)), argument(1), result),
            "creat" => self.opened(call, self.path("", argument(0)), "O_CREAT|O_TRUNC", result),
            "openat" => self.opened(call, self.path(argument(0), argument(1)), argument(2), result),
            "read" | "readv" => self.pass_over(argument(0), result),
            "write" => self.written(
                call,
                argument(0),
                bytes_if_ours(self, argument(0), argument(1), bytes),
                result,
                None,
            ),
            "writev" => {
                let bytes = bytes_if_ours(self, argument(0), argument(1), gathered);
                self.written(call, argument(0), bytes, result, None);
            }
            "pwrite64" => {
                let bytes = bytes_if_ours(self, argument(0), argument(1), bytes);
                self.written(call, argument(0), bytes, result, Some(number(argument(3))));
            }
            "lseek" => {
                if let Some(open) = self.ours(argument(0)) {
                    open.offset.set(result.unsigned_abs());
                }
            }
            "ftruncate" => {
                if let Some(open) = self.ours(argument(0)) {
                    self.step(call, Change::SetLength { id: open.id, length: number(argument(1)) });
                }
            }
            // Space that is allocated beyond a file's end is not visible.
            "fallocate" => {
                self.unless_ours(call, argument(1) == "FALLOC_FL_KEEP_SIZE" || !self.is_ours(argument(0)))
            }
            "fsync" | "fdatasync" => {
                let Some((_, path, gone)) = descriptor(argument(0)) else { return };
                let id = match self.below(&path) {
                    Some(path) if !gone => self.disk.find(&path),
                    Some(_) => self.ours(argument(0)).map(|open| open.id),
                    None => None,
                };
                if let Some(id) = id {
                    self.step(call, Change::Sync { id });
                }
            }
            "fcntl" => {
                let copies = argument(1).starts_with("F_DUPFD");
                if let Some(open) = self.ours(argument(0)).filter(|_| copies) {
                    self.open.insert(result, open);
                }
            }
            "dup" | "dup2" | "dup3" => {
                if let Some(open) = self.ours(argument(0)) {
                    self.open.insert(result, open);
                }
            }
            "rename" => self.renamed(call, self.path("", argument(0)), self.path("", argument(1))),
            "renameat" | "renameat2" => {
                self.unless_ours(call, !argument(4).contains("RENAME_EXCHANGE"));
                let from = self.path(argument(0), argument(1));
                self.renamed(call, from, self.path(argument(2), argument(3)));
            }
            "link" => self.linked(call, self.path("", argument(0)), self.path("", argument(1))),
            "linkat" => {
                let from = self.path(argument(0), argument(1));
                self.linked(call, from, self.path(argument(2), argument(3)));
            }
            "unlink" | "rmdir" => self.removed(call, self.path("", argument(0))),
            "unlinkat" => self.removed(call, self.path(argument(0), argument(1))),
            "mkdir" => self.made(call, self.path("", argument(0))),
            "mkdirat" => self.made(call, self.path(argument(0), argument(1))),
            "mmap" => {
                let writes = argument(2).contains("PROT_WRITE") && argument(3).contains("MAP_SHARED");
                self.unless_ours(call, !writes || !self.is_ours(argument(4)));
            }
            name if HARMLESS.contains(&name) => {}
            _ => self.unless_ours(call, !self.touches(call)),
        }
    }

    fn step(&mut self, call: &Call, change: Change) {
        self.disk.apply(&change);
        self.steps.push(Step { at: call.at, change });
    }

    /// # Panics
    /// When it is not supported. Unknown calls must not be ignored.
    fn unless_ours(&self, call: &Call, known: bool) {
        assert!(known, "{}({}) is not supported by the recorder", call.name, call.arguments.join(", "));
    }

    fn touches(&self, call: &Call) -> bool {
        call.arguments.iter().any(|argument| {
            let named = argument.starts_with('"').then(|| string(argument)).flatten();
            self.is_ours(argument) || named.is_some_and(|path| self.below(&path).is_some())
        })
    }

    /// The path relative to the root, if it is below the root.
    fn below(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.root)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/').to_owned())
    }

    fn path(&self, directory: &str, argument: &str) -> Option<String> {
        let path = string(argument)?;
        let from = descriptor(directory).map_or(String::new(), |(_, path, _)| path);
        let whole = if path.starts_with('/') { path } else { format!("{from}/{path}") };
        assert!(!whole.contains("/../"), "{whole} is not supported by the recorder");
        self.below(&whole)
    }

    fn is_ours(&self, argument: &str) -> bool {
        descriptor(argument).is_some_and(|(_, path, _)| self.below(&path).is_some())
    }

    /// The open file of a descriptor, if it is below the root.
    fn ours(&self, argument: &str) -> Option<Open> {
        let (number, path, gone) = descriptor(argument)?;
        let path = self.below(&path)?;
        let open = self.open.get(&number)?;
        let same = gone || self.disk.find(&path) == Some(open.id);
        assert!(same, "descriptor {number} is of {path}, but the recorder knows it as another file");
        Some(open.clone())
    }

    fn opened(&mut self, call: &Call, path: Option<String>, flags: &str, descriptor: i64) {
        self.open.remove(&descriptor);
        let Some(path) = path else { return };
        self.unless_ours(call, !flags.contains("O_TMPFILE"));
        let id = match self.disk.find(&path) {
            Some(id) => id,
            None => {
                self.unless_ours(call, flags.contains("O_CREAT"));
                let (directory, name) = self.disk.place(&path).expect("its directory exists");
                let id = self.disk.new_id();
                self.step(call, Change::Name { directory, name, id });
                id
            }
        };
        let length = self.disk.files.get(&id).map_or(0, |file| file.now.len());
        if flags.contains("O_TRUNC") && length > 0 {
            self.step(call, Change::SetLength { id, length: 0 });
        }
        let open = Open { id, offset: Rc::default(), appends: flags.contains("O_APPEND") };
        self.open.insert(descriptor, open);
    }

    fn pass_over(&self, argument: &str, count: i64) {
        if let Some(open) = self.ours(argument) {
            open.offset.set(open.offset.get() + count.unsigned_abs());
        }
    }

    fn written(&mut self, call: &Call, argument: &str, bytes: Option<Vec<u8>>, count: i64, at: Option<u64>) {
        let Some(mut bytes) = bytes else { return };
        let open = self.ours(argument).unwrap_or_else(|| panic!("{argument} was never opened"));
        bytes.truncate(usize::try_from(count).expect("small files"));
        let end = self.disk.files.get(&open.id).map_or(0, |file| file.now.len() as u64);
        let offset = at.unwrap_or(if open.appends { end } else { open.offset.get() });
        if at.is_none() {
            open.offset.set(offset + count.unsigned_abs());
        }
        self.step(call, Change::Write { id: open.id, offset, bytes });
    }

    /// The parent directory of `path`, and the name in it.
    fn place(&self, path: &str) -> (Id, String) {
        self.disk.place(path).unwrap_or_else(|| panic!("the directory of {path} does not exist"))
    }

    /// The node at the first of two names, and both names. None if they are not below the root.
    fn named(&self, what: &str, from: Option<String>, to: Option<String>) -> Option<(Id, String, String)> {
        let (from, to) = match (from, to) {
            (None, None) => return None,
            (Some(from), Some(to)) => (from, to),
            _ => panic!("a {what} across the root is not supported by the recorder"),
        };
        let id = self.disk.find(&from).unwrap_or_else(|| panic!("{from} does not exist"));
        Some((id, from, to))
    }

    fn renamed(&mut self, call: &Call, from: Option<String>, to: Option<String>) {
        let Some((id, from, to)) = self.named("rename", from, to) else { return };
        let ((directory, from), (other, to)) = (self.place(&from), self.place(&to));
        assert_eq!(directory, other, "a rename between directories is not supported by the recorder");
        self.step(call, Change::Rename { directory, from, to, id });
    }

    fn linked(&mut self, call: &Call, from: Option<String>, to: Option<String>) {
        let Some((id, _, to)) = self.named("link", from, to) else { return };
        let (directory, name) = self.place(&to);
        self.step(call, Change::Name { directory, name, id });
    }

    fn removed(&mut self, call: &Call, path: Option<String>) {
        let Some(path) = path else { return };
        let id = self.disk.find(&path).unwrap_or_else(|| panic!("{path} does not exist"));
        let (directory, name) = self.place(&path);
        self.step(call, Change::Remove { directory, name, id });
    }

    fn made(&mut self, call: &Call, path: Option<String>) {
        let Some(path) = path else { return };
        let (directory, name) = self.place(&path);
        let id = self.disk.new_id();
        self.step(call, Change::MakeDirectory { directory, name, id });
    }
}

/// The data that is written, if it is written below the root.
fn bytes_if_ours(
    recorder: &Recorder<'_>,
    argument: &str,
    data: &str,
    read: impl Fn(&str) -> Vec<u8>,
) -> Option<Vec<u8>> {
    recorder.is_ours(argument).then(|| read(data))
}

fn number(argument: &str) -> u64 {
    argument.parse().unwrap_or_else(|_| panic!("{argument} is not a number"))
}
