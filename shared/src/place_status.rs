//! The history of one place for copies, as the status keeps it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, FailureKind, LONGEST_MESSAGE};
use crate::operation::Outcome;
use crate::text::shortened;
use crate::verification::CheckOutcome;

/// One place's history. Counters only grow, also across runs, and a failure never erases a last success.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlaceStatus {
    /// When copying there was last begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When it last ended with every backup copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<DateTime<Utc>>,
    /// How it last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<Outcome>,
    /// How long it last took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_duration_seconds: Option<f64>,
    /// Failures of the last time, by kind: of single collections, or of the place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<FailureKind, u64>,
    /// Why it last failed. Gone after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What all copies have added to the repository after deduplication, in bytes.
    #[serde(default)]
    pub added_bytes_total: u64,
    /// Whether nothing can be deleted there.
    #[serde(default)]
    pub append_only: bool,
    /// When what is there was last read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check_at: Option<DateTime<Utc>>,
    /// What that found. A failure stands until everything was read and found sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_outcome: Option<CheckOutcome>,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_problem: Option<String>,
    /// The reading of everything in shares that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_round: Option<CheckRound>,
    /// When data that no copy needs was last removed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_prune_at: Option<DateTime<Utc>>,
}

/// Everything that a repository holds is read in shares, one a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckRound {
    /// When its first share was read. Copies that were complete by then have been read back when it ends.
    pub began_at: DateTime<Utc>,
    /// How many shares there are.
    pub shares: u32,
    /// How many were read.
    pub done: u32,
}

/// What a check of a share has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoundEnd {
    /// There are more shares to read.
    Goes,
    /// All are read: what was complete at that time was read back.
    Complete(DateTime<Utc>),
}

impl PlaceStatus {
    /// Enters that copying has ended.
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

    /// The share to read next, from 1, and of how many. A round of another number of shares, or one that found damage, begins anew.
    pub fn next_share(&self, shares: u32) -> (u32, u32) {
        let shares = shares.max(1);
        match &self.check_round {
            Some(round) if round.shares == shares && round.done < shares => (round.done + 1, shares),
            Some(_) | None => (1, shares),
        }
    }

    /// Enters that a share was read at `at` and is sound.
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

    /// Enters that what is there is damaged. What was read before counts for nothing then.
    pub fn enter_damaged(&mut self, at: DateTime<Utc>, problem: &str) {
        self.last_check_at = Some(at);
        self.check_outcome = Some(CheckOutcome::Failed);
        self.check_problem = Some(shortened(problem, LONGEST_MESSAGE));
        self.check_round = None;
    }

    /// Whether damage was found that stands.
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
