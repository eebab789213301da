//! Applies the rules to one collection's backups.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::backup_id::BackupId;
use qdrant_backup_shared::config_file::Policy;
use qdrant_backup_shared::operation::Fate;

use super::candidate::{Candidate, Standing};
use super::period::Period;
use super::policies::NoRule;

/// The decision for a backup, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// [`Fate::Keep`] or [`Fate::Delete`].
    pub fate: Fate,
    /// All rules that keep it, or why it has expired, as text. Never empty.
    pub reasons: Vec<String>,
}

/// Decides about all `backups` of a collection at the time `now`. Their order does not matter.
///
/// A backup dated after `now` was made while a clock was wrong. It is kept, and does not count for any rule, so that it cannot
/// replace others.
///
/// # Errors
/// When `policy` has no rule.
pub fn decide(
    policy: &Policy,
    backups: &[Candidate],
    now: DateTime<Utc>,
) -> Result<BTreeMap<BackupId, Decision>, NoRule> {
    if !policy.has_rule() {
        return Err(NoRule);
    }
    let mut newest_first: Vec<&Candidate> = backups.iter().collect();
    newest_first.sort_by_key(|backup| Reverse((backup.started_at, backup.id)));
    let mut good = newest_first.iter().copied().filter(|backup| backup.is_good() && backup.started_at <= now);
    let newest_good = good.next();

    let mut keeping = Keeping::default();
    keeping.whatever_the_rules_say(&newest_first, now);
    match newest_good {
        None => keeping.all(&newest_first, "the collection has no good backup"),
        Some(newest_good) => {
            let good: Vec<&Candidate> = std::iter::once(newest_good).chain(good).collect();
            keeping.floor(&good);
            keeping.by_age(policy.keep_days, &newest_first, newest_good);
            keeping.by_count(policy, &good);
        }
    }
    keeping.needed(&newest_first);
    let decisions = newest_first.iter().map(|backup| {
        let decision = match keeping.reasons.remove(&backup.id) {
            Some(reasons) => Decision { fate: Fate::Keep, reasons },
            None => Decision { fate: Fate::Delete, reasons: vec![expired(backup, newest_good)] },
        };
        (backup.id, decision)
    });
    Ok(decisions.collect())
}

/// Decides about the `backups` of a deleted collection at the time `now`: all have expired because of `reason`,
/// except
/// protected ones.
pub fn decide_gone(backups: &[Candidate], reason: &str, now: DateTime<Utc>) -> BTreeMap<BackupId, Decision> {
    let all: Vec<&Candidate> = backups.iter().collect();
    let mut keeping = Keeping::default();
    keeping.whatever_the_rules_say(&all, now);
    keeping.needed(&all);
    let decisions = backups.iter().map(|backup| {
        let decision = match keeping.reasons.remove(&backup.id) {
            Some(reasons) => Decision { fate: Fate::Keep, reasons },
            None => Decision { fate: Fate::Delete, reasons: vec![reason.to_owned()] },
        };
        (backup.id, decision)
    });
    decisions.collect()
}

/// The backups kept so far, with all reasons.
#[derive(Default)]
struct Keeping {
    reasons: BTreeMap<BackupId, Vec<String>>,
}

impl Keeping {
    fn keep(&mut self, backup: &Candidate, reason: impl Into<String>) {
        self.reasons.entry(backup.id).or_default().push(reason.into());
    }

    fn all(&mut self, backups: &[&Candidate], reason: &str) {
        for backup in backups {
            self.keep(backup, reason);
        }
    }

    fn whatever_the_rules_say(&mut self, backups: &[&Candidate], now: DateTime<Utc>) {
        for backup in backups {
            match backup.hold.as_deref() {
                Some("") => self.keep(backup, "held"),
                Some(reason) => self.keep(backup, format!("held: {reason}")),
                None => {}
            }
            match &backup.standing {
                Standing::Unknown { requirement } => {
                    self.keep(backup, format!("requires {requirement:?}, which this version does not know"));
                }
                Standing::Untold { why } => self.keep(backup, format!("not known to be good or bad: {why}")),
                Standing::Elsewhere { places } => self.keep(backup, format!("only offsite ({places})")),
                Standing::Good | Standing::Failed | Standing::Incomplete => {}
            }
            if backup.started_at > now {
                self.keep(backup, "dated in the future: was a clock wrong?");
            }
        }
    }

