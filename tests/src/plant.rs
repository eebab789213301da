//! Backups made by the test itself, as old and as bad as it needs them.

use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::digest::Sha256Digest;
use qdrant_backup_shared::json_file::{self, SCHEMA_VERSION};
use qdrant_backup_shared::manifest::{
    Archive, Encoding, Manifest, Origin, Scope, ServerChecksum, SizeAndDigest, Source,
};
use qdrant_backup_shared::verification::{CheckOutcome, Level, VerificationRecord};
use qdrant_backup_shared::{CollectionName, atomic};
use sha2::{Digest, Sha256};

use crate::place::Place;

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

impl Place {
    /// Puts a backup of `collection` into the backup directory, begun at `at`, and gives the archive's path. What the archive
    /// holds is no snapshot.
    pub fn plant(&self, collection: &str, at: &str, what: Planted) -> PathBuf {
        let at: DateTime<Utc> = at.parse().expect("a time");
        let collection = CollectionName::new(collection).expect("a name");
        let (layout, id) = (self.layout(), BackupId::at(at));
        for directory in [layout.collections(), layout.collection(&collection)] {
            atomic::create_directory(&directory).expect("a directory");
        }
        let contents = format!("{collection} {id}");
        let digest = SizeAndDigest {
            size_bytes: contents.len() as u64,
            sha256: Sha256Digest::from_bytes(Sha256::digest(&contents).into()),
        };
        let path = layout.archive(&collection, id, &[Encoding::Gzip]);
        if what != Planted::Incomplete {
            atomic::write(&path, atomic::ARCHIVE_MODE, contents.as_bytes()).expect("an archive");
        }
        let outcome = match what {
            Planted::Verified => Some(CheckOutcome::Passed),
            Planted::Failed => Some(CheckOutcome::Failed),
            Planted::Good | Planted::Incomplete | Planted::Orphan => None,
        };
        if let Some(outcome) = outcome {
            let mut record = VerificationRecord::new(id);
            record.enter(Level::Archive, at, outcome, 1.0, Vec::new());
            json_file::write(&layout.verification(&collection, id), &record).expect("a record");
        }
        let manifest = Manifest {
            schema_version: SCHEMA_VERSION,
            requires: Vec::new(),
            backup_id: id,
            collection: collection.clone(),
            origin: Origin::Snapshot,
            run_id: "planted".to_owned(),
            started_at: at,
            completed_at: at,
            depends_on: Vec::new(),
            source: Source::default(),
            points_sample: None,
            archives: vec![Archive {
                file_name: path.file_name().expect("a name").to_string_lossy().into_owned(),
                node_url: None,
                peer_id: None,
                shard_ids: vec![0],
                scope: Scope::Collection,
                snapshot_name: None,
                encoding: vec![Encoding::Gzip],
                snapshot: digest,
                stored: digest,
                server_checksum: ServerChecksum::NotChecked,
            }],
            runner_version: "0.0.0".to_owned(),
        };
        if what != Planted::Orphan {
            json_file::write(&layout.manifest(&collection, id), &manifest).expect("a manifest");
        }
        path
    }

    /// Plants `count` good backups of `collection`, one a day from `first` on at noon.
    pub fn plant_daily(&self, collection: &str, first: &str, count: i64) {
        let first: DateTime<Utc> = format!("{first}T12:00:00Z").parse().expect("a day");
        for day in 0..count {
            let at = first + chrono::TimeDelta::days(day);
            self.plant(collection, &at.to_rfc3339(), Planted::Good);
        }
    }

    /// The ids of the backups of `collection`, oldest first.
    pub fn ids(&self, collection: &str) -> Vec<String> {
        self.backups(collection).iter().map(|backup| backup.backup_id.to_string()).collect()
    }

    /// Every file in the backup directory with its contents, to see that nothing has changed.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let read = |name: String| {
            let bytes = fs::read(self.path().join(&name)).expect("a file");
            (name, bytes)
        };
        self.files().into_iter().map(read).collect()
    }
}
