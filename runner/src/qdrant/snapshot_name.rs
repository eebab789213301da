//! Names of snapshots on the server, checked before they become part of a URL.

use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};
use qdrant_backup_shared::text::{one_line, shortened};

use super::subject::Subject;

/// The name of a snapshot on the server: one path segment, as in
/// `mixtral_embeddings-8372720498335175-2025-07-15-14-30-00.snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName(String);

/// The server sent an invalid snapshot name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server sent an impossible snapshot name: {name:?}")]
pub struct InvalidSnapshotName {
    name: String,
}

impl SnapshotName {
    /// The snapshot called `name`.
    ///
    /// # Errors
    /// When the name is empty, too long, or could leave its place in a path.
    pub fn new(name: &str) -> Result<Self, InvalidSnapshotName> {
        let plain = !name.is_empty()
            && name.len() <= 1024
            && !matches!(name, "." | "..")
            && !name.contains(['/', '\\']);
        if plain { Ok(Self(name.to_owned())) } else { Err(InvalidSnapshotName { name: shortened(name, 80) }) }
    }

    /// The name on the server.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When the server started the snapshot, by its own clock, in seconds. None if this is not Qdrant's name format for a
    /// snapshot of `subject`, which contains the id of the peer or the shard.
    pub fn stamped_at(&self, subject: &Subject) -> Option<DateTime<Utc>> {
        let rest = self.0.strip_prefix(subject.collection.as_str())?.strip_prefix('-')?;
        let rest = if subject.shard_id.is_some() { rest.strip_prefix("shard-")? } else { rest };
        let (number, stamp) = rest.strip_suffix(".snapshot")?.split_once('-')?;
        let fits = match subject.shard_id {
            Some(id) => number == id.to_string(),
            None => !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
        };
        if !fits {
            return None;
        }
        NaiveDateTime::parse_from_str(stamp, "%Y-%m-%d-%H-%M-%S").ok().map(|time| time.and_utc())
    }
}

/// For messages: control characters, which may come from the collection's name, are escaped.
impl fmt::Display for SnapshotName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&one_line(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_is_read_only_from_names_of_this_collection() {
        let collection = qdrant_backup_shared::CollectionName::new("a-1").unwrap();
        let of = |subject: &Subject, name: &str| {
            SnapshotName::new(name).unwrap().stamped_at(subject).map(|time| time.to_rfc3339())
        };
        let (whole, shard) = (Subject::whole(&collection), Subject::shard(&collection, 2));
        let stamp = |name: &str| of(&whole, name);
        assert_eq!(
            stamp("a-1-8372720498335175-2026-11-23-00-53-52.snapshot").as_deref(),
            Some("2026-11-23T00:53:52+00:00")
        );
        assert_eq!(stamp("a-8372720498335175-2026-11-23-00-53-52.snapshot"), None);
        assert_eq!(stamp("a-1-2026-11-23-00-53-52.snapshot"), None);
        assert_eq!(stamp("nightly.snapshot"), None);
        let of_shard = "a-1-shard-2-2026-11-23-00-53-52.snapshot";
        assert_eq!(of(&shard, of_shard).as_deref(), Some("2026-11-23T00:53:52+00:00"));
        assert_eq!(stamp(of_shard), None);
        assert_eq!(of(&shard, "a-1-shard-21-2026-11-23-00-53-52.snapshot"), None);
        assert_eq!(of(&shard, "a-1-8372720498335175-2026-11-23-00-53-52.snapshot"), None);
    }

    #[test]
    fn names_that_leave_their_place_are_refused() {
        for name in ["", ".", "..", "../x", "a/b", "a\\b"] {
            assert!(SnapshotName::new(name).is_err(), "{name:?}");
        }
        assert!(SnapshotName::new(".hidden-1-2026-11-23-00-53-52.snapshot").is_ok());
    }
}
