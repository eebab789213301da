//! The plan of a prune, and reasons not to prune a collection. Pure functions.

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::catalog::{Backup, Catalog, Condition};
use qdrant_backup_shared::operation::{Fate, Operation, Outcome};
use qdrant_backup_shared::run_report::BackupFate;
use qdrant_backup_shared::status::CollectionStatus;
use qdrant_backup_shared::{CollectionName, FailureKind, Status};

use super::context::PruneContext;
use crate::prune::retention::{Candidate, NoRule, decide, decide_gone};

/// How often a collection must have been found gone, at least and at most, depending on `retention.gone_after_days`.
const GONE_LOOKS: (u32, u32) = (2, 5);
/// An older observation does not count: the collection may be there again.
const GONE_LOOKED_WITHIN: TimeDelta = TimeDelta::days(2);

/// The plan for one collection's backups.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Collection that the plan is for.
    pub collection: CollectionName,
    /// The decision for each backup, newest first.
    pub fates: Vec<BackupFate>,
    /// Why nothing is deleted although backups have expired.
    pub withheld: Option<Withheld>,
}

/// Why nothing of a collection is deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// The server is not the source.
    #[error("the source has changed")]
    SourceChanged,
    /// There are no newer backups to replace the old ones.
    #[error("its last backup did not succeed, so the older ones may be needed")]
    LastAttemptFailed,
    /// The status was lost and rebuilt, and no backup has ended since.
    #[error(
        "the status was lost, and no backup has ended since, so it is unknown what the last one found; run \
         `qdrant-backup backup`, or `qdrant-backup prune --yes` if you are sure"
    )]
    NothingKnown,
    /// The collection was deleted, so there will be no newer backup.
    #[error("it is gone from the server; if that is right, `qdrant-backup prune --retire NAME` retires it")]
    Gone,
    /// No retention rule is set.
    #[error("{0}")]
    NoRule(NoRule),
    /// Too many for an unattended prune.
    #[error(
        "{expired} of {good} good backups have expired, but prune deletes at most half of them without \
         --yes: check `qdrant-backup prune --dry-run`, then run `qdrant-backup prune --yes`"
    )]
    TooMany {
        /// The number of good backups that have expired.
        expired: usize,
        /// The number of good backups.
        good: usize,
    },
}

impl Withheld {
    /// Whether a person must act. Other reasons resolve on their own, or were already decided.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::NoRule(_) | Self::TooMany { .. } => true,
            Self::SourceChanged | Self::LastAttemptFailed | Self::NothingKnown | Self::Gone => false,
        }
    }
}

/// The message for a changed source.
pub fn source_changed() -> String {
    "nothing is pruned: the server is not the one that these backups came from; confirm it with \
     `qdrant-backup accept-source`"
        .to_owned()
}

/// The plan for every collection that `context` selects, at the time `now`. Without a status, there are no reasons not to prune.
pub fn plan_all(
    context: &PruneContext,
    catalog: &Catalog,
    status: Option<&Status>,
    now: DateTime<Utc>,
) -> Vec<Plan> {
    catalog
        .collections
        .iter()
        .filter(|(name, _)| context.selection.includes(name))
        .map(|(name, backups)| plan(context, name, backups, status, now))
        .collect()
}

/// The plan for one collection with these `backups`.
pub fn plan(
    context: &PruneContext,
    collection: &CollectionName,
    backups: &[Backup],
    status: Option<&Status>,
    now: DateTime<Utc>,
) -> Plan {
    let is_relied_on = |place: &str| is_relied_on(context, status, place);
    let candidates: Vec<Candidate> =
        backups.iter().map(|backup| Candidate::of(backup, is_relied_on)).collect();
    let newest = backups.iter().map(|backup| backup.started_at).max();
    let gone = status.and_then(|status| gone_for_good(context, collection, newest, status, now));
    let decided = match &gone {
        Some(reason) => Ok(decide_gone(&candidates, reason, now)),
        None => decide(context.policies.of(collection), &candidates, now),
    };
    let (decisions, no_rule) = match decided {
        Ok(decisions) => (decisions, None),
        Err(no_rule) => (Default::default(), Some(no_rule)),
    };
    let mut newest_first: Vec<&Backup> = backups.iter().collect();
    newest_first.sort_by_key(|backup| std::cmp::Reverse((backup.started_at, backup.backup_id)));
    let mut fates: Vec<BackupFate> = newest_first
        .into_iter()
        .map(|backup| {
            let decision = decisions.get(&backup.backup_id);
            let fate = decision.map_or(Fate::Keep, |decision| decision.fate.clone());
            let mut reasons =
                decision.map_or_else(|| vec!["no retention rule is set".to_owned()], |it| it.reasons.clone());
            // The reason for keeping it does not show that it is good.
            if let Some(flaw) = flaw(backup).filter(|_| fate == Fate::Keep) {
                reasons.push(format!("BAD: {flaw}"));
            }
            BackupFate {
                backup_id: backup.backup_id,
                fate,
                reasons,
                stored_size_bytes: backup.stored_size_bytes(),
            }
        })
        .collect();
    let expired = fates.iter().any(|fate| fate.fate == Fate::Delete);
    let guard = || {
        // A verified offsite copy is not lost with the local backup.
        let good = candidates.iter().filter(|backup| backup.is_good() && !backup.copied);
        let (mut count, mut going) = (0, 0);
        for backup in good {
            count += 1;
            going += usize::from(decisions.get(&backup.id).is_some_and(|it| it.fate == Fate::Delete));
        }
        (!context.yes && going * 2 > count).then_some(Withheld::TooMany { expired: going, good: count })
    };
    let withheld = match no_rule {
        Some(no_rule) => Some(Withheld::NoRule(no_rule)),
        None if gone.is_some() => None,
        None if expired => known_against(collection, status, context.yes).or_else(guard),
        None => None,
    };
    if let Some(Withheld::TooMany { .. }) = withheld {
        for fate in fates.iter_mut().filter(|fate| fate.fate == Fate::Delete) {
            fate.reasons.insert(0, "not without --yes".to_owned());
        }
    }
    // A backup that is only withheld by the guard is shown as deleted, and needs confirmation.
    if let Some(withheld) = withheld.as_ref().filter(|withheld| !withheld.is_failure()) {
        for fate in fates.iter_mut().filter(|fate| fate.fate == Fate::Delete) {
            fate.fate = Fate::Keep;
            fate.reasons.insert(0, format!("nothing is pruned: {withheld}"));
        }
    }
    Plan { collection: collection.clone(), fates, withheld }
}

