//! The offsite places in the output of `status`.

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::Catalog;
use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::place_status::PlaceStatus;
use qdrant_backup_shared::status::Status;
use qdrant_backup_shared::text::{number_of, one_line};

use crate::host::output;

/// A line for each place, and another one for its problem.
pub fn places(status: &Status, catalog: &Catalog, now: DateTime<Utc>) -> String {
    let lines = status.offsite.iter().map(|(name, place)| {
        let backups = catalog.collections.values().flatten();
        one(name, place, backups.filter(|backup| backup.places().any(|there| there == name)).count(), now)
    });
    let text: String = lines.collect();
    if text.is_empty() { text } else { format!("\n{text}") }
}

fn one(name: &str, place: &PlaceStatus, copies: usize, now: DateTime<Utc>) -> String {
    let copied = match (place.last_success_at, copies) {
        (Some(at), _) => format!("everything copied {} ago", output::age(at, now)),
        (None, 0) => "NEVER COPIED".to_owned(),
        // After `offsite recover`.
        (None, copies) => format!("has {}, nothing copied since", number_of(copies, "backup")),
    };
    let read = match (place.is_damaged(), place.last_check_at) {
        (true, _) => "DAMAGED".to_owned(),
        (false, Some(at)) => format!("read back {} ago", output::age(at, now)),
        (false, None) => "never read back".to_owned(),
    };
    let mut text = format!(
        "Copies in {}: {copied}, {read}, {} added\n",
        one_line(name),
        HumanBytes(place.added_bytes_total)
    );
    if place.last_outcome.as_ref().is_some_and(|outcome| *outcome != Outcome::Success)
        && let Some(failure) = &place.failure
    {
        text.push_str(&format!("  {}: {}\n", failure.kind, one_line(&failure.message)));
    }
    if let Some(problem) = place.check_problem.as_ref().filter(|_| place.is_damaged()) {
        text.push_str(&format!("  {}\n", one_line(problem)));
    }
    text
}
