//! The paths in the backup directory, and the role of a file by its name.

use std::path::{Path, PathBuf};

use crate::atomic::{TEMPORARY_SUFFIX, is_temporary};
use crate::backup_id::{BACKUP_ID_BYTES, BackupId};
use crate::collection_name::CollectionName;
use crate::encoding::Encoding;
use crate::place_name::is_place_name;

pub(crate) const MANIFEST_SUFFIX: &str = ".manifest.json";
pub(crate) const VERIFICATION_SUFFIX: &str = ".verification.json";
pub(crate) const HOLD_SUFFIX: &str = ".hold.json";
const OFFSITE_BEGIN: &str = ".offsite-";
const OFFSITE_END: &str = ".json";
const SNAPSHOT_SUFFIX: &str = ".snapshot";
const SHARD_INFIX: &str = ".shard-";
const FILES_SUFFIX: &str = ".tar";
const FILES_COMPONENT: &str = "files";

/// The paths of a backup directory and of its state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
    state: PathBuf,
}

/// The role of a file in a collection's directory, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRole {
    /// A stored snapshot.
    Archive {
        /// The backup it belongs to.
        id: BackupId,
    },
    /// A backup's manifest.
    Manifest {
        /// The backup it describes.
        id: BackupId,
    },
    /// A backup's verification record.
    Verification {
        /// The backup it is about.
        id: BackupId,
    },
    /// A hold file, which protects a backup from pruning.
    Hold {
        /// The backup it is about.
        id: BackupId,
    },
    /// The record of a backup's offsite copy.
    Offsite {
        /// The backup it is about.
        id: BackupId,
    },
    /// An unfinished file of a current or killed run.
    Temporary,
    /// Not one of our names.
    Foreign,
}

impl Layout {
    /// The layout of the backup directory `root`, with the status files in `state` (often `root` itself).
    pub fn new(root: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), state: state.into() }
    }

    /// The backup directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the status files.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The file that makes the directory a repository.
    pub fn repository_file(&self) -> PathBuf {
        self.root.join("repository.json")
    }

    /// The lock of writers.
    pub fn lock_file(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// The lock for reading archives: shared for readers, exclusive for deletion.
    pub fn readers_file(&self) -> PathBuf {
        self.root.join(".readers")
    }

    /// The lock that waiting runs share, so that a drill notices them.
    pub fn waiting_file(&self) -> PathBuf {
        self.root.join(".waiting")
    }

    /// The status file.
    pub fn status_file(&self) -> PathBuf {
        self.state.join("status.json")
    }

    /// The journal of the status file: changes since its last full write.
    pub fn status_journal(&self) -> PathBuf {
        self.state.join("status.json.journal")
    }

    /// The record of the last skipped run.
    pub fn last_skipped_file(&self) -> PathBuf {
        self.state.join("last_skipped.json")
    }

    /// The record of the last refused start.
    pub fn last_refused_file(&self) -> PathBuf {
        self.state.join("last_refused.json")
    }

    /// The directory of all collections' directories.
    pub fn collections(&self) -> PathBuf {
        self.root.join("collections")
    }

    /// The directory of one collection's backups, or of the backups of configuration files.
    pub fn collection(&self, collection: &CollectionName) -> PathBuf {
        if collection.is_files() { self.files() } else { self.collections().join(component(collection)) }
    }

    /// The directory of the backups of configuration files.
    pub fn files(&self) -> PathBuf {
        self.root.join(FILES_COMPONENT)
    }

    /// The archive of one backup, stored with `encoding` (in order of application).
    pub fn archive(&self, collection: &CollectionName, id: BackupId, encoding: &[Encoding]) -> PathBuf {
        let suffix = if collection.is_files() { FILES_SUFFIX } else { SNAPSHOT_SUFFIX };
        self.file(collection, id, &format!("{suffix}{}", encoding_suffix(encoding)))
    }

    /// The archive of one shard of one backup, stored with `encoding` (in order of application).
    pub fn shard_archive(
        &self,
        collection: &CollectionName,
        id: BackupId,
        shard_id: u32,
        encoding: &[Encoding],
    ) -> PathBuf {
        let suffix = format!("{SHARD_INFIX}{shard_id}{SNAPSHOT_SUFFIX}{}", encoding_suffix(encoding));
        self.file(collection, id, &suffix)
    }

    /// The manifest of one backup.
    pub fn manifest(&self, collection: &CollectionName, id: BackupId) -> PathBuf {
        self.file(collection, id, MANIFEST_SUFFIX)
    }

    /// The verification record of one backup.
    pub fn verification(&self, collection: &CollectionName, id: BackupId) -> PathBuf {
        self.file(collection, id, VERIFICATION_SUFFIX)
    }

    /// The hold file of one backup.
    pub fn hold(&self, collection: &CollectionName, id: BackupId) -> PathBuf {
        self.file(collection, id, HOLD_SUFFIX)
    }

    /// The record of one backup's copy in this place.
    pub fn offsite(&self, collection: &CollectionName, id: BackupId, place: &str) -> PathBuf {
        self.file(collection, id, &format!("{OFFSITE_BEGIN}{place}{OFFSITE_END}"))
    }

    fn file(&self, collection: &CollectionName, id: BackupId, suffix: &str) -> PathBuf {
        self.collection(collection).join(format!("{}{suffix}", stem(&component(collection), id)))
    }
}

