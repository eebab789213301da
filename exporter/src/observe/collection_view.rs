//! One collection's backups and their statistics, which are computed after a change and not at every scrape.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::{Backup, Condition};
use qdrant_backup_shared::verification::Level;

/// One collection's backups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CollectionView {
    /// Oldest first.
    pub backups: Vec<Backup>,
    /// The index of the good backup with the newest data.
    newest: Option<usize>,
    /// Statistics for the metrics.
    pub figures: Figures,
}

/// Statistics of a collection's backups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Good backups.
    pub good: u64,
    /// Their total size on disk, in bytes.
    pub good_bytes: u64,
    /// When the oldest of them started.
    pub oldest_at: Option<DateTime<Utc>>,
    /// When the newest good backup started that passed each of the known levels, in their order.
    pub newest_verified_at: Vec<Option<DateTime<Utc>>>,
    /// Backups that have not passed a verification.
    pub unverified: u64,
    /// Backups with a failed verification in effect.
    pub verification_failed: u64,
    /// Backups with missing parts.
    pub incomplete: u64,
    /// When the newest failed or incomplete backup started.
    pub newest_bad_at: Option<DateTime<Utc>>,
    /// The copies in offsite places, by name of the place.
    pub copies: BTreeMap<Box<str>, Copies>,
}

/// The copies in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Copies {
    /// The number of copies.
    pub backups: u64,
    /// When the newest copied backup started.
    pub newest_at: DateTime<Utc>,
    /// When the newest copied backup started that was read back without finding damage.
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
    /// Computes the statistics.
    fn of(backups: &[Backup]) -> Self {
        let mut figures = Self { newest_verified_at: vec![None; Level::KNOWN.len()], ..Self::default() };
        for backup in backups {
            figures.count(backup);
        }
        figures
    }

    fn count(&mut self, backup: &Backup) {
        let at = backup.started_at;
        if backup.is_good() {
            self.good += 1;
            self.good_bytes += backup.stored_size_bytes();
            self.oldest_at = Some(self.oldest_at.map_or(at, |oldest| oldest.min(at)));
            for (level, newest_at) in Level::KNOWN.iter().zip(&mut self.newest_verified_at) {
                if backup.has_passed(level) {
                    *newest_at = (*newest_at).max(Some(at));
                }
            }
        }
        let is_incomplete = backup.condition() == Condition::Incomplete;
        // A backup that exists only in an offsite place is neither good nor bad here.
        let is_here = !backup.is_offsite_only();
        let is_failed = backup.verification_failed && is_here;
        self.incomplete += u64::from(is_incomplete);
        self.verification_failed += u64::from(is_failed);
        self.unverified += u64::from(!backup.is_verified() && is_here);
        if is_failed || is_incomplete {
            self.newest_bad_at = self.newest_bad_at.max(Some(at));
        }
        for copied in backup.copies.iter() {
            let new = Copies { backups: 0, newest_at: at, newest_checked_at: None };
            let copies = self.copies.entry(copied.place.clone()).or_insert(new);
            copies.backups += 1;
            copies.newest_at = copies.newest_at.max(at);
            if copied.last_checked_at.is_some() {
                copies.newest_checked_at = copies.newest_checked_at.max(Some(at));
            }
        }
    }
}