/// The problem of a bad backup.
pub fn flaw(backup: &Backup) -> Option<String> {
    match backup.condition() {
        Condition::Incomplete => Some(format!(
            "incomplete: {}",
            backup.remarks().missing.as_deref().unwrap_or("an archive is missing")
        )),
        Condition::Failed => Some("failed verification".to_owned()),
        Condition::Good | Condition::Unknown | Condition::OffsiteOnly => None,
    }
}

/// Whether a copy in `place` is as good as the local archives: it is configured, the last run copied everything there, and no damage
/// is known.
fn is_relied_on(context: &PruneContext, status: Option<&Status>, place: &str) -> bool {
    let configured = context.places.iter().find(|known| *known == place);
    let place = configured.and_then(|name| status?.offsite.get(name));
    place.is_some_and(|place| place.last_outcome == Some(Outcome::Success) && !place.is_damaged())
}

/// Why all backups of a collection have expired: it has been missing from the right server for the configured time. A
/// server that does not answer, or has lost everything, proves nothing. Neither do one observation, an old one, or a clock that
/// was wrong: the collection existed when its newest backup was made, at `newest`.
fn gone_for_good(
    context: &PruneContext,
    collection: &CollectionName,
    newest: Option<DateTime<Utc>>,
    status: &Status,
    now: DateTime<Utc>,
) -> Option<String> {
    let days = context.gone_after_days?;
    let entry = status.collections.get(collection).filter(|entry| entry.on_server == Some(false))?;
    let last = status.operations.get(&Operation::Backup)?.last_outcome.as_ref()?;
    let looked = matches!(last, Outcome::Success | Outcome::Partial);
    let since = entry.gone_since?;
    let gone_for = now - newest.map_or(since, |newest| newest.max(since));
    let long_enough = gone_for >= TimeDelta::days(i64::from(days.get()));
    let often_enough = entry.gone_looks >= days.get().clamp(GONE_LOOKS.0, GONE_LOOKS.1);
    let of_late = entry.gone_looked_at.is_some_and(|last| now - last <= GONE_LOOKED_WITHIN);
    (looked && long_enough && often_enough && of_late && !status.source_changed).then(|| {
        format!(
            "expired: gone from the server for {} d (retention.gone_after_days {days})",
            gone_for.num_days()
        )
    })
}

fn known_against(collection: &CollectionName, status: Option<&Status>, yes: bool) -> Option<Withheld> {
    let status = status?;
    let entry = status.collections.get(collection);
    let backup = status.operations.get(&Operation::Backup);
    if status.source_changed {
        Some(Withheld::SourceChanged)
    } else if !yes && backup.is_some_and(|backup| backup.last_outcome.is_none()) {
        Some(Withheld::NothingKnown)
    } else if status.retired_collections.contains(collection)
        || entry.is_some_and(|entry| entry.on_server == Some(false))
    {
        Some(Withheld::Gone)
    } else if entry.is_some_and(has_failed) {
        Some(Withheld::LastAttemptFailed)
    } else {
        None
    }
}

/// Whether the last backup failed, but for want of space, which a prune makes.
fn has_failed(entry: &CollectionStatus) -> bool {
    let has_no_space = entry.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::NoSpace);
    entry.last_outcome.as_ref().is_some_and(|outcome| *outcome != Outcome::Success) && !has_no_space
}