/// The path component for `collection`: used in file names, and for its directory (except for configuration files).
pub fn component(collection: &CollectionName) -> String {
    if collection.is_files() { FILES_COMPONENT.to_owned() } else { collection.component() }
}

/// The common prefix of all files of a backup: `<collection>-<backup id>`.
pub fn stem(component: &str, id: BackupId) -> String {
    format!("{component}-{id}")
}

/// The role of `file_name` in the directory of the collection with this path component.
pub fn role(component: &str, file_name: &str) -> FileRole {
    if is_temporary(file_name) {
        // Other programs may have such files in the target of a link.
        let ours = final_name(file_name).is_some_and(|name| parse(component, name).is_some());
        return if ours { FileRole::Temporary } else { FileRole::Foreign };
    }
    parse(component, file_name).unwrap_or(FileRole::Foreign)
}

/// The final name of `.<name>.<random>.tmp`.
fn final_name(temporary: &str) -> Option<&str> {
    let name = temporary.strip_prefix('.')?.strip_suffix(TEMPORARY_SUFFIX)?;
    Some(name.rsplit_once('.')?.0)
}

fn parse(component: &str, file_name: &str) -> Option<FileRole> {
    let rest = file_name.strip_prefix(component)?.strip_prefix('-')?;
    let (id, suffix) = rest.split_at_checked(BACKUP_ID_BYTES)?;
    let id: BackupId = id.parse().ok()?;
    match suffix {
        MANIFEST_SUFFIX => Some(FileRole::Manifest { id }),
        VERIFICATION_SUFFIX => Some(FileRole::Verification { id }),
        HOLD_SUFFIX => Some(FileRole::Hold { id }),
        _ if is_offsite_suffix(suffix) => Some(FileRole::Offsite { id }),
        _ => is_archive_suffix(suffix).then_some(FileRole::Archive { id }),
    }
}

/// `.offsite-<place>.json`
fn is_offsite_suffix(suffix: &str) -> bool {
    let place = suffix.strip_prefix(OFFSITE_BEGIN).and_then(|rest| rest.strip_suffix(OFFSITE_END));
    place.is_some_and(is_place_name)
}

/// `.snapshot`, `.snapshot.gz`, `.snapshot.zst`, each perhaps after `.<peer id>` or `.shard-<id>`, and the same of `.tar`.
fn is_archive_suffix(suffix: &str) -> bool {
    let part = suffix.strip_prefix(SHARD_INFIX).or_else(|| suffix.strip_prefix('.'));
    let suffix = match part.and_then(|rest| rest.split_once('.')) {
        Some((number, _)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            part.and_then(|part| part.get(number.len()..)).unwrap_or(suffix)
        }
        _ => suffix,
    };
    matches!(suffix, ".snapshot" | ".snapshot.gz" | ".snapshot.zst" | ".tar" | ".tar.gz" | ".tar.zst")
}

