//! Every backup reported as good, with its points. Only retention may remove one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::operation::Outcome;
use serde_json::Value;

use crate::place::Place;

/// How many of the newest backups of each collection are kept.
pub const KEPT: usize = 3;

/// Every reported backup that has not been deleted on purpose.
#[derive(Default)]
pub struct Ledger {
    expected: BTreeMap<(String, String), Reported>,
    reported: u64,
}

struct Reported {
    started_at: DateTime<Utc>,
    /// Its points, if known.
    points: Option<Vec<Value>>,
}

impl Ledger {
    /// How many backups were reported in total.
    pub fn reported(&self) -> u64 {
        self.reported
    }

    /// Records the backups that the status reports after a run. `points` are the points of all collections before the
    /// run; no other client wrote during it.
    pub fn take_down(&mut self, place: &Place, points: &BTreeMap<String, Vec<Value>>) {
        let status = place.status();
        for (name, collection) in &status.collections {
            let (Some(id), Some(Outcome::Success)) = (&collection.last_backup_id, &collection.last_outcome)
            else {
                continue;
            };
            let key = (name.to_string(), id.to_string());
            let Some(points) = points.get(&key.0).filter(|_| !self.expected.contains_key(&key)) else {
                continue;
            };
            // An older backup may have been pruned in the meantime; it is not new.
            let backups = place.backups(&key.0);
            if let Some(backup) = backups.iter().find(|backup| backup.backup_id == *id) {
                let reported = Reported { started_at: backup.started_at, points: Some(points.clone()) };
                self.expected.insert(key, reported);
                self.reported += 1;
            }
        }
    }

    /// Records what is in the directory now, after an import.
    pub fn take_down_imported(&mut self, place: &Place, collection: &str) {
        for backup in place.backups(collection) {
            self.expected.entry((collection.to_owned(), backup.backup_id.to_string())).or_insert_with(|| {
                self.reported += 1;
                Reported { started_at: backup.started_at, points: None }
            });
        }
    }

    /// Every backup of a collection was deleted on purpose.
    pub fn forget(&mut self, collection: &str) {
        self.expected.retain(|(name, _), _| name != collection);
    }

    /// The points of a backup, if known.
    pub fn points(&self, collection: &str, id: &str) -> Option<&Vec<Value>> {
        self.expected.get(&(collection.to_owned(), id.to_owned()))?.points.as_ref()
    }

    /// The backups with known points.
    pub fn known(&self) -> Vec<(String, String)> {
        let known = self.expected.iter().filter(|(_, reported)| reported.points.is_some());
        known.map(|(key, _)| key.clone()).collect()
    }

    /// Fails the test if a backup is missing and retention does not explain it. Retention explains it if enough good
    /// backups that started later exist.
    #[track_caller]
    pub fn assert_nothing_lost(&mut self, place: &Place) {
        let catalog = place.catalog();
        assert!(catalog.unreadable.is_empty(), "{:?}", catalog.unreadable);
        self.expected.retain(|(name, id), reported| {
            let backups = catalog.collections.iter().find(|(collection, _)| collection.to_string() == *name);
            let good: Vec<_> = backups
                .into_iter()
                .flat_map(|(_, backups)| backups)
                .filter(|backup| backup.condition() == Condition::Good)
                .collect();
            // An id can be reused once its backup was pruned, so the start time identifies the backup.
            if good.iter().any(|backup| backup.started_at == reported.started_at) {
                return true;
            }
            let later = good.iter().filter(|backup| backup.started_at > reported.started_at).count();
            assert!(
                later >= KEPT,
                "backup {id} of {name}, started at {}, is lost; there are {:?}",
                reported.started_at,
                good.iter().map(|backup| (backup.backup_id, backup.started_at)).collect::<Vec<_>>()
            );
            false
        });
    }

    /// Fails the test if retention, which has just run, left more backups than it keeps.
    #[track_caller]
    pub fn assert_no_more_than_kept(&self, place: &Place, there: &[String]) {
        // Retention does not touch the backups of deleted collections.
        let catalog = place.catalog();
        for (name, backups) in
            catalog.collections.iter().filter(|(name, _)| there.contains(&name.to_string()))
        {
            let ids: Vec<String> = backups.iter().map(|backup| backup.backup_id.to_string()).collect();
            assert!(ids.len() <= KEPT, "{name}: {ids:?}");
        }
    }
}
