//! The tags of our snapshots in a restic repository. Their text is plain for any collection name.

use qdrant_backup_shared::manifest::{Archive, Encoding};
use qdrant_backup_shared::{BackupId, CollectionName};

/// The tag of all our snapshots.
pub(super) const OURS: &str = "qdrant-backup";
const REPOSITORY: &str = "repository=";
const COLLECTION: &str = "collection=";
const BACKUP: &str = "backup=";
const ARCHIVE: &str = "archive=";

/// The backup and backup directory of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The id of the backup directory.
    pub repository_id: String,
    /// The collection's name as in file names. The one for configuration files cannot be a collection's.
    pub component: String,
    /// Id of the backup.
    pub backup_id: BackupId,
}

impl Key {
    /// The backup `id` of `collection` in the backup directory `repository_id`.
    pub fn new(repository_id: &str, collection: &CollectionName, id: BackupId) -> Self {
        // Not the name of their directory, which may also be a collection's name.
        Self { repository_id: repository_id.to_owned(), component: collection.component(), backup_id: id }
    }

    /// The tags of a snapshot of an archive.
    pub(super) fn tags(&self) -> Vec<String> {
        vec![
            OURS.to_owned(),
            format!("{REPOSITORY}{}", self.repository_id),
            format!("{COLLECTION}{}", self.component),
            format!("{BACKUP}{}", self.backup_id),
        ]
    }

    /// The tags of the manifest's snapshot, with the snapshots of the archives in order.
    pub(super) fn tags_of_manifest(&self, archives: &[String]) -> Vec<String> {
        let mut tags = self.tags();
        tags.extend(archives.iter().map(|snapshot| format!("{ARCHIVE}{snapshot}")));
        tags
    }

    /// Parses the tags. None if they are not ours or incomplete.
    pub(super) fn read(tags: &[String]) -> Option<Self> {
        let value = |begin: &str| tags.iter().find_map(|tag| tag.strip_prefix(begin));
        tags.iter().any(|tag| tag == OURS).then_some(())?;
        Some(Self {
            repository_id: value(REPOSITORY)?.to_owned(),
            component: value(COLLECTION)?.to_owned(),
            backup_id: value(BACKUP)?.parse().ok()?,
        })
    }
}

/// The snapshots of archives in the tags of a manifest, in order, each as the beginning of the id.
pub(super) fn archives(tags: &[String]) -> Vec<&str> {
    tags.iter().filter_map(|tag| tag.strip_prefix(ARCHIVE)).collect()
}

/// Name of a decompressed archive.
pub(super) fn plain_name(archive: &Archive) -> &str {
    let mut name = archive.file_name.as_str();
    for encoding in archive.encoding.iter().rev() {
        let suffix = match encoding {
            Encoding::Gzip => ".gz",
            Encoding::Zstd => ".zst",
            Encoding::Other(_) => continue,
        };
        name = name.strip_suffix(suffix).unwrap_or(name);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_collection_is_called_its_tags_are_plain_and_read_back() {
        let id: BackupId = "2025-07-15-14-30-00".parse().unwrap();
        for name in ["a", "a,b c", "Ünï=cöde", "--tag", &"x,".repeat(100), "/files"] {
            let key = Key::new("0e9f", &CollectionName::new(name).unwrap(), id);
            let mut tags = key.tags_of_manifest(&["12ab34cd".to_owned(), "ef".to_owned()]);
            assert!(tags.iter().all(|tag| !tag.contains(',') && tag.is_ascii()), "{tags:?}");
            tags.reverse();
            assert_eq!(Key::read(&tags), Some(key), "{name}");
            tags.reverse();
            assert_eq!(archives(&tags), ["12ab34cd", "ef"]);
        }
        assert_ne!(
            Key::new("r", &CollectionName::files(), id),
            Key::new("r", &CollectionName::new("files").unwrap(), id)
        );
        assert_eq!(Key::read(&["qdrant-backup".to_owned()]), None);
    }
}
