//! What was reported as backed up, with the points that it holds: none of it may go but by retention.

use std::collections::BTreeMap;

use qdrant_backup_shared::catalog::{Backup, Condition};
use qdrant_backup_shared::operation::Outcome;
use serde_json::Value;

use crate::place::Place;

/// So many of the newest backups of each collection are kept.
pub const KEPT: usize = 3;

/// Every backup that was reported and has not been let go, each with its points where they are known.
#[derive(Default)]
pub struct Ledger {
    expected: BTreeMap<(String, String), Option<Vec<Value>>>,
    reported: u64,
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
            if place.ids(&key.0).contains(&key.1) {
                self.expected.insert(key, Some(points.clone()));
                self.reported += 1;
            }
        }
    }

    /// Takes down what is in the directory now: an import.
    pub fn take_down_imported(&mut self, place: &Place, collection: &str) {
        for id in place.ids(collection) {
            self.expected.entry((collection.to_owned(), id)).or_insert_with(|| {
                self.reported += 1;
                None
            });
        }
    }

    /// Everything of a collection was let go on purpose.
    pub fn forget(&mut self, collection: &str) {
        self.expected.retain(|(name, _), _| name != collection);
    }

    /// The points of a backup, where they are known.
    pub fn points(&self, collection: &str, id: &str) -> Option<&Vec<Value>> {
        self.expected.get(&(collection.to_owned(), id.to_owned()))?.as_ref()
    }

    /// The backups of collections whose points are known.
    pub fn known(&self) -> Vec<(String, String)> {
        let known = self.expected.iter().filter(|(_, points)| points.is_some());
        known.map(|(key, _)| key.clone()).collect()
    }

    /// Fails the test if a backup is missing that retention does not explain: enough others are there and good.
    #[track_caller]
    pub fn assert_nothing_lost(&mut self, place: &Place) {
        let catalog = place.catalog();
        assert!(catalog.unreadable.is_empty(), "{:?}", catalog.unreadable);
        let good: BTreeMap<String, Vec<String>> = catalog
            .collections
            .iter()
            .map(|(name, backups)| {
                let good = backups.iter().filter(|backup| backup.condition() == Condition::Good);
                (name.to_string(), good.map(|backup: &Backup| backup.backup_id.to_string()).collect())
            })
            .collect();
        self.expected.retain(|(name, id), _| {
            let there = good.get(name).map_or(&[][..], Vec::as_slice);
            if there.contains(id) {
                return true;
            }
            // Ids of one second are given in turn, so a later id may be of an earlier start: which ones are kept is not asked.
            assert!(there.len() >= KEPT, "backup {id} of {name} is lost; there are {there:?}");
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
