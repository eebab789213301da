//! The verdict: whether the backups are well, and if not, what is wrong. A pure function of the observation and the
//! time.
//!
//! Every rule can add findings; the worst one is the headline. There are no findings only if everything that must be
//! known is known and good.

mod finding;
mod judge;

use chrono::{DateTime, Utc};

pub use finding::{Finding, Kind, Severity, Verdict};

use self::judge::{Judge, summary};
use super::parts::CollectionReport;
use crate::observe::Observation;

/// Computes the verdict.
pub(super) fn verdict(
    observation: &Observation,
    collections: &[CollectionReport],
    now: DateTime<Utc>,
) -> Verdict {
    let mut judge = Judge { now, findings: Vec::new() };
    judge.directory(observation);
    judge.status(observation);
    let status = observation.status.value.as_deref();
    judge.collections(observation, collections, status);
    judge.refused(observation, status);
    if let Some(status) = status {
        judge.runs(status, observation);
        judge.server(status);
        judge.copies(status, collections);
    }
    judge.storage(observation, collections);
    let mut findings = judge.findings;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let severity = findings.first().map_or(Severity::Fine, |worst| worst.severity);
    let headline = match findings.first() {
        Some(worst) if severity > Severity::Notice => worst.text.clone(),
        _ => summary(collections, now),
    };
    Verdict { severity, headline, findings }
}
