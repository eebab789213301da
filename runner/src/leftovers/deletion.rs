//! Deleting a snapshot on the server that is provably ours.

use qdrant_backup_shared::status::ServerSnapshot;

use crate::qdrant::{Client, Error, SnapshotName};

/// What became of a snapshot that was to be deleted.
#[derive(Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is deleted.
    Deleted,
    /// It was not there any more.
    Gone,
    /// Another one has its name now, so it is not ours to delete.
    Replaced,
    /// Its collection is gone: it lies on the server's disk, where nothing reaches it until there is one of that name again.
    Unreachable,
}

/// Deletes `snapshot`, but only while the list shows that name with that checksum.
pub async fn delete_ours(client: &Client, snapshot: &ServerSnapshot) -> Result<Deletion, Error> {
    let Ok(name) = SnapshotName::new(&snapshot.name) else { return Ok(Deletion::Gone) };
    let list = match client.snapshots(&snapshot.collection).await {
        Ok(list) => list,
        Err(error) if error.is_not_found() => return Ok(Deletion::Unreachable),
        Err(error) => return Err(error),
    };
    let Some(listed) = list.snapshots.iter().find(|listed| listed.name == name) else {
        return Ok(Deletion::Gone);
    };
    if listed.checksum != snapshot.checksum {
        return Ok(Deletion::Replaced);
    }
    match client.delete_snapshot(&snapshot.collection, &name).await {
        Ok(()) => Ok(Deletion::Deleted),
        Err(error) if error.is_not_found() => Ok(Deletion::Gone),
        Err(error) => Err(error),
    }
}
