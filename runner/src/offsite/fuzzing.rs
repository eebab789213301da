//! Fuzz targets for restic's output.

use std::collections::BTreeSet;

use chrono::DateTime;
use qdrant_backup_shared::config_file::repository_secrets;
use qdrant_backup_shared::fuzzing::{assert_line, text};

use super::error::{gist, meaning};
use super::listing::{Listing, Snapshot};
use super::locks::{Lock, Us, all_stale_are_ours};
use super::restic::{locked_by, summary, version};

/// One kind of restic's output: lists, locks, progress lines, or error messages.
pub fn restic_answer(data: &[u8]) {
    if let Ok(found) = serde_json::from_slice::<Option<Vec<Snapshot>>>(data) {
        snapshots(found.unwrap_or_default());
    }
    if let Ok(lock) = serde_json::from_slice::<Lock>(data) {
        let us = Us { hostname: "db".to_owned(), username: "backup".to_owned() };
        all_stale_are_ours(&[lock], &us, DateTime::UNIX_EPOCH, |pid| pid == 1);
    }
    summary(data);
    let said = text(data);
    version(&said);
    repository_secrets(&said);
    assert_line(&gist(&said));
    assert_line(&locked_by(&said));
    for code in [None, Some(1), Some(10)] {
        meaning(code, &said);
    }
}

/// Every snapshot of ours belongs to one copy or is a leftover.
fn snapshots(found: Vec<Snapshot>) {
    let all: BTreeSet<String> = found.iter().map(|snapshot| snapshot.id.clone()).collect();
    let listing = Listing::of(found);
    for (key, copy) in &listing.copies {
        assert_eq!(copy.key, *key);
        assert!(!copy.archives.is_empty(), "a copy without an archive");
        for file in copy.archives.iter().chain([&copy.manifest]).chain(&copy.hold) {
            assert!(all.contains(&file.snapshot));
            assert!(!listing.leftovers.iter().any(|(of, id)| of == key && *id == file.snapshot));
        }
    }
    assert!(listing.leftovers.iter().all(|(_, id)| all.contains(id)));
    assert_eq!(listing.repositories().values().sum::<usize>(), listing.copies.len());
}
