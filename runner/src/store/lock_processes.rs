//! Finds the processes of this machine that have locked a file.
//!
//! Only for messages, not for decisions. Hidden processes (other machines, other containers, `ProcSubset=pid`) are not found.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use qdrant_backup_shared::text::shortened;
use serde::Serialize;

/// A process that has locked a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockProcess {
    /// Its process id.
    pub pid: u32,
    /// The name of its program, as in `ps` and `lslocks`. None if it has ended and a child holds the lock.
    pub program: Option<String>,
}

impl LockProcess {
    /// Whether it is this program.
    pub fn is_ours(&self) -> bool {
        self.program.as_deref() == Some("qdrant-backup")
    }
}

impl fmt::Display for LockProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => write!(formatter, "process {} ({program})", self.pid),
            None => write!(formatter, "a child of process {}, which has ended", self.pid),
        }
    }
}

/// The list of all locks.
const LOCKS: &str = "/proc/locks";

/// Whether the locks of this machine can be seen at all.
pub fn are_visible() -> bool {
    Path::new(LOCKS).exists()
}

/// The processes that have locked the file at `path`, as far as they are visible.
pub fn of(path: &Path) -> Vec<LockProcess> {
    let (Ok(metadata), Ok(locks)) = (fs::metadata(path), fs::read_to_string(LOCKS)) else {
        return Vec::new();
    };
    let device = metadata.dev();
    let file = (rustix::fs::major(device), rustix::fs::minor(device), metadata.ino());
    pids(&locks, file).into_iter().map(|pid| LockProcess { pid, program: program(pid) }).collect()
}

fn program(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(shortened(name.trim_end(), 40))
}

/// The holders of locks on the file (major, minor, inode) in the text of `/proc/locks`; see proc(5). Some file systems report a
/// different device there than in stat(2): then only the inode is compared.
fn pids(locks: &str, file: (u32, u32, u64)) -> Vec<u32> {
    let held: Vec<(u32, (u32, u32, u64))> = locks.lines().filter_map(held).collect();
    let on = |is_it: &dyn Fn((u32, u32, u64)) -> bool| {
        let mut pids: Vec<u32> = held.iter().filter(|(_, at)| is_it(*at)).map(|(pid, _)| *pid).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    };
    let exact = on(&|at| at == file);
    if exact.is_empty() { on(&|at| at.2 == file.2) } else { exact }
}

/// For example `1: FLOCK  ADVISORY  WRITE 4711 08:01:131078 0 EOF`. A `->` after the number marks a waiting process.
fn held(line: &str) -> Option<(u32, (u32, u32, u64))> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, kind, _, _, pid, file, ..] = words.as_slice() else { return None };
    if *kind == "->" {
        return None;
    }
    let mut parts = file.split(':');
    let mut hexadecimal = || u32::from_str_radix(parts.next()?, 16).ok();
    let (major, minor) = (hexadecimal()?, hexadecimal()?);
    Some((pid.parse().ok()?, (major, minor, parts.next()?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "\
1: POSIX  ADVISORY  READ 12 08:01:7 128 128
2: FLOCK  ADVISORY  WRITE 4711 fd:1a:131078 0 EOF
2: -> FLOCK  ADVISORY  WRITE 99 fd:1a:131078 0 EOF
3: FLOCK  ADVISORY  WRITE 5 08:01:131078 0 EOF
4: OFDLCK ADVISORY  WRITE -1 08:01:9 0 EOF
5: LEASE  ACTIVE    READ 8
";

    #[test]
    fn the_holder_of_exactly_this_file_is_found_and_no_waiting_one() {
        assert_eq!(pids(EXAMPLE, (0xfd, 0x1a, 131_078)), [4711]);
        assert_eq!(pids(EXAMPLE, (8, 1, 131_078)), [5]);
        assert_eq!(pids(EXAMPLE, (0, 44, 131_078)), [5, 4711], "whose device is said differently");
        assert_eq!(pids(EXAMPLE, (8, 1, 9)), [] as [u32; 0]);
        assert_eq!(pids("", (8, 1, 9)), [] as [u32; 0]);
    }

    #[test]
    fn a_lock_of_this_process_is_seen() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(of(file.path()), []);
        file.as_file().lock().unwrap();
        let holders = of(file.path());
        assert_eq!(holders.iter().map(|holder| holder.pid).collect::<Vec<_>>(), [std::process::id()]);
        assert!(holders[0].program.is_some() && !holders[0].is_ours());
    }
}
