//! The rules: each checks one aspect of the observation and adds findings.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::catalog::CLOCKS;
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::status::{CollectionStatus, OperationStatus, Status};
use qdrant_backup_shared::text::{number_of, shortened};

use super::super::parts::{BackupReport, CollectionReport};
use super::super::words;
use super::finding::{Finding, Kind, Severity};
use crate::observe::Observation;

/// A run without a heartbeat for this long has stalled or died.
const SILENCE: TimeDelta = TimeDelta::minutes(10);

/// The time, and the findings so far.
pub(super) struct Judge {
    pub(super) now: DateTime<Utc>,
    pub(super) findings: Vec<Finding>,
}

impl Judge {
    pub(super) fn find(&mut self, severity: Severity, kind: Kind, text: impl Into<String>) {
        let document = format!("docs/exporter.md#{}", kind.name());
        self.findings.push(Finding { kind, severity, text: text.into(), document });
    }

    /// Like [`Judge::find`], about collections, if there are any. Their names are added to the text.
    fn find_of(
        &mut self,
        severity: Severity,
        kind: Kind,
        those: &[&CollectionReport],
        text: impl fmt::Display,
    ) {
        if !those.is_empty() {
            let names = words::names(those.iter().map(|collection| collection.collection.as_str()));
            self.find(severity, kind, format!("{text}: {names}"));
        }
    }

    pub(super) fn directory(&mut self, observation: &Observation) {
        let directory = &observation.directory;
        let text = match (&directory.value, &directory.problem) {
            (_, Some(problem)) => format!("The backup directory has a problem: {problem}"),
            (None, None) => "Nothing is known about the backup directory".to_owned(),
            (Some(_), None) => return,
        };
        let severity = if directory.value.is_none() { Severity::Critical } else { Severity::Unknown };
        self.find(severity, Kind::DirectoryUnreadable, text);
    }

    pub(super) fn status(&mut self, observation: &Observation) {
        let status = &observation.status;
        if let Some(problem) = &status.problem {
            let text = format!("The runner's status has a problem: {problem}");
            self.find(Severity::Unknown, Kind::StatusUnreadable, text);
        } else if status.value.is_none() && observation.directory.value.is_none() {
            // If nothing is visible, it is unknown whether a run ever happened.
        } else if !status.value.as_deref().is_some_and(|status| {
            status.operations.get(&Operation::Backup).is_some_and(|backup| backup.last_attempt_at.is_some())
                || status.current_run.as_ref().is_some_and(|run| run.operation == Operation::Backup)
        }) {
            self.find(Severity::Critical, Kind::NeverRan, "There is no trace of any backup run");
        }
        // The status file's own problem was already reported above.
        let others: Vec<_> = observation
            .problems
            .iter()
            .filter(|unreadable| status.problem.as_ref() != Some(&unreadable.problem))
            .collect();
        if let Some(first) = others.first() {
            let number = number_of(others.len(), "file");
            let text = format!("{number} cannot be read, the first: {}", shortened(&first.problem, 200));
            self.find(Severity::Warning, Kind::FilesUnreadable, text);
        }
    }

    pub(super) fn collections(
        &mut self,
        observation: &Observation,
        collections: &[CollectionReport],
        status: Option<&Status>,
    ) {
        let all: Vec<_> = collections.iter().collect();
        let expected = those(&all, CollectionReport::is_expected);
        if expected.is_empty() && observation.directory.value.is_some() {
            self.find(Severity::Unknown, Kind::NoCollection, "No collection is known");
        }
        // Unreadable files may be backups, so nothing counts as missing.
        if observation.directory.success() {
            self.missing(&expected);
        }
        self.condition(&all);
        self.age(&expected, status);
        self.verified(&expected);
        let gone = those(&all, |of| of.on_server == Some(false) && !of.retired && !of.history.is_empty());
        let text = "No longer on the server, its backups are kept";
        self.find_of(Severity::Warning, Kind::CollectionGone, &gone, text);
    }

