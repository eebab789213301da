//! Information about a snapshot from its file name.

use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use qdrant_backup_shared::CollectionName;
use qdrant_backup_shared::backup_id::{BACKUP_ID_BYTES, BackupId};

use super::error::ImportError;

/// Qdrant's peer ids are random numbers of up to 53 bits. A shorter number may belong to the collection's name.
const PEER_DIGITS: usize = 10;

/// The information in a file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The collection, given or read.
    pub collection: CollectionName,
    /// When the snapshot or backup was started.
    pub stamped_at: Option<DateTime<Utc>>,
    /// The node that made it.
    pub peer_id: Option<u64>,
    /// The name that Qdrant gave it.
    pub snapshot_name: Option<String>,
}

/// Parses `<collection>-<peer>-<stamp>.snapshot[.gz|.zst]`, Qdrant's names of snapshots, and
/// `<stem>[.<peer>].snapshot[.gz|.zst]`, this program's names of archives. `given` is the collection that the user
/// named, and `known` returns whether there are backups of a collection.
///
/// # Errors
/// When the collection was not given and the name does not contain it.
pub fn read(
    file_name: &str,
    given: Option<&CollectionName>,
    known: impl Fn(&CollectionName) -> bool,
) -> Result<Named, ImportError> {
    let plain = file_name.strip_suffix(".gz").or_else(|| file_name.strip_suffix(".zst")).unwrap_or(file_name);
    let Some((head, stamped_at, archived_peer)) = split(plain) else {
        let collection = given.cloned().ok_or(ImportError::NoCollection)?;
        return Ok(Named { collection, stamped_at: None, peer_id: None, snapshot_name: None });
    };
    let named = |collection: &CollectionName, peer_id: Option<u64>| Named {
        collection: collection.clone(),
        stamped_at: Some(stamped_at),
        peer_id: peer_id.or(archived_peer),
        snapshot_name: peer_id.map(|_| plain.to_owned()),
    };
    let ours = collection_of(head);
    let theirs = head.rsplit_once('-').and_then(|(name, peer)| {
        let digits = peer.bytes().all(|byte| byte.is_ascii_digit());
        Some((CollectionName::new(name).ok()?, peer.parse().ok().filter(|_| digits)?, peer.len()))
    });
    match (given, theirs, ours) {
        (Some(given), Some((theirs, peer, _)), _) if theirs == *given => Ok(named(given, Some(peer))),
        (Some(given), _, _) => Ok(named(given, None)),
        (None, Some((theirs, peer, digits)), ours) => match ours {
            Some(ours) if digits < PEER_DIGITS || known(&ours) => {
                Err(ImportError::Ambiguous { one: theirs.to_string(), other: ours.to_string() })
            }
            Some(_) | None => Ok(named(&theirs, Some(peer))),
        },
        (None, None, Some(ours)) => Ok(named(&ours, None)),
        (None, None, None) => Err(ImportError::NoCollection),
    }
}

/// The collection with the path component `component`. None if that was truncated.
pub fn collection_of(component: &str) -> Option<CollectionName> {
    let name = percent_decode_str(component).decode_utf8().ok()?;
    CollectionName::new(name).ok().filter(|name| name.component() == component)
}

/// The text before the stamp, the stamp, and the peer of one of several archives.
fn split(plain: &str) -> Option<(&str, DateTime<Utc>, Option<u64>)> {
    let stem = plain.strip_suffix(".snapshot")?;
    let (stem, peer) = match stem.rsplit_once('.') {
        Some((before, peer)) if !peer.is_empty() && peer.bytes().all(|byte| byte.is_ascii_digit()) => {
            (before, peer.parse().ok())
        }
        Some(_) | None => (stem, None),
    };
    let (head, stamp) = stem.split_at_checked(stem.len().checked_sub(BACKUP_ID_BYTES)?)?;
    let id: BackupId = stamp.parse().ok()?;
    Some((head.strip_suffix('-')?, id.time(), peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "2025-07-15-14-30-00";

    fn text(file_name: &str, given: Option<&str>) -> Result<(String, bool, Option<u64>), String> {
        let given = given.map(|name| CollectionName::new(name).unwrap());
        let known = |name: &CollectionName| name.as_str() == "events-1234567890123";
        read(file_name, given.as_ref(), known)
            .map(|named| (named.collection.to_string(), named.stamped_at.is_some(), named.peer_id))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_is_read_back_from_its_component_unless_it_was_truncated() {
        for name in ["docs", "..", "a/b", "mein Käse~%"] {
            let name = CollectionName::new(name).unwrap();
            assert_eq!(collection_of(&name.component()), Some(name));
        }
        let files = CollectionName::files();
        assert_eq!(collection_of(&files.component()), Some(files));
        for other in [
            CollectionName::new("ä".repeat(127)).unwrap().component(),
            "%".to_owned(),
            "a%2".to_owned(),
            "a%2d".to_owned(),
            String::new(),
        ] {
            assert_eq!(collection_of(&other), None, "{other}");
        }
    }

    #[test]
    fn names_of_qdrant_and_of_our_own_are_understood() {
        let qdrant = format!("my-docs-8372720498335175-{STAMP}.snapshot");
        let expected = Ok(("my-docs".to_owned(), true, Some(8_372_720_498_335_175)));
        assert_eq!(text(&qdrant, None), expected);
        assert_eq!(text(&format!("{qdrant}.gz"), None), expected);
        assert_eq!(text(&qdrant, Some("my-docs")), expected);
        assert_eq!(text(&format!("a%2Fb-{STAMP}.snapshot.gz"), None), Ok(("a/b".to_owned(), true, None)));
        assert_eq!(text(&format!("a-{STAMP}.77.snapshot"), None), Ok(("a".to_owned(), true, Some(77))));
        let named = read(&format!("{qdrant}.gz"), None, |_| false).unwrap();
        assert_eq!(named.snapshot_name.as_deref(), Some(qdrant.as_str()));
    }

    #[test]
    fn a_given_collection_counts_and_the_stamp_is_still_read() {
        let qdrant = format!("docs-8372720498335175-{STAMP}.snapshot");
        assert_eq!(text(&qdrant, Some("other")), Ok(("other".to_owned(), true, None)));
        assert_eq!(text("nightly.tar", Some("docs")), Ok(("docs".to_owned(), false, None)));
        assert_eq!(
            text(&format!("docs-12-{STAMP}.snapshot"), Some("docs")),
            Ok(("docs".to_owned(), true, Some(12)))
        );
        assert_eq!(
            text(&format!("docs-12-{STAMP}.snapshot"), Some("docs-12")),
            Ok(("docs-12".to_owned(), true, None))
        );
    }

    #[test]
    fn nothing_is_guessed() {
        assert!(text("nightly.snapshot", None).unwrap_err().contains("`--collection`"));
        assert!(text(&format!("docs-12-{STAMP}.snapshot"), None).unwrap_err().contains("\"docs-12\""));
        let known = format!("events-1234567890123-{STAMP}.snapshot");
        assert!(text(&known, None).unwrap_err().contains("or of \"events-1234567890123\""));
        let cut = format!("{}~0123456789abcdef-{STAMP}.snapshot", "a".repeat(100));
        assert!(text(&cut, None).is_err());
        for odd in [".snapshot", "-.snapshot", &format!("-{STAMP}.snapshot"), "ä.snapshot.gz", "", ".gz"] {
            assert!(text(odd, None).is_err(), "{odd}");
        }
    }
}
