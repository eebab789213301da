//! The history of one offsite place in the status file.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, FailureKind, LONGEST_MESSAGE};
use crate::operation::Outcome;
use crate::text::shortened;
use crate::verification::CheckOutcome;

/// The history of one place. Counters only grow, also across runs. A failure never erases the last success.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlaceStatus {
    /// When the last copy operation started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When it last finished with all backups copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<DateTime<Utc>>,
    /// Its last outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<Outcome>,
    /// Its last duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_duration_seconds: Option<f64>,
    /// Failures of the last operation by kind, of single collections or of the place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<FailureKind, u64>,
    /// Its last failure. Absent after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Data added to the repository by all copies after deduplication, in bytes.
    #[serde(default)]
    pub added_bytes_total: u64,
    /// Whether deletion there is impossible.
    #[serde(default)]
    pub append_only: bool,
    /// When data there was last read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check_at: Option<DateTime<Utc>>,
    /// The result. A failure remains until everything was read back without finding damage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_outcome: Option<CheckOutcome>,
    /// What the last check found wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_problem: Option<String>,
    /// The current round of reading everything back in shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_round: Option<CheckRound>,
    /// When unused data was last removed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_prune_at: Option<DateTime<Utc>>,
}

/// One round of reading back a whole repository, one share per run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckRound {
    /// When its first share was read. Copies that were complete by then are verified when the round ends.
    pub began_at: DateTime<Utc>,
    /// Number of shares.
    pub shares: u32,
    /// Number of shares read.
    pub done: u32,
}

/// Result of checking a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoundEnd {
    /// There are more shares to read.
    Goes,
    /// All shares are read: copies that were complete at that time are verified.
    Complete(DateTime<Utc>),
}

impl PlaceStatus {
    /// Records the end of a copy operation.
    pub fn enter(
        &mut self,
        begun_at: DateTime<Utc>,
        ended_at: DateTime<Utc>,
        duration_seconds: f64,
        outcome: Outcome,
        failures: BTreeMap<FailureKind, u64>,
        failure: Option<Failure>,
    ) {
        self.last_attempt_at = Some(begun_at);
        self.last_duration_seconds = Some(duration_seconds);
        if outcome == Outcome::Success {
            self.last_success_at = Some(ended_at);
        }
        self.last_outcome = Some(outcome);
        self.failures = failures;
        self.failure = failure.map(Failure::kept);
    }

    /// Retention was applied: that the last operation refused it is settled. Only its copying counts then.
    pub fn settle_refused_prune(&mut self) {
        if self.failures.keys().eq([&FailureKind::PruneRefused]) {
            self.failures.clear();
            self.failure = None;
            self.last_outcome = Some(Outcome::Success);
            self.last_success_at = self.last_attempt_at;
        }
    }

    /// The next share to read, from 1, and the number of shares. A round with a different number of shares, or with damage,
    /// starts again.
    pub fn next_share(&self, shares: u32) -> (u32, u32) {
        let shares = shares.max(1);
        match &self.check_round {
            Some(round) if round.shares == shares && round.done < shares => (round.done + 1, shares),
            Some(_) | None => (1, shares),
        }
    }

    /// Records that a share was read at `at` without finding damage.
    pub fn enter_sound(
        &mut self,
        begun_at: DateTime<Utc>,
        at: DateTime<Utc>,
        share: u32,
        shares: u32,
    ) -> RoundEnd {
        self.last_check_at = Some(at);
        let began_at = match &self.check_round {
            Some(round) if share > 1 && round.shares == shares => round.began_at,
            Some(_) | None => begun_at,
        };
        if self.check_outcome != Some(CheckOutcome::Failed) || share == shares {
            self.check_outcome = Some(CheckOutcome::Passed);
            self.check_problem = None;
        }
        if share == shares {
            self.check_round = None;
            return RoundEnd::Complete(began_at);
        }
        self.check_round = Some(CheckRound { began_at, shares, done: share });
        RoundEnd::Goes
    }

    /// Records damage. Shares that were read before no longer count.
    pub fn enter_damaged(&mut self, at: DateTime<Utc>, problem: &str) {
        self.last_check_at = Some(at);
        self.check_outcome = Some(CheckOutcome::Failed);
        self.check_problem = Some(shortened(problem, LONGEST_MESSAGE));
        self.check_round = None;
    }

    /// Whether damage was found and not resolved.
    pub fn is_damaged(&self) -> bool {
        self.check_outcome == Some(CheckOutcome::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u32) -> DateTime<Utc> {
        format!("2025-07-15T{hour:02}:00:00Z").parse().unwrap()
    }

    #[test]
    fn a_round_ends_with_its_last_share_and_speaks_for_its_beginning() {
        let mut status = PlaceStatus::default();
        assert_eq!(status.next_share(3), (1, 3));
        assert_eq!(status.enter_sound(at(1), at(2), 1, 3), RoundEnd::Goes);
        assert_eq!(status.next_share(3), (2, 3));
        assert_eq!(status.enter_sound(at(3), at(4), 2, 3), RoundEnd::Goes);
        assert_eq!(status.next_share(2), (1, 2), "other shares begin anew");
        assert_eq!(status.enter_sound(at(5), at(6), 3, 3), RoundEnd::Complete(at(1)));
        assert_eq!(status.next_share(3), (1, 3));
        assert_eq!(status.next_share(0), (1, 1));
        assert_eq!(status.enter_sound(at(7), at(8), 1, 1), RoundEnd::Complete(at(7)));
    }

    #[test]
    fn damage_stands_until_everything_was_read() {
        let mut status = PlaceStatus::default();
        status.enter_sound(at(1), at(1), 1, 2);
        status.enter_damaged(at(2), "pack ab");
        assert_eq!(status.next_share(2), (1, 2));
        status.enter_sound(at(3), at(3), 1, 2);
        assert!(status.is_damaged());
        status.enter_sound(at(4), at(4), 2, 2);
        assert!(!status.is_damaged() && status.check_problem.is_none());
    }
}
