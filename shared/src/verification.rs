//! The verification record: results of checking a backup, for each level.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::backup_id::BackupId;
use crate::json_file::{JsonFile, SCHEMA_VERSION};
use crate::open_enum::open_enum;
use crate::operation::Operation;

open_enum! {
    /// Level of a check, from shallow to deep.
    pub enum Level {
        /// The digest of the stored bytes matches the manifest.
        Checksum = "checksum",
        /// The digest of the decompressed snapshot matches, and its contents are complete.
        Archive = "archive",
        /// It was restored, and its points were found.
        Restore = "restore",
    }
}

open_enum! {
    /// Result of a check.
    pub enum CheckOutcome {
        /// No problem was found.
        Passed = "passed",
        /// The backup is bad.
        Failed = "failed",
        /// No result: a disk or a server failed, not the backup.
        Inconclusive = "inconclusive",
        /// This program cannot check this kind of backup.
        Unsupported = "unsupported",
    }
}

/// The verification record of one backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VerificationRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Id of the backup that was checked.
    pub backup_id: BackupId,
    /// Checks at each level.
    #[serde(default)]
    pub levels: BTreeMap<Level, LevelRecord>,
    /// Result of its first restore or drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_points: Option<RestoredPoints>,
}

/// Number of points found by the first restore or drill of a backup. Later ones must find exactly the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RestoredPoints {
    /// Exact number of points.
    pub count: u64,
    /// When they were counted.
    pub at: DateTime<Utc>,
    /// The operation that counted them: a restore (others may write to that collection) or a drill.
    pub by: Operation,
    /// When a drill first found all sampled points unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_matched_at: Option<DateTime<Utc>>,
}

/// The checks at one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LevelRecord {
    /// When the last check ended.
    pub last_at: DateTime<Utc>,
    /// Whether the last check passed.
    pub outcome: CheckOutcome,
    /// When a check last passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_passed_at: Option<DateTime<Utc>>,
    /// When a check last failed. This is valid until a later pass; inconclusive checks do not change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failed_at: Option<DateTime<Utc>>,
    /// Duration of the last check.
    pub duration_seconds: f64,
    /// Problems found. After a pass, only those that are not a fault of the backup.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// A short name of the defect.
    pub kind: String,
    /// One line for a person.
    pub message: String,
}

impl VerificationRecord {
    /// An empty record, before any check.
    pub fn new(backup_id: BackupId) -> Self {
        Self { schema_version: SCHEMA_VERSION, backup_id, levels: BTreeMap::new(), restored_points: None }
    }

    /// Records a check that ended at `at`.
    pub fn enter(
        &mut self,
        level: Level,
        at: DateTime<Utc>,
        outcome: CheckOutcome,
        duration_seconds: f64,
        findings: Vec<Finding>,
    ) {
        let before = self.levels.get(&level);
        let last_passed_at =
            if outcome == CheckOutcome::Passed { Some(at) } else { before.and_then(|b| b.last_passed_at) };
        let last_failed_at =
            if outcome == CheckOutcome::Failed { Some(at) } else { before.and_then(LevelRecord::failed_at) };
        let record =
            LevelRecord { last_at: at, outcome, last_passed_at, last_failed_at, duration_seconds, findings };
        self.levels.insert(level, record);
    }

    /// Whether the backup is known to be bad: a check failed, and no check at that level or a deeper
    /// one has passed since.
    pub fn failed(&self) -> bool {
        self.levels.iter().any(|(level, record)| {
            record.failed_at().is_some_and(|failed_at| {
                !self
                    .levels
                    .range(level..)
                    .any(|(_, deeper)| deeper.last_passed_at.is_some_and(|passed_at| passed_at > failed_at))
            })
        })
    }

    /// Findings of the failed checks, in one short line.
    pub fn failures(&self) -> String {
        let failed = self.levels.iter().filter(|(_, record)| record.last_failed_at.is_some());
        let texts: Vec<String> = failed
            .map(|(level, record)| {
                let first = record.findings.first().map(|finding| format!(": {}", finding.message));
                format!("{level}{}", first.unwrap_or_default())
            })
            .collect();
        if texts.is_empty() {
            return Level::Archive.to_string();
        }
        crate::text::shortened(&texts.join(", "), 200)
    }

    /// The deepest level at which the backup passed, and when. None if it counts as failed.
    pub fn deepest_pass(&self) -> Option<(&Level, DateTime<Utc>)> {
        if self.failed() {
            return None;
        }
        self.levels
            .iter()
            .rev()
            .filter(|(level, _)| Level::KNOWN.contains(level))
            .find_map(|(level, record)| Some((level, record.last_passed_at?)))
    }
}

impl LevelRecord {
    fn failed_at(&self) -> Option<DateTime<Utc>> {
        match (&self.outcome, self.last_failed_at) {
            (_, Some(at)) => Some(at),
            // Written by hand, or by a program without this field.
            (CheckOutcome::Failed, None) => Some(self.last_at),
            (
                CheckOutcome::Passed
                | CheckOutcome::Inconclusive
                | CheckOutcome::Unsupported
                | CheckOutcome::Other(_),
                None,
            ) => None,
        }
    }
}

impl JsonFile for VerificationRecord {
    const WHAT: &'static str = "verification record";
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn record(checks: &[(Level, CheckOutcome)]) -> VerificationRecord {
        let start: DateTime<Utc> = "2025-07-15T14:30:00Z".parse().unwrap();
        let id = BackupId::at(start);
        let mut record = VerificationRecord::new(id);
        for (minutes, (level, outcome)) in (0..).zip(checks) {
            record.enter(
                level.clone(),
                start + TimeDelta::minutes(minutes),
                outcome.clone(),
                1.0,
                Vec::new(),
            );
        }
        record
    }

    #[test]
    fn a_failure_stands_until_a_pass_at_the_same_or_a_deeper_level() {
        use CheckOutcome::{Failed, Inconclusive, Passed, Unsupported};
        use Level::{Archive, Checksum, Restore};
        assert!(!record(&[]).failed());
        assert!(record(&[(Archive, Failed)]).failed());
        assert!(record(&[(Archive, Failed), (Checksum, Passed)]).failed(), "a shallower pass proves nothing");
        assert!(!record(&[(Archive, Failed), (Archive, Passed)]).failed());
        assert!(!record(&[(Archive, Failed), (Restore, Passed)]).failed());
        assert!(record(&[(Restore, Passed), (Archive, Failed)]).failed(), "an earlier pass proves nothing");
        assert!(
            record(&[(Archive, Failed), (Archive, Inconclusive)]).failed(),
            "a disk fault clears nothing"
        );
        assert!(record(&[(Archive, Failed), (Archive, Unsupported), (Archive, Inconclusive)]).failed());
        assert!(!record(&[(Archive, Inconclusive)]).failed(), "unknown is not bad");
    }

    #[test]
    fn the_deepest_pass_is_none_for_a_failed_backup() {
        use CheckOutcome::{Failed, Passed};
        let good = record(&[(Level::Restore, Passed), (Level::Checksum, Passed)]);
        assert_eq!(good.deepest_pass().unwrap().0, &Level::Restore);
        assert_eq!(record(&[(Level::Checksum, Passed), (Level::Archive, Failed)]).deepest_pass(), None);
    }
}
