//! The findings of a check, and the resulting state of the backup.

use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::text::one_line;
use qdrant_backup_shared::verification::{CheckOutcome, Finding};

/// Severity of a finding, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Unusual, but harmless.
    Oddity,
    /// This program does not support it.
    Unsupported,
    /// No result, because of the disk.
    Inconclusive,
    /// The backup is bad.
    Failed,
}

/// The findings of one check.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    findings: Vec<(Weight, Finding)>,
    gravest: Option<(Weight, FailureKind)>,
}

impl Verdict {
    pub(super) fn add(
        &mut self,
        weight: Weight,
        failure: FailureKind,
        kind: &str,
        message: impl std::fmt::Display,
    ) {
        let finding = Finding { kind: kind.to_owned(), message: one_line(&message.to_string()) };
        self.findings.push((weight, finding));
        // Of several findings with the same severity, the first is the reason.
        if self.gravest.as_ref().is_none_or(|(gravest, _)| weight > *gravest) {
            self.gravest = Some((weight, failure));
        }
    }

    /// Whether the backup is known to be bad.
    pub(super) fn failed(&self) -> bool {
        self.gravest.as_ref().is_some_and(|(weight, _)| *weight == Weight::Failed)
    }

    /// The outcome, the reason if it is not a pass, and the findings, the most severe first.
    pub(super) fn finish(mut self) -> (CheckOutcome, Option<FailureKind>, Vec<Finding>) {
        let (outcome, failure) = match self.gravest {
            None | Some((Weight::Oddity, _)) => (CheckOutcome::Passed, None),
            Some((Weight::Unsupported, kind)) => (CheckOutcome::Unsupported, Some(kind)),
            Some((Weight::Inconclusive, kind)) => (CheckOutcome::Inconclusive, Some(kind)),
            Some((Weight::Failed, kind)) => (CheckOutcome::Failed, Some(kind)),
        };
        self.findings.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        (outcome, failure, self.findings.into_iter().map(|(_, finding)| finding).collect())
    }
}
