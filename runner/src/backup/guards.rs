//! Checks that this is the expected server and collection. All pure functions.

use std::collections::BTreeSet;

use qdrant_backup_shared::catalog::{Backup, Catalog, Condition};
use qdrant_backup_shared::{CollectionName, Status};

use super::error::BackupError;
use crate::archive::inspect::{Inspection, SnapshotKind};
use crate::qdrant::CollectionCluster;

/// The peers to store: the known ones, and new ones of the same cluster.
pub fn grown(known: &[u64], shown: &BTreeSet<u64>) -> Vec<u64> {
    let mut all = known.to_vec();
    all.extend(shown.iter().filter(|peer| !known.contains(peer)));
    all
}

/// The error if a server has no collections, but there are backups of some. None if that is expected. Retired collections do not
/// count.
pub fn emptied_server(url: &str, catalog: &Catalog, status: &Status) -> Option<String> {
    // Backups of unknown state count too: they show that there was a collection.
    let tells = |backup: &Backup| matches!(backup.condition(), Condition::Good | Condition::Unknown);
    let names: Vec<String> = catalog
        .collection_names()
        .filter(|name| !status.retired_collections.contains(name))
        .filter(|name| catalog.collections.get(name).is_some_and(|backups| backups.iter().any(tells)))
        .map(|name| name.to_string())
        .collect();
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > 5 { ", …" } else { "" };
    (!names.is_empty()).then(|| {
        format!(
            "Qdrant at {url} has no collections, but there are good backups of {} ({shown}{more}); is this \
             the right server, or was its storage emptied? Nothing was changed. Restore the collections, or \
             use another backup directory; if they were deleted on purpose, run `qdrant-backup prune \
             --retire \"*\"`",
            names.len()
        )
    })
}

/// Checks that the snapshot contains the data that the server reported.
///
/// # Errors
/// When it is certainly incomplete.
pub fn check_contents(
    inspection: &Inspection,
    cluster: &CollectionCluster,
    points_certain: u64,
) -> Result<(), BackupError> {
    let contents = |problem: String| Err(BackupError::Contents { problem });
    // A missing shard is more informative than the finding that comes with it.
    let with_segments = inspection.shards_with_segments();
    let missing: Vec<String> = cluster
        .active_local_shards()
        .into_iter()
        .filter(|shard| !with_segments.contains(shard))
        .map(|shard| format!("shard {shard}"))
        .collect();
    if !missing.is_empty() {
        return contents(format!("no segments of {}", missing.join(", ")));
    }
    if let Some(finding) = inspection.findings.iter().find(|finding| !finding.kind.is_oddity()) {
        return contents(finding.to_string());
    }
    if points_certain > 0 && inspection.holds_no_points() {
        return Err(BackupError::EmptySnapshot { points: points_certain });
    }
    Ok(())
}

/// Checks that a snapshot is a complete shard snapshot.
///
/// # Errors
/// When it is certainly not.
pub fn check_shard(inspection: &Inspection) -> Result<(), BackupError> {
    let contents = |problem: String| Err(BackupError::Contents { problem });
    if let Some(finding) = inspection.findings.iter().find(|finding| !finding.kind.is_oddity()) {
        return contents(finding.to_string());
    }
    if inspection.end_marker_reached && inspection.kind != SnapshotKind::Shard {
        return contents("it is not a shard snapshot".to_owned());
    }
    if inspection.shards_with_segments().is_empty() {
        return contents("the shard has no segments".to_owned());
    }
    Ok(())
}

/// Expected maximum size of an archive: according to the last backup of the collection plus a tenth, otherwise the size of the
/// snapshot.
pub fn expected_archive_bytes(
    catalog: &Catalog,
    collection: &CollectionName,
    snapshot_bytes: u64,
    compressed: bool,
) -> u64 {
    let last = catalog.newest_good().find(|(name, _)| *name == collection).map(|(_, backup)| backup);
    let Some(last) = last.filter(|last| compressed && !last.encoding.is_empty()) else {
        return snapshot_bytes;
    };
    let (stored, snapshot) =
        (u128::from(last.stored_size_bytes()), u128::from(last.snapshot_size_bytes.max(1)));
    let expected = u128::from(snapshot_bytes) * stored * 11 / (snapshot * 10);
    u64::try_from(expected).unwrap_or(u64::MAX).min(snapshot_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_peers_join_the_known_ones() {
        assert_eq!(grown(&[1, 3], &BTreeSet::from([3, 4])), [1, 3, 4]);
    }
}
