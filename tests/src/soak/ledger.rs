//! What was reported as backed up, with the points that it holds: none of it may go but by retention.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::operation::Outcome;
use serde_json::Value;

use crate::place::Place;

/// So many of the newest backups of each collection are kept.
pub const KEPT: usize = 3;

/// Every backup that was reported and has not been let go.
#[derive(Default)]
pub struct Ledger {
    expected: BTreeMap<(String, String), Reported>,
    reported: u64,
}

struct Reported {
    started_at: DateTime<Utc>,
    /// The points that it holds, where they are known.
    points: Option<Vec<Value>>,
}

impl Ledger {
    /// How many backups were reported in all.
    pub fn reported(&self) -> u64 {
        self.reported
    }

    /// Takes down what the status reports after a run. The points of all collections were these before it, and nobody else wrote
    /// meanwhile.
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
            // A backup of before may have been let go meanwhile, and is no news.
            let backups = place.backups(&key.0);
            if let Some(backup) = backups.iter().find(|backup| backup.backup_id == *id) {
                let reported = Reported { started_at: backup.started_at, points: Some(points.clone()) };
                self.expected.insert(key, reported);
                self.reported += 1;
            }
        }
    }

    /// Takes down what is in the directory now: an import.
    pub fn take_down_imported(&mut self, place: &Place, collection: &str) {
        for backup in place.backups(collection) {
            self.expected.entry((collection.to_owned(), backup.backup_id.to_string())).or_insert_with(|| {
                self.reported += 1;
                Reported { started_at: backup.started_at, points: None }
            });
        }
    }

    /// Everything of a collection was let go on purpose.
    pub fn forget(&mut self, collection: &str) {
        self.expected.retain(|(name, _), _| name != collection);
    }

    /// The points of a backup, where they are known.
    pub fn points(&self, collection: &str, id: &str) -> Option<&Vec<Value>> {
        self.expected.get(&(collection.to_owned(), id.to_owned()))?.points.as_ref()
    }

    /// The backups of collections whose points are known.
    pub fn known(&self) -> Vec<(String, String)> {
        let known = self.expected.iter().filter(|(_, reported)| reported.points.is_some());
        known.map(|(key, _)| key.clone()).collect()
    }

    /// Fails the test if a backup is missing that retention does not explain: enough good ones that started later are there.
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
            // An id is free again once its backup was pruned, so the start tells one backup from another.
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

    /// Fails the test if retention, which has just been applied, left more than it keeps.
    #[track_caller]
    pub fn assert_no_more_than_kept(&self, place: &Place, there: &[String]) {
        // Of those that are gone it takes nothing.
        let catalog = place.catalog();
        for (name, backups) in
            catalog.collections.iter().filter(|(name, _)| there.contains(&name.to_string()))
        {
            let ids: Vec<String> = backups.iter().map(|backup| backup.backup_id.to_string()).collect();
            assert!(ids.len() <= KEPT, "{name}: {ids:?}");
        }
    }
}
