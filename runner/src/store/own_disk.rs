//! Checks whether the backups are on the same disk as Qdrant's data.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use url::{Host, Url};

/// Whether the backups share a disk with Qdrant's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnDisk {
    /// The server is not on this machine.
    OtherMachine,
    /// Its data, found here, is on another file system.
    Apart(PathBuf),
    /// Its data, found here, is on the same file system.
    Shared(PathBuf),
    /// It is on this machine, but its data was not found.
    Unknown,
    /// Several servers are on this machine, and it is not known which one this is.
    Several,
}

/// Default paths of Qdrant's data in packages and images.
const USUAL: [&str; 3] = ["/var/lib/qdrant/storage", "/opt/qdrant/storage", "/qdrant/storage"];

/// Looks for the data of the server at `url`: in the working directory of the running server, where `storage` is by default. If no
/// server runs, in the default paths.
pub fn look(url: &Url, backups: &Path) -> OwnDisk {
    if !is_here(url) {
        return OwnDisk::OtherMachine;
    }
    let usual = || USUAL.map(PathBuf::from).into_iter().map(|path| (path.clone(), path));
    match running(Path::new("/proc"), url.port_or_known_default()) {
        Running::None => judge(usual(), backups),
        Running::One(server) => {
            let found = judge([data_of(&server)].into_iter(), backups);
            if found == OwnDisk::Unknown { judge(usual(), backups) } else { found }
        }
        Running::Several => OwnDisk::Several,
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The first of `places`, each with its name for people, that is on the backups' file system, otherwise the first that exists.
fn judge(places: impl Iterator<Item = (PathBuf, PathBuf)>, backups: &Path) -> OwnDisk {
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    // A missing directory will be on its parent's file system.
    let Some(ours) = backups.ancestors().find_map(device) else { return OwnDisk::Unknown };
    let found: Vec<(PathBuf, u64)> =
        places.filter_map(|(path, shown)| device(&path).map(|device| (shown, device))).collect();
    match found.iter().find(|(_, device)| *device == ours).or(found.first()) {
        Some((path, device)) if *device == ours => OwnDisk::Shared(path.clone()),
        Some((path, _)) => OwnDisk::Apart(path.clone()),
        None => OwnDisk::Unknown,
    }
}

/// The running servers, as directories in `/proc`.
#[derive(Debug, PartialEq, Eq)]
enum Running {
    None,
    /// The only one, or the one that listens on the port.
    One(PathBuf),
    /// Several, and not known which one.
    Several,
}

fn running(proc: &Path, port: Option<u16>) -> Running {
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let servers = processes.map(|process| process.path()).filter(|process| {
        fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim_end() == "qdrant")
    });
    let mut servers: Vec<PathBuf> = servers.collect();
    if servers.len() > 1 {
        let sockets = listening(proc, port);
        servers.retain(|server| holds_one(server, &sockets));
        return servers.pop().filter(|_| servers.is_empty()).map_or(Running::Several, Running::One);
    }
    servers.pop().map_or(Running::None, Running::One)
}

/// The sockets that listen on the port, as the links of open files name them.
fn listening(proc: &Path, port: Option<u16>) -> Vec<PathBuf> {
    const LISTENS: &str = "0A";
    let tables =
        ["net/tcp", "net/tcp6"].map(|table| fs::read_to_string(proc.join(table)).unwrap_or_default());
    let lines = tables.iter().flat_map(|table| table.lines());
    let socket = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = columns.get(1)?.rsplit_once(':')?;
        let is_it = columns.get(3) == Some(&LISTENS) && u16::from_str_radix(local, 16).ok() == port;
        is_it.then(|| columns.get(9).map(|inode| PathBuf::from(format!("socket:[{inode}]"))))?
    };
    lines.filter_map(socket).collect()
}

/// Whether the process has one of the sockets. No, if it belongs to another user.
fn holds_one(process: &Path, sockets: &[PathBuf]) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|link| sockets.contains(&link))
}

/// The data directory of a server, resolved in its own root, because of containers, and its name there.
fn data_of(server: &Path) -> (PathBuf, PathBuf) {
    let path = server.join("cwd/storage");
    let shown = fs::read_link(server.join("cwd")).map_or_else(|_| path.clone(), |cwd| cwd.join("storage"));
    (path, shown)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_server_elsewhere_is_no_concern() {
        for (url, here) in [
            ("http://localhost:6333", true),
            ("http://127.0.0.1:6333", true),
            ("http://[::1]:6333", true),
            ("https://qdrant.example.org:6333", false),
            ("http://10.0.0.1:6333", false),
        ] {
            assert_eq!(is_here(&Url::parse(url).unwrap()), here, "{url}");
        }
    }

    #[test]
    fn data_on_the_same_file_system_is_recognized() {
        let directory = tempfile::tempdir().unwrap();
        let backups = directory.path().join("new/backups");
        let data = directory.path().join("storage");
        let judge = |places: &[&PathBuf]| {
            judge(places.iter().map(|path| ((*path).clone(), (*path).clone())), &backups)
        };
        assert_eq!(judge(&[&data]), OwnDisk::Unknown);
        fs::create_dir(&data).unwrap();
        assert_eq!(judge(&[&data]), OwnDisk::Shared(data.clone()));
        let elsewhere = PathBuf::from("/proc/self");
        assert_eq!(judge(&[&elsewhere]), OwnDisk::Apart(elsewhere.clone()));
        assert_eq!(judge(&[&elsewhere, &data]), OwnDisk::Shared(data.clone()));
    }

    #[test]
    fn of_several_servers_the_one_that_listens_on_the_port_counts() {
        let proc = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            qdrant_backup_shared::atomic::write(&proc.path().join(name), 0o644, text.as_bytes()).unwrap();
        };
        let running = |port| running(proc.path(), Some(port));
        assert_eq!(running(6333), Running::None);
        for (pid, name, socket) in [("12", "qdrant", 100), ("13", "postgres", 200), ("14", "qdrant", 300)] {
            fs::create_dir_all(proc.path().join(pid).join("fd")).unwrap();
            symlink(format!("socket:[{socket}]"), proc.path().join(pid).join("fd/3")).unwrap();
            symlink("/srv/qdrant", proc.path().join(pid).join("cwd")).unwrap();
            write(&format!("{pid}/comm"), &format!("{name}\n"));
            if pid == "13" {
                assert_eq!(running(6333), Running::One(proc.path().join("12")), "the only one");
            }
        }
        assert_eq!(running(6333), Running::Several);
        fs::create_dir(proc.path().join("net")).unwrap();
        write(
            "net/tcp6",
            "  sl  local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode\n\
             0: 00000000000000000000000000000000:18BD 0:0000 0A 0:0 0:0 0 1000 0 300 1 0 100 0 0 10 0\n\
             1: 00000000000000000000000000000000:18BF 0:0000 01 0:0 0:0 0 1000 0 100 1 0 100 0 0 10 0\n",
        );
        assert_eq!(running(6333), Running::One(proc.path().join("14")));
        assert_eq!(running(6335), Running::Several, "a connection is no server");
        let (path, shown) = data_of(&proc.path().join("14"));
        assert_eq!((path, shown), (proc.path().join("14/cwd/storage"), PathBuf::from("/srv/qdrant/storage")));
    }
}
