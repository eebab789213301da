//! Backups made by the test itself, as old and as bad as it needs them.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::digest::Sha256Digest;
use qdrant_backup_shared::manifest::{SizeAndDigest, Source};
use qdrant_backup_shared::verification::{CheckOutcome, Level};
use sha2::{Digest, Sha256};

use crate::directory::{Directory, manifest, name};

/// What a planted backup is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Complete and never verified.
    Good,
    /// Complete and verified.
    Verified,
    /// Complete and found bad.
    Failed,
    /// Without its archive.
    Incomplete,
    /// An archive without a manifest.
    Orphan,
}

impl Directory {
    /// Makes a backup of `collection` that began at `at`, and gives the archive's path. What the archive holds is no snapshot.
    pub fn plant(&self, collection: &str, at: &str, what: Planted) -> PathBuf {
        let id = BackupId::at(at.parse().expect("a time"));
        let path = self.archive(collection, id);
        let contents = format!("{collection} {id}");
        if what != Planted::Incomplete {
            self.put_bytes(&path, contents.as_bytes());
        }
        match what {
            Planted::Verified => self.verify(collection, id, &[(Level::Archive, CheckOutcome::Passed)]),
            Planted::Failed => self.verify(collection, id, &[(Level::Archive, CheckOutcome::Failed)]),
            Planted::Good | Planted::Incomplete | Planted::Orphan => {}
        }
        if what != Planted::Orphan {
            let mut manifest = manifest(&name(collection), id, 0);
            let digest = SizeAndDigest {
                size_bytes: contents.len() as u64,
                sha256: Sha256Digest::from_bytes(Sha256::digest(&contents).into()),
            };
            (manifest.archives[0].snapshot, manifest.archives[0].stored) = (digest, digest);
            // How many points there were, nobody knows.
            manifest.source = Source::default();
            self.put_manifest(&manifest);
        }
        path
    }

    /// Plants `count` good backups of `collection`, one a day from `first` on at noon.
    pub fn plant_daily(&self, collection: &str, first: &str, count: i64) {
        let first: DateTime<Utc> = format!("{first}T12:00:00Z").parse().expect("a day");
        for day in 0..count {
            let at = first + TimeDelta::days(day);
            self.plant(collection, &at.to_rfc3339(), Planted::Good);
        }
    }
}
