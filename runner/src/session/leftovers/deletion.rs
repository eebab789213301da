//! Deletes a snapshot on the server that is certainly ours.

use qdrant_backup_shared::status::ServerSnapshot;

use crate::qdrant::{Client, Error, SnapshotName};

/// The result of deleting a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is deleted.
    Deleted,
    /// It did not exist any more.
    Gone,
    /// Another snapshot has its name now, so it must not be deleted.
    Replaced,
    /// Its collection was deleted: it stays on the server's disk, unreachable until a collection with this name
    /// exists again.
    Unreachable,
}

/// The state of a recorded snapshot on the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// It exists, with this name and checksum.
    There(SnapshotName),
    /// Its name is not in the list.
    Gone,
    /// Another snapshot has its name.
    Replaced,
    /// Its collection was deleted.
    Unreachable,
}

/// Looks for `snapshot` in the server's list.
pub async fn look(client: &Client, snapshot: &ServerSnapshot) -> Result<Standing, Error> {
    let list = match client.snapshots(&snapshot.into()).await {
        Ok(list) => list.snapshots,
        Err(error) if error.is_not_found() => return Ok(Standing::Unreachable),
        Err(error) => return Err(error),
    };
    Ok(match list.into_iter().find(|listed| listed.name.as_str() == snapshot.name) {
        None => Standing::Gone,
        Some(listed) if listed.checksum == snapshot.checksum => Standing::There(listed.name),
        Some(_) => Standing::Replaced,
    })
}

/// Deletes `snapshot`, but only while the list shows that name with that checksum.
pub async fn delete_ours(client: &Client, snapshot: &ServerSnapshot) -> Result<Deletion, Error> {
    let name = match look(client, snapshot).await? {
        Standing::There(name) => name,
        Standing::Gone => return Ok(Deletion::Gone),
        Standing::Replaced => return Ok(Deletion::Replaced),
        Standing::Unreachable => return Ok(Deletion::Unreachable),
    };
    match client.delete_snapshot(&snapshot.into(), &name).await {
        Ok(()) => Ok(Deletion::Deleted),
        // The 404 may be from a proxy.
        Err(error) if error.is_not_found() => match look(client, snapshot).await? {
            Standing::There(_) => Err(error),
            Standing::Gone => Ok(Deletion::Gone),
            Standing::Replaced => Ok(Deletion::Replaced),
            Standing::Unreachable => Ok(Deletion::Unreachable),
        },
        Err(error) => Err(error),
    }
}
