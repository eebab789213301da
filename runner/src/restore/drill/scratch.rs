//! Scratch collections: how they are removed with everything in their snapshot folder.

use qdrant_backup_shared::CollectionName;

use crate::qdrant::{Client, Error, Subject};

/// Removes a scratch collection with everything in its snapshot folder, which nothing reaches any more once the
/// collection is gone. True when there was one.
///
/// # Errors
/// As every request: see [`Error`].
pub async fn remove(client: &Client, scratch: &CollectionName) -> Result<bool, Error> {
    let subject = Subject::whole(scratch);
    let list = match client.snapshots(&subject).await {
        Ok(list) => list,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error),
    };
    for snapshot in list.snapshots {
        match client.delete_snapshot(&subject, &snapshot.name).await {
            Err(error) if !error.is_not_found() => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    client.delete_collection(scratch).await
}
