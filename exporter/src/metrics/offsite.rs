//! The places for copies in the words of metrics. Only those that are configured: a bounded set of labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::{CollectionName, FailureKind, Status};

use super::sheet::Sheet;
use super::table;
use super::units::{count, flag, time};
use crate::observe::CollectionView;

/// What the status says of each.
pub(super) fn places(sheet: &mut Sheet, status: &Status) {
    for (name, place) in &status.offsite {
        let labels = &[name.as_str()];
        sheet.add_if(&table::OFFSITE_LAST_SUCCESS, labels, place.last_success_at.map(time));
        let success = place.last_outcome.as_ref().map(|outcome| flag(*outcome == Outcome::Success));
        sheet.add_if(&table::OFFSITE_LAST_RUN_SUCCESS, labels, success);
        let mut failures: BTreeMap<&str, u64> = BTreeMap::new();
        for (kind, number) in &place.failures {
            let kind = if FailureKind::KNOWN.contains(kind) { kind.as_str() } else { "other" };
            *failures.entry(kind).or_default() += number;
        }
        for (kind, number) in failures {
            sheet.add(&table::OFFSITE_LAST_RUN_FAILURES, &[name, kind], count(number));
        }
        sheet.add(&table::OFFSITE_ADDED, labels, count(place.added_bytes_total));
        sheet.add_if(&table::OFFSITE_LAST_CHECK, labels, place.last_check_at.map(time));
        sheet.add(&table::OFFSITE_CHECK_FAILED, labels, flag(place.is_damaged()));
    }
}

/// What the records beside the backups say. That a place has no copy of a collection is known too.
pub(super) fn copies(
    sheet: &mut Sheet,
    status: &Status,
    views: &BTreeMap<&CollectionName, &Arc<CollectionView>>,
) {
    for place in status.offsite.keys() {
        for (collection, view) in views {
            let labels = &[place.as_str(), collection.as_str()];
            let copies = view.figures().copies.get(place.as_str());
            sheet.add(&table::OFFSITE_BACKUPS, labels, count(copies.map_or(0, |copies| copies.backups)));
            sheet.add_if(&table::OFFSITE_NEWEST, labels, copies.map(|copies| time(copies.newest_at)));
            let checked = copies.and_then(|copies| copies.newest_checked_at);
            sheet.add_if(&table::OFFSITE_NEWEST_CHECKED, labels, checked.map(time));
        }
    }
}
