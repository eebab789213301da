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
}

/// Default paths of Qdrant's data in packages and images.
const USUAL: [&str; 3] = ["/var/lib/qdrant/storage", "/opt/qdrant/storage", "/qdrant/storage"];

/// Looks for the data of the server at `url`: in the working directories of running servers, the default location of `storage`,
/// and in the default paths.
pub fn look(url: &Url, backups: &Path) -> OwnDisk {
    if !is_here(url) {
        return OwnDisk::OtherMachine;
    }
    judge(running(Path::new("/proc")).into_iter().chain(USUAL.map(PathBuf::from)), backups)
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn judge(places: impl Iterator<Item = PathBuf>, backups: &Path) -> OwnDisk {
    let device = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.dev());
    // A missing directory will be on its parent's file system.
    let Some(ours) = backups.ancestors().find_map(device) else { return OwnDisk::Unknown };
    let found: Vec<(PathBuf, u64)> =
        places.filter_map(|path| device(&path).map(|device| (path, device))).collect();
    match found.iter().find(|(_, device)| *device == ours).or(found.first()) {
        Some((path, device)) if *device == ours => OwnDisk::Shared(path.clone()),
        Some((path, _)) => OwnDisk::Apart(path.clone()),
        None => OwnDisk::Unknown,
    }
}

/// The data directories of running servers, resolved in their own root, because of containers.
fn running(proc: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let servers = processes.filter(|process| {
        fs::read_to_string(process.path().join("comm")).is_ok_and(|name| name.trim_end() == "qdrant")
    });
    servers.map(|server| server.path().join("cwd/storage")).collect()
}

#[cfg(test)]
mod tests {
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
        assert_eq!(judge([data.clone()].into_iter(), &backups), OwnDisk::Unknown);
        fs::create_dir(&data).unwrap();
        assert_eq!(judge([data.clone()].into_iter(), &backups), OwnDisk::Shared(data.clone()));
        let elsewhere = PathBuf::from("/proc/self");
        assert_eq!(judge([elsewhere.clone()].into_iter(), &backups), OwnDisk::Apart(elsewhere.clone()));
        assert_eq!(judge([elsewhere, data.clone()].into_iter(), &backups), OwnDisk::Shared(data));
    }

    #[test]
    fn a_running_server_is_found_by_its_name() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, name) in [("12", "qdrant"), ("13", "postgres")] {
            fs::create_dir_all(proc.path().join(pid)).unwrap();
            qdrant_backup_shared::atomic::write(
                &proc.path().join(pid).join("comm"),
                0o644,
                format!("{name}\n").as_bytes(),
            )
            .unwrap();
        }
        assert_eq!(running(proc.path()), [proc.path().join("12/cwd/storage")]);
    }
}
