//! One collection's backups, and the figures of them: counted once whenever they have changed, not at every scrape.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::{Backup, Condition};
use qdrant_backup_shared::verification::Level;

/// One collection's backups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CollectionView {
    /// Oldest first.
    pub backups: Vec<Backup>,
    /// Which of them is the good one with the newest data.
    newest: Option<usize>,
    figures: Figures,
}

/// What is counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Good backups.
    pub good: u64,
    /// What they take on disk, in bytes.
    pub good_bytes: u64,
    /// When the oldest of them began.
    pub oldest_at: Option<DateTime<Utc>>,
    /// When the newest good one began that has passed each of the known levels, in their order.
    pub newest_verified_at: Vec<Option<DateTime<Utc>>>,
    /// Backups that have passed no verification.
    pub unverified: u64,
    /// Backups that stand as failed.
    pub verification_failed: u64,
    /// Backups of which something is missing.
    pub incomplete: u64,
    /// When the newest began that failed or is incomplete.
    pub newest_bad_at: Option<DateTime<Utc>>,
    /// The copies in other places, by the places' names.
    pub copies: BTreeMap<Box<str>, Copies>,
}

/// The copies in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Copies {
    /// How many.
    pub backups: u64,
    /// When the newest backup among them began.
    pub newest_at: DateTime<Utc>,
    /// When the newest began that was read back there and found sound.
    pub newest_checked_at: Option<DateTime<Utc>>,
}

impl CollectionView {
    /// A collection with these backups, oldest first.
    pub fn of(backups: Vec<Backup>) -> Self {
        let good = backups.iter().enumerate().filter(|(_, backup)| backup.is_good());
        let newest = good.max_by_key(|(_, backup)| (backup.started_at, backup.backup_id)).map(|(at, _)| at);
        let figures = Figures::of(&backups);
        Self { backups, newest, figures }
    }

    /// What the metrics say of them.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// The good backups, oldest first.
    pub fn good(&self) -> impl DoubleEndedIterator<Item = &Backup> {
        self.backups.iter().filter(|backup| backup.is_good())
    }

    /// The good backup with the newest data.
    pub fn newest_good(&self) -> Option<&Backup> {
        self.backups.get(self.newest?)
    }
}

impl Figures {
    /// Counts.
    fn of(backups: &[Backup]) -> Self {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let good: Vec<&Backup> = backups.iter().filter(|backup| backup.is_good()).collect();
        let is_incomplete = |backup: &&Backup| backup.condition() == Condition::Incomplete;
        // What another place alone has is neither good nor bad here.
        let is_here = |backup: &&Backup| !backup.is_offsite_only();
        let is_failed = |backup: &&Backup| backup.verification_failed && is_here(backup);
        let bad = backups.iter().filter(|backup| is_failed(backup) || is_incomplete(backup));
        Self {
            good: number(good.len()),
            good_bytes: good.iter().map(|backup| backup.stored_size_bytes()).sum(),
            oldest_at: good.iter().map(|backup| backup.started_at).min(),
            newest_verified_at: Level::KNOWN
                .iter()
                .map(|level| {
                    let passed = good.iter().filter(|backup| backup.has_passed(level));
                    passed.map(|backup| backup.started_at).max()
                })
                .collect(),
            unverified: number(
                backups.iter().filter(|backup| !backup.is_verified() && is_here(backup)).count(),
            ),
            verification_failed: number(backups.iter().filter(|backup| is_failed(backup)).count()),
            incomplete: number(backups.iter().filter(is_incomplete).count()),
            newest_bad_at: bad.map(|backup| backup.started_at).max(),
            copies: copies(backups),
        }
    }
}

fn copies(backups: &[Backup]) -> BTreeMap<Box<str>, Copies> {
    let mut copies: BTreeMap<Box<str>, Copies> = BTreeMap::new();
    for (backup, copied) in
        backups.iter().flat_map(|backup| backup.copies.iter().map(move |copied| (backup, copied)))
    {
        let at = backup.started_at;
        let of_place = copies.entry(copied.place.clone()).or_insert(Copies {
            backups: 0,
            newest_at: at,
            newest_checked_at: None,
        });
        of_place.backups += 1;
        of_place.newest_at = of_place.newest_at.max(at);
        if copied.last_checked_at.is_some() {
            of_place.newest_checked_at = of_place.newest_checked_at.max(Some(at));
        }
    }
    copies
}
