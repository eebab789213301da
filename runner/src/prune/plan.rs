//! What a prune would do, and why it would leave a collection alone. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::catalog::{Backup, Catalog, Condition};
use qdrant_backup_shared::operation::{Fate, Operation, Outcome};
use qdrant_backup_shared::run_report::BackupFate;
use qdrant_backup_shared::{CollectionName, Status};

use super::context::PruneContext;
use crate::prune::retention::{Candidate, NoRule, decide, decide_gone};

/// What is to become of one collection's backups.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The collection.
    pub collection: CollectionName,
    /// Each backup's fate, newest first.
    pub fates: Vec<BackupFate>,
    /// Why nothing of it is deleted although something has expired.
    pub withheld: Option<Withheld>,
}

/// Why nothing of a collection is deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// The server is another one.
    #[error("the source has changed")]
    SourceChanged,
    /// What would replace the old backups is not there.
    #[error("its last backup did not succeed")]
    LastAttemptFailed,
    /// There will never be a newer backup.
    #[error("it is gone from the server; if that is right, `qdrant-backup prune --retire NAME` retires it")]
    Gone,
    /// Nobody has said what to keep.
    #[error("{0}")]
    NoRule(NoRule),
    /// Unattended, that would be too many.
    #[error(
        "{expired} of {good} good backups have expired, but prune deletes at most half of them without \
         --yes: check `qdrant-backup prune --dry-run`, then run `qdrant-backup prune --yes`"
    )]
    TooMany {
        /// Good backups that have expired.
        expired: usize,
        /// Good backups that there are.
        good: usize,
    },
}

impl Withheld {
    /// Whether somebody has to do something about it; everything else settles itself or was decided already.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::NoRule(_) | Self::TooMany { .. } => true,
            Self::SourceChanged | Self::LastAttemptFailed | Self::Gone => false,
        }
    }
}

/// The line for a prune on a changed source.
pub fn source_changed() -> String {
    "nothing is pruned: the server is not the one that these backups came from; confirm it with \
     `qdrant-backup accept-source`"
        .to_owned()
}

/// The plan for every collection that `context` selects, at the time `now`. Without a status nothing is known against pruning.
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
    let candidates: Vec<Candidate> = backups.iter().map(Candidate::from).collect();
    let gone = status.and_then(|status| gone_for_good(context, collection, status, now));
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
            // That it is kept says nothing for it.
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
        // What was read back in another place is not lost with what is here.
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
        None if expired => known_against(collection, status).or_else(guard),
        None => None,
    };
    // A backup that only the guard holds back is to be deleted, and somebody has to say so.
    if let Some(withheld) = withheld.as_ref().filter(|withheld| !withheld.is_failure()) {
        for fate in fates.iter_mut().filter(|fate| fate.fate == Fate::Delete) {
            fate.fate = Fate::Keep;
            fate.reasons.insert(0, format!("nothing is pruned: {withheld}"));
        }
    }
    Plan { collection: collection.clone(), fates, withheld }
}

/// What is wrong with a backup that is known to be bad.
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

/// Why all backups of a collection have expired that the last look at the right server did not find, nor any look for as
/// long as the settings say. A server that does not answer, or has lost everything, proves nothing.
fn gone_for_good(
    context: &PruneContext,
    collection: &CollectionName,
    status: &Status,
    now: DateTime<Utc>,
) -> Option<String> {
    let days = context.gone_after_days?;
    let entry = status.collections.get(collection).filter(|entry| entry.on_server == Some(false))?;
    let last = status.operations.get(&Operation::Backup)?.last_outcome.as_ref()?;
    let looked = matches!(last, Outcome::Success | Outcome::Partial);
    let gone_for = now - entry.gone_since?;
    let long_enough = gone_for >= TimeDelta::days(i64::from(days.get()));
    (looked && long_enough && !status.source_changed).then(|| {
        format!(
            "expired: gone from the server for {} d (retention.gone_after_days {days})",
            gone_for.num_days()
        )
    })
}

fn known_against(collection: &CollectionName, status: Option<&Status>) -> Option<Withheld> {
    let status = status?;
    let entry = status.collections.get(collection);
    if status.source_changed {
        Some(Withheld::SourceChanged)
    } else if status.retired_collections.contains(collection)
        || entry.is_some_and(|entry| entry.on_server == Some(false))
    {
        Some(Withheld::Gone)
    } else if entry
        .and_then(|entry| entry.last_outcome.as_ref())
        .is_some_and(|outcome| *outcome != Outcome::Success)
    {
        Some(Withheld::LastAttemptFailed)
    } else {
        None
    }
}