fn encoding_suffix(encoding: &[Encoding]) -> &'static str {
    match encoding.last() {
        Some(Encoding::Gzip) => ".gz",
        Some(Encoding::Zstd) => ".zst",
        Some(Encoding::Other(_)) | None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> BackupId {
        "2025-07-15-14-30-00".parse().unwrap()
    }

    #[test]
    fn names_are_the_documented_ones() {
        let layout = Layout::new("/b", "/s");
        let name = CollectionName::new("mixtral_embeddings").unwrap();
        assert_eq!(
            layout.archive(&name, id(), &[Encoding::Gzip]),
            Path::new("/b/collections/mixtral_embeddings/mixtral_embeddings-2025-07-15-14-30-00.snapshot.gz")
        );
        assert_eq!(
            layout.manifest(&name, id()),
            Path::new(
                "/b/collections/mixtral_embeddings/mixtral_embeddings-2025-07-15-14-30-00.manifest.json"
            )
        );
        assert_eq!(layout.status_file(), Path::new("/s/status.json"));
    }

    #[test]
    fn every_name_that_is_made_is_recognised() {
        let layout = Layout::new("/b", "/b");
        for name in ["a", "a-2025-07-15-14-30-00", "x.snapshot", "..", "ä ö"] {
            let name = CollectionName::new(name).unwrap();
            let role_of =
                |path: PathBuf| role(&name.component(), path.file_name().unwrap().to_str().unwrap());
            for encoding in [vec![], vec![Encoding::Gzip], vec![Encoding::Zstd]] {
                assert_eq!(role_of(layout.archive(&name, id(), &encoding)), FileRole::Archive { id: id() });
                let of_shard = layout.shard_archive(&name, id(), 12, &encoding);
                assert_eq!(role_of(of_shard), FileRole::Archive { id: id() });
            }
            assert_eq!(role_of(layout.manifest(&name, id())), FileRole::Manifest { id: id() });
            assert_eq!(role_of(layout.verification(&name, id())), FileRole::Verification { id: id() });
            assert_eq!(role_of(layout.hold(&name, id())), FileRole::Hold { id: id() });
            assert_eq!(role_of(layout.offsite(&name, id(), "s3-eu")), FileRole::Offsite { id: id() });
        }
    }

    #[test]
    fn one_archive_per_node_or_shard_is_recognised() {
        assert_eq!(
            role("a", "a-2025-07-15-14-30-00.8372720498335175.snapshot.gz"),
            FileRole::Archive { id: id() }
        );
        assert_eq!(role("a", "a-2025-07-15-14-30-00.837x.snapshot.gz"), FileRole::Foreign);
        assert_eq!(role("a", "a-2025-07-15-14-30-00.shard-x.snapshot.gz"), FileRole::Foreign);
        assert_eq!(role("a", "a-2025-07-15-14-30-00.shard-.snapshot.gz"), FileRole::Foreign);
    }

    #[test]
    fn other_names_are_foreign_or_temporary() {
        assert_eq!(role("a", ".a-2025-07-15-14-30-00.snapshot.gz.x7Yz.tmp"), FileRole::Temporary);
        assert_eq!(role("a", ".a.tmp"), FileRole::Foreign, "somebody else's");
        for name in [
            "a-2025-07-15-14-30.snapshot",
            "b-2025-07-15-14-30-00.snapshot",
            "a-2025-07-15-14-30-00.snapshot.bz2",
            "a-2025-07-15-14-30-00.offsite-.json",
            "a-2025-07-15-14-30-00.offsite-A,B.json",
            "a",
            "",
            "a-ä25-07-15-14-30-0",
        ] {
            assert_eq!(role("a", name), FileRole::Foreign, "{name}");
        }
    }
}