    fn missing(&mut self, expected: &[&CollectionReport]) {
        let none = those(expected, |of| of.newest.is_none());
        let text = format!("{} without a good backup", number_of(none.len(), "collection"));
        self.find_of(Severity::Critical, Kind::NoBackup, &none, text);
        let claimed = those(expected, |of| {
            let claimed = of.history.last().zip(of.last_success_at);
            claimed.is_some_and(|(last, claimed)| last.started_at < claimed - TimeDelta::seconds(1))
        });
        let text = "The newest backup is missing";
        self.find_of(Severity::Critical, Kind::BackupMissing, &claimed, text);
    }

    fn condition(&mut self, collections: &[&CollectionReport]) {
        type Bad = fn(&CollectionReport) -> u64;
        let failed: Bad = |of| of.verification_failed_backups;
        let incomplete: Bad = |of| of.incomplete_backups;
        for (kind, bad, what) in [
            (Kind::VerificationFailed, failed, "failed verification"),
            (Kind::Incomplete, incomplete, "incomplete"),
        ] {
            let with = those(collections, |of| bad(of) > 0);
            let text = match with.iter().map(|of| bad(of)).sum() {
                1 => format!("1 backup {what}"),
                number => format!("{} backups {what}", words::count(number)),
            };
            self.find_of(severity(&with), kind, &with, text);
        }
    }

    fn age(&mut self, expected: &[&CollectionReport], status: Option<&Status>) {
        let now = self.now;
        let newest = |of: &CollectionReport| of.newest.as_ref().map(|newest| newest.started_at);
        let future = those(expected, |of| newest(of).is_some_and(|at| at > now + CLOCKS));
        let text = "The newest backup is from the future, so its age is unknown";
        self.find_of(Severity::Unknown, Kind::FutureTimestamp, &future, text);
        let passed_over = those(expected, |of| {
            let last = of.history.last().map(|last| last.started_at);
            last > newest(of) && last.is_some_and(|last| last > now + CLOCKS)
        });
        let text = "A backup is from the future, because a clock was wrong, and is not counted as the newest";
        self.find_of(Severity::Warning, Kind::FutureTimestamp, &passed_over, text);
        let Some(status) = status else { return };
        let backup = status.operations.get(&Operation::Backup);
        let interval =
            backup.and_then(|backup| backup.schedule_interval_seconds).filter(|interval| *interval > 0.0);
        let Some(interval) = interval else {
            let mut text = "No schedule is known, so it is unknown whether a backup is late".to_owned();
            if let Some(oldest) = oldest(expected) {
                let oldest = words::ago(oldest.started_at, now);
                text.push_str(&format!("; the oldest of the newest backups was made {oldest}"));
            }
            return self.find(Severity::Unknown, Kind::NoSchedule, text);
        };
        let late =
            those(expected, |of| newest(of).is_some_and(|at| (now - at).as_seconds_f64() > 2.0 * interval));
        let Some(oldest) = oldest(&late) else { return };
        let (age, every) = (words::duration(oldest.age_seconds), words::duration(interval));
        if late.len() == expected.iter().filter(|of| of.newest.is_some()).count() {
            let text = format!("No collection has a backup younger than {age}, but one is due every {every}");
            self.find(Severity::Critical, Kind::TooOld, text);
        } else {
            let text = format!("No backup for {age}, but one is due every {every}");
            self.find_of(Severity::Critical, Kind::TooOld, &late, text);
        }
    }

    fn verified(&mut self, expected: &[&CollectionReport]) {
        let unverified =
            those(expected, |of| of.newest.as_ref().is_some_and(|newest| newest.verified_level.is_none()));
        if !unverified.is_empty() && unverified.len() == expected.len() {
            let text = format!("{}, not verified", summary_of(expected, self.now));
            self.find(Severity::Warning, Kind::NotVerified, text);
        } else {
            let text = "The newest backup is not verified";
            self.find_of(Severity::Warning, Kind::NotVerified, &unverified, text);
        }
    }

