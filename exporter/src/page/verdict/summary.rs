//! The state of the backups in half a sentence.

use chrono::{DateTime, Utc};

use super::super::parts::{BackupReport, CollectionReport};
use super::super::words;

/// The headline when there is nothing to complain of.
pub(super) fn summary(collections: &[CollectionReport], now: DateTime<Utc>) -> String {
    let expected: Vec<_> =
        collections.iter().filter(|collection| collection.on_server != Some(false)).collect();
    format!("{}, verified", summary_of(&expected, now))
}

/// How old the backups of these collections are, all together.
pub(super) fn summary_of(expected: &[&CollectionReport], now: DateTime<Utc>) -> String {
    let ago = oldest(expected).map(|oldest| words::ago(oldest.started_at, now)).unwrap_or_default();
    match expected {
        [only] => format!("{} backed up {ago}", words::name(only.collection.as_str())),
        several => format!("All {} backed up {ago}", words::number_of(several.len(), "collection")),
    }
}

/// The oldest among the newest backups.
pub(super) fn oldest<'a>(collections: &[&'a CollectionReport]) -> Option<&'a BackupReport> {
    collections
        .iter()
        .filter_map(|collection| collection.newest.as_ref())
        .min_by_key(|newest| newest.started_at)
}