    fn floor(&mut self, good: &[&Candidate]) {
        if let Some(newest) = good.first() {
            self.keep(newest, "newest good");
        }
        // A verified offsite copy can be used instead.
        let verified = good.iter().find(|backup| backup.verified);
        if let Some(newest) = verified.filter(|backup| !backup.copied || good.first() == Some(*backup)) {
            self.keep(newest, "newest verified");
        }
    }

    /// Bad ones expire by age too. Those newer than the newest good one are kept, because the problem may continue.
    fn by_age(&mut self, keep_days: Option<NonZeroU32>, backups: &[&Candidate], newest_good: &Candidate) {
        for backup in backups {
            if backup.started_at > newest_good.started_at && !backup.is_good() {
                self.keep(backup, "newer than the newest good backup");
            }
            let Some(days) = keep_days else { continue };
            let age = newest_good.started_at - backup.started_at;
            if TimeDelta::zero() <= age && age <= TimeDelta::days(i64::from(days.get())) {
                self.keep(backup, format!("within {days} d of the newest good backup"));
            }
        }
    }

    fn by_count(&mut self, policy: &Policy, good: &[&Candidate]) {
        if let Some(count) = policy.keep_last {
            for backup in good.iter().take(size(count)) {
                self.keep(backup, format!("last {count}"));
            }
        }
        let rules = [
            (Period::Hour, policy.keep_hourly),
            (Period::Day, policy.keep_daily),
            (Period::Week, policy.keep_weekly),
            (Period::Month, policy.keep_monthly),
            (Period::Year, policy.keep_yearly),
        ];
        for (period, count) in rules {
            let Some(count) = count else { continue };
            let mut seen = BTreeSet::new();
            let newest_of_each = good.iter().filter(|backup| seen.insert(period.of(backup.started_at)));
            for backup in newest_of_each.take(size(count)) {
                self.keep(backup, format!("{} {}", period.adverb(), period.of(backup.started_at)));
            }
        }
    }

    /// Backups that a kept one depends on are kept too, recursively.
    fn needed(&mut self, backups: &[&Candidate]) {
        let by_id: BTreeMap<BackupId, &Candidate> =
            backups.iter().map(|backup| (backup.id, *backup)).collect();
        let mut kept: Vec<BackupId> = self.reasons.keys().copied().collect();
        while let Some(id) = kept.pop() {
            let depends_on = by_id.get(&id).map_or(&[][..], |backup| backup.depends_on.as_slice());
            for needed in depends_on.iter().filter_map(|id| by_id.get(id)) {
                if !self.reasons.contains_key(&needed.id) {
                    kept.push(needed.id);
                }
                let reason = format!("needed by {id}");
                if !self.reasons.get(&needed.id).is_some_and(|reasons| reasons.contains(&reason)) {
                    self.keep(needed, reason);
                }
            }
        }
    }
}

fn size(count: NonZeroU32) -> usize {
    usize::try_from(count.get()).unwrap_or(usize::MAX)
}

fn expired(backup: &Candidate, newest_good: Option<&Candidate>) -> String {
    let flaw = match &backup.standing {
        Standing::Good | Standing::Elsewhere { .. } | Standing::Unknown { .. } | Standing::Untold { .. } => {
            ""
        }
        Standing::Failed => ", failed verification",
        Standing::Incomplete => ", incomplete",
    };
    let older = newest_good.map_or(TimeDelta::zero(), |newest| newest.started_at - backup.started_at);
    let older = match (older.num_days(), older.num_hours(), older.num_minutes()) {
        (0, 0, 0) => "less than 1 min".to_owned(),
        (0, 0, minutes) => format!("more than {minutes} min"),
        (0, hours, _) => format!("more than {hours} h"),
        (days, ..) => format!("more than {days} d"),
    };
    format!("expired{flaw}: {older} older than the newest good backup, and no rule keeps it")
}