    pub(super) fn runs(&mut self, status: &Status, observation: &Observation) {
        for (operation, history) in &status.operations {
            self.operation(operation, history, status);
        }
        if let Some(run) = &status.current_run {
            let silent = self.now - run.heartbeat_at;
            let since = words::ago(run.started_at, self.now);
            if silent > SILENCE {
                let text = format!(
                    "A run ({}) started {since} and has made no progress for {}: it hangs or died",
                    run.operation,
                    words::duration(silent.as_seconds_f64())
                );
                self.find(Severity::Critical, Kind::RunStalled, text);
            } else {
                let of = run.collection.as_ref().map(|name| format!(" of {}", words::name(name.as_str())));
                let text = format!(
                    "A run ({}) started {since} and is at: {}{}",
                    run.operation,
                    run.stage,
                    of.unwrap_or_default()
                );
                self.find(Severity::Notice, Kind::Running, text);
            }
        }
        if let Some(skipped) = &observation.last_skipped {
            let success = status.operations.get(&Operation::Backup).and_then(|backup| backup.last_success_at);
            if success.is_none_or(|success| success < skipped.skipped_at) {
                let text = format!(
                    "A run ({}) was skipped {}, because another one was in progress, and none has succeeded since",
                    shortened(&skipped.command, 40),
                    words::ago(skipped.skipped_at, self.now)
                );
                self.find(Severity::Warning, Kind::RunSkipped, text);
            }
        }
    }

    /// A refused start leaves no other trace, so it is also reported if nothing ever ran.
    pub(super) fn refused(&mut self, observation: &Observation, status: Option<&Status>) {
        let Some(refused) = &observation.last_refused else { return };
        let backup = status.and_then(|status| status.operations.get(&Operation::Backup));
        // A backup that started later was not refused, whatever its outcome.
        let begun = backup.and_then(|backup| backup.last_attempt_at);
        if begun.is_none_or(|begun| begun < refused.refused_at) {
            let text = format!(
                "A start ({}) was refused {}, and no backup has started since: {}",
                shortened(&refused.command, 40),
                words::ago(refused.refused_at, self.now),
                shortened(&refused.reason, 300)
            );
            self.find(Severity::Warning, Kind::StartRefused, text);
        }
    }

    fn operation(&mut self, operation: &Operation, history: &OperationStatus, status: &Status) {
        let Some(outcome) = history.last_outcome.as_ref().filter(|outcome| **outcome != Outcome::Success)
        else {
            return;
        };
        let failed: Vec<_> = if *operation == Operation::Backup {
            // Failures of earlier runs do not count for this one.
            let earlier = |of: &CollectionStatus| {
                of.last_attempt_at.zip(history.last_attempt_at).is_some_and(|(its, last)| its < last)
            };
            let collections = status.collections.iter().filter(|(_, of)| !earlier(of));
            collections.filter_map(|(name, of)| Some((name, of.failure.as_ref()?))).collect()
        } else {
            Vec::new()
        };
        let kinds: Vec<String> = history.failures.keys().map(ToString::to_string).collect();
        let why = match (failed.first(), &history.failure) {
            (Some((name, failure)), _) => format!(
                ": {} of {} failed, the first: {}: {}",
                failed.len(),
                number_of(status.collections.len(), "collection"),
                words::name(name.as_str()),
                shortened(&failure.message, 200)
            ),
            (None, Some(failure)) => format!(": {}", shortened(&failure.message, 300)),
            (None, None) if kinds.is_empty() => String::new(),
            (None, None) => format!(" ({})", shortened(&kinds.join(", "), 200)),
        };
        let text = format!("The last run ({operation}) ended as {outcome}{why}");
        // The server is empty or another one: later backups contain other data.
        let source_changed =
            history.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::SourceChanged);
        let severity = if *operation == Operation::Restore {
            // A failed manual restore does not mean that the backups are bad.
            Severity::Notice
        } else if *operation == Operation::Backup && (history.last_success_at.is_none() || source_changed) {
            Severity::Critical
        } else {
            Severity::Warning
        };
        self.find(severity, Kind::RunFailed, text);
    }

    pub(super) fn server(&mut self, status: &Status) {
        if status.source_changed {
            let text = "The server is not the one that these backups came from; nothing is pruned";
            self.find(Severity::Critical, Kind::SourceChanged, text);
        }
        let left = status.undeleted_snapshots.len() + status.suspected_leftovers.len();
        if left > 0 && status.current_run.is_none() {
            let text = format!("{} left on the server", number_of(left, "snapshot"));
            self.find(Severity::Notice, Kind::ServerLeftovers, text);
        }
    }

    /// Unresolved damage, and collections without a recent copy in a place.
    pub(super) fn copies(&mut self, status: &Status, collections: &[CollectionReport]) {
        for (name, place) in status.offsite.iter().filter(|(_, place)| place.is_damaged()) {
            let problem = place.check_problem.as_deref().unwrap_or("see the log");
            let text = format!("The copies in {name} are damaged: {}", shortened(problem, 200));
            self.find(Severity::Critical, Kind::CopiesDamaged, text);
        }
        let history = status.operations.get(&Operation::Offsite);
        let Some(interval) = history.and_then(|history| history.schedule_interval_seconds) else { return };
        let copying = status.current_run.as_ref().is_some_and(|run| run.operation == Operation::Offsite);
        for name in status.offsite.keys() {
            let late: Vec<String> = collections
                .iter()
                .filter(|collection| collection.on_server == Some(true))
                .filter(|collection| {
                    let copies = collection.copies.iter().find(|copies| copies.place == *name);
                    match copies.and_then(|copies| copies.newest_at) {
                        Some(at) => (self.now - at).as_seconds_f64() > 2.0 * interval,
                        None => !copying,
                    }
                })
                .map(|collection| words::name(collection.collection.as_str()))
                .collect();
            if !late.is_empty() {
                let text = format!("No recent copy in {name}: {}", shortened(&late.join(", "), 300));
                self.find(Severity::Critical, Kind::CopiesTooOld, text);
            }
        }
    }

    pub(super) fn storage(&mut self, observation: &Observation, collections: &[CollectionReport]) {
        if let Some(problem) = &observation.storage.problem {
            return self.find(
                Severity::Unknown,
                Kind::StorageUnknown,
                format!("The free space on the disk is unknown: {problem}"),
            );
        }
        let Some(storage) = observation.storage.value.as_deref() else {
            let text = "The file system does not report its free space, so a full disk is noticed only when a write fails";
            return self.find(Severity::Notice, Kind::StorageUnknown, text);
        };
        let next: u64 = collections
            .iter()
            .filter(|collection| collection.is_expected())
            .filter_map(|collection| collection.newest.as_ref())
            .map(|newest| newest.size_bytes)
            .fold(0, u64::saturating_add);
        if storage.avail_bytes < next.saturating_add(next / 5) {
            let text = format!(
                "The next backups will not fit: {} are free, and the last ones took {}",
                words::bytes(storage.avail_bytes),
                words::bytes(next)
            );
            self.find(Severity::Critical, Kind::StorageTooSmall, text);
        }
    }
}

