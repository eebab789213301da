//! Applies retention in a place.

use chrono::{DateTime, Utc};
use qdrant_backup_shared::catalog::{Backup, Catalog};
use qdrant_backup_shared::operation::Fate;
use qdrant_backup_shared::run_report::ForgottenCopy;
use qdrant_backup_shared::{CollectionName, Layout, Status};

use super::error::OffsiteError;
use super::listing::{Copy, Listing};
use super::locks::alone;
use super::records::remove_record;
use super::restic::Restic;
use super::tags::Key;
use crate::prune::{Deletion, Plan, PruneContext, Withheld, plan};

/// Maximum number of snapshots per command.
const AT_A_TIME: usize = 200;

/// The plan for the copies of one collection.
pub(super) struct Planned {
    pub(super) plan: Plan,
}

impl Planned {
    /// Plans for a collection with these copies, including pending ones.
    pub(super) fn of(
        context: &PruneContext,
        collection: &CollectionName,
        copies: &[Backup],
        status: Option<&Status>,
        now: DateTime<Utc>,
    ) -> Self {
        Self { plan: plan(context, collection, copies, status, now) }
    }

    /// Whether the rules keep this one.
    pub(super) fn keeps(&self, backup: &Backup) -> bool {
        let fate = self.plan.fates.iter().find(|fate| fate.backup_id == backup.backup_id);
        fate.is_none_or(|fate| fate.fate == Fate::Keep)
    }
}

/// Applies retention to the copies of the backups in `catalog`.
///
/// # Crash safety
/// The local records are deleted first. If a copy remains, the next run finds it again and deletes it.
///
/// # Errors
/// See [`OffsiteError`]. Copies deleted before the error are in `forgotten`.
#[expect(clippy::too_many_arguments, reason = "a part of one function, with its variables")]
pub(super) fn forget_expired(
    restic: &Restic,
    layout: &Layout,
    catalog: &Catalog,
    repository_id: &str,
    listing: &Listing,
    context: &PruneContext,
    status: Option<&Status>,
    now: DateTime<Utc>,
    forgotten: &mut Vec<ForgottenCopy>,
) -> Result<(), OffsiteError> {
    let place = restic.settings().name();
    let mut too_many = Vec::new();
    for (collection, backups) in &catalog.collections {
        let copy_of =
            |backup: &Backup| listing.copies.get(&Key::new(repository_id, collection, backup.backup_id));
        let copies: Vec<Backup> = backups
            .iter()
            .filter(|backup| copy_of(backup).is_some())
            .map(|backup| backup.as_copy(place))
            .collect();
        let planned = Planned::of(context, collection, &copies, status, now).plan;
        match &planned.withheld {
            Some(withheld) if withheld.is_failure() => {
                too_many.push(if let Withheld::TooMany { expired, good } = withheld {
                    format!("{expired} of {good} copies of \"{collection}\" have expired")
                } else {
                    format!("\"{collection}\": {withheld}")
                });
                continue;
            }
            Some(_) => continue,
            None => {}
        }
        let going = planned.fates.iter().filter(|fate| fate.fate == Fate::Delete);
        let going: Vec<_> = going
            .filter_map(|fate| {
                let backup = backups.iter().find(|backup| backup.backup_id == fate.backup_id)?;
                Some((backup, copy_of(backup)?, fate.reasons.clone()))
            })
            .collect();
        for some in going.chunks(AT_A_TIME / 2) {
            restic.go_on()?;
            for (backup, _, _) in some {
                forget_here(layout, backup, place)?;
            }
            forget(restic, some.iter().map(|(_, copy, _)| *copy), now)?;
            for (backup, _, reasons) in some {
                tracing::info!(
                    "Deleted the copy of {collection} {} in {place}: {}",
                    backup.backup_id,
                    reasons.join(", ")
                );
                forgotten.push(ForgottenCopy {
                    collection: collection.clone(),
                    backup_id: backup.backup_id,
                    reasons: reasons.clone(),
                });
            }
        }
    }
    if too_many.is_empty() {
        return Ok(());
    }
    Err(OffsiteError::Kept(format!(
        "copies in {place} are kept: {}; at most half of a collection's copies are deleted at once: `qdrant-backup offsite prune {place} --yes` deletes them",
        too_many.join(", ")
    )))
}

/// Deletes the record of a copy. If nothing else is left of the backup, also its other records.
fn forget_here(layout: &Layout, backup: &Backup, place: &str) -> Result<(), OffsiteError> {
    if backup.is_offsite_only() && backup.places().all(|other| other == place) {
        let what = format!("deleting the records of backup {}", backup.backup_id);
        return Deletion::entirely(layout, backup)
            .perform()
            .map_err(|source| OffsiteError::Local { what, source });
    }
    remove_record(layout, &backup.collection, backup, place)
}

/// Deletes copies, starting with their manifests.
fn forget<'c>(
    restic: &Restic,
    copies: impl Iterator<Item = &'c Copy> + Clone,
    now: DateTime<Utc>,
) -> Result<(), OffsiteError> {
    let manifests: Vec<&str> = copies.clone().map(|copy| copy.manifest.snapshot.as_str()).collect();
    let archives: Vec<&str> = copies
        .flat_map(|copy| copy.archives.iter().chain(&copy.hold))
        .map(|file| file.snapshot.as_str())
        .collect();
    for snapshots in [manifests, archives] {
        forget_snapshots(restic, &snapshots, now)?;
    }
    Ok(())
}

/// Deletes snapshots.
///
/// # Errors
/// As [`OffsiteError`] says.
pub(super) fn forget_snapshots(
    restic: &Restic,
    snapshots: &[&str],
    now: DateTime<Utc>,
) -> Result<(), OffsiteError> {
    for some in snapshots.chunks(AT_A_TIME) {
        let arguments = [&["forget"], some].concat();
        alone(restic, now, || restic.call(&arguments))?;
    }
    Ok(())
}