/// The collections for which `is` returns true.
fn those<'a>(
    collections: &[&'a CollectionReport],
    is: impl Fn(&CollectionReport) -> bool,
) -> Vec<&'a CollectionReport> {
    collections.iter().copied().filter(|collection| is(collection)).collect()
}

/// The severity of bad backups: lower if each collection has a newer good one.
fn severity(collections: &[&CollectionReport]) -> Severity {
    let has_newer_good = |collection: &&CollectionReport| {
        let bad =
            collection.history.iter().filter(|backup| ["incomplete", "failed"].contains(&&*backup.condition));
        let newest_bad = bad.map(|backup| backup.started_at).max();
        collection.newest.as_ref().is_some_and(|good| newest_bad.is_none_or(|bad| good.started_at > bad))
    };
    if collections.iter().all(has_newer_good) { Severity::Warning } else { Severity::Critical }
}

/// The headline if there are no findings.
pub(super) fn summary(collections: &[CollectionReport], now: DateTime<Utc>) -> String {
    let expected: Vec<_> = collections.iter().filter(|collection| collection.is_expected()).collect();
    format!("{}, verified", summary_of(&expected, now))
}

/// The age of the backups of these collections in words.
fn summary_of(expected: &[&CollectionReport], now: DateTime<Utc>) -> String {
    let ago = oldest(expected).map(|oldest| words::ago(oldest.started_at, now)).unwrap_or_default();
    match expected {
        [only] => format!("{} backed up {ago}", words::name(only.collection.as_str())),
        several => format!("All {} backed up {ago}", number_of(several.len(), "collection")),
    }
}

/// The oldest of the newest backups.
fn oldest<'a>(collections: &[&'a CollectionReport]) -> Option<&'a BackupReport> {
    collections
        .iter()
        .filter_map(|collection| collection.newest.as_ref())
        .min_by_key(|newest| newest.started_at)
}
