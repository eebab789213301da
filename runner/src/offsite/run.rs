//! The offsite operation: one place after the other. A failure at one does not stop the others.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use indicatif::HumanBytes;
use qdrant_backup_shared::catalog::{Backup, Unreadable};
use qdrant_backup_shared::operation::{Operation, Outcome, Stage};
use qdrant_backup_shared::place_status::{PlaceStatus, RoundEnd};
use qdrant_backup_shared::run_report::{CopiedBackup, NotCopied, PlaceReport};
use qdrant_backup_shared::text::{number_of, one_line};
use qdrant_backup_shared::verification::CheckOutcome;
use qdrant_backup_shared::{CollectionName, Failure, FailureKind};
use tokio_util::sync::CancellationToken;

use super::check::{check, shares};
use super::copy::copy;
use super::error::OffsiteError;
use super::holds::carry_hold;
use super::listing::Listing;
use super::locks::alone;
use super::records::{by_key, note_checked, reconcile, write};
use super::restic::Restic;
use super::retention::{Planned, forget_expired, forget_snapshots};
use super::tags::Key;
use crate::choice::Selection;
use crate::host::console::Console;
use crate::prune::PruneContext;
use crate::prune::retention::Policies;
use crate::session::Session;
use crate::store::lock::ReadersLock;

/// How much is read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nothing.
    None,
    /// One share, according to the configuration of each place and the interval of runs.
    Share {
        /// The time between two runs.
        interval: Duration,
    },
    /// Everything.
    All,
}

/// The work at each place.
#[derive(Debug, Clone)]
pub struct Work {
    /// Whether to copy missing backups.
    pub copy: bool,
    /// How much is read back.
    pub check: Check,
    /// Whether to apply retention.
    pub forget: bool,
    /// Whether to remove unused data now, not only when it is due.
    pub prune: bool,
    /// Whether more than half of a collection's copies may be deleted at once.
    pub yes: bool,
}

/// One place and its retention.
#[derive(Debug, Clone)]
pub struct Offsite {
    /// restic for it.
    pub restic: Restic,
    /// The rules of retention. Without rules, everything is kept.
    pub policies: Option<Policies>,
    /// Number of days after which all copies of a deleted collection expire.
    pub gone_after_days: Option<NonZeroU32>,
}

/// Everything that the operation is given.
#[derive(Debug)]
pub struct OffsiteContext {
    /// Places to work on, in this order.
    pub places: Vec<Offsite>,
    /// The names of all configured places, for the status.
    pub configured: Vec<String>,
    /// The work at each place.
    pub work: Work,
    /// The progress display.
    pub console: Console,
    /// Cancels the work.
    pub interrupt: CancellationToken,
}

/// What to do about damage.
const ADVICE_DAMAGED: &str = "read docs/runbook.md#qdrantbackupoffsitecheckfailed before you delete anything";

/// How often to advance the heartbeat while restic works.
const BEAT: Duration = Duration::from_millis(100);

/// Processes every place, and records the outcome in the session.
pub fn offsite(session: &mut Session, context: &OffsiteContext) {
    let configured = &context.configured;
    let begun = session.begin(Operation::Offsite, Stage::Copy, |status| {
        status.offsite.retain(|name, _| configured.contains(name));
        for name in configured {
            status.offsite.entry(name.clone()).or_default();
        }
    });
    let mut reports = Vec::new();
    let mut failure = session
        .read_again()
        .err()
        .map(|error| Failure { kind: FailureKind::Io, message: one_line(&error.to_string()) });
    for place in &context.places {
        if failure.is_some() {
            break;
        }
        if context.interrupt.is_cancelled() {
            failure = Some(OffsiteError::Interrupted.to_failure());
            break;
        }
        let report = at_place(session, context, place);
        if report.outcome == Outcome::Interrupted {
            failure = Some(OffsiteError::Interrupted.to_failure());
        }
        reports.push(report);
        // Records and offsite-only backups have changed.
        if let Err(error) = session.read_again() {
            session.warn(error.to_string());
        }
    }
    session.end_places(begun, reports, failure);
}

/// Processes one place, and reports the outcome.
fn at_place(session: &mut Session, context: &OffsiteContext, place: &Offsite) -> PlaceReport {
    let (begun, begun_at) = (Instant::now(), session.now());
    let name = place.restic.settings().name().to_owned();
    let mut report = PlaceReport::new(&name);
    let mut at = AtPlace { session, context, place, report: &mut report };
    let failure = at.work().err();
    if let Some(error) = failure {
        report.failure = Some(error.to_failure());
    }
    report.duration_seconds = begun.elapsed().as_secs_f64();
    report.outcome = match &report.failure {
        Some(failure) if failure.kind == FailureKind::Interrupted => Outcome::Interrupted,
        Some(_) if report.copied.is_empty() => Outcome::Failed,
        Some(_) => Outcome::Partial,
        None if report.not_copied.is_empty() => Outcome::Success,
        None => Outcome::Partial,
    };
    let mut failures: BTreeMap<FailureKind, u64> = BTreeMap::new();
    for failure in report.all_failures() {
        *failures.entry(failure.kind.clone()).or_insert(0) += 1;
    }
    let first = report.all_failures().next().cloned();
    let (outcome, seconds) = (report.outcome.clone(), report.duration_seconds);
    let append_only = place.restic.settings().place.append_only;
    let ended_at = session.now();
    // Only counts if copying was tried.
    let copies = context.work.copy;
    let has_pruned = context.work.forget && report.failure.is_none();
    amend(session, &name, |status| {
        status.append_only = append_only;
        if copies {
            status.enter(begun_at, ended_at, seconds, outcome, failures, first);
        } else if has_pruned {
            status.settle_refused_prune();
        }
    });
    report
}

fn amend(session: &mut Session, place: &str, change: impl FnOnce(&mut PlaceStatus)) {
    session.amend_status(|status| change(status.offsite.entry(place.to_owned()).or_default()));
}

/// Runs a long restic operation while advancing the heartbeat.
fn beating<T: Send>(session: &mut Session, work: impl FnOnce() -> T + Send) -> Option<T> {
    let dispatcher = tracing::dispatcher::get_default(Clone::clone);
    thread::scope(|scope| {
        let working = scope.spawn(|| tracing::dispatcher::with_default(&dispatcher, work));
        while !working.is_finished() {
            thread::sleep(BEAT);
            session.heartbeat();
        }
        working.join().ok()
    })
}

fn died() -> OffsiteError {
    OffsiteError::Local {
        what: "working with restic".to_owned(),
        source: std::io::Error::other("a thread died; this is a bug in qdrant-backup"),
    }
}

struct AtPlace<'a> {
    session: &'a mut Session,
    context: &'a OffsiteContext,
    place: &'a Offsite,
    report: &'a mut PlaceReport,
}

impl AtPlace<'_> {
    fn work(&mut self) -> Result<(), OffsiteError> {
        let restic = &self.place.restic;
        restic.version()?;
        // Every command needs a lock, which a leftover lock of a killed run may prevent.
        let repository = alone(restic, self.session.now(), || restic.repository_id())?;
        let mut listing = alone(restic, self.session.now(), || Listing::read(restic))?;
        self.reconcile(&repository, &listing)?;
        let work = &self.context.work;
        // Of what decides about the copies. A later look may succeed.
        let all_known = if work.copy { self.all_known() } else { Ok(()) };
        let copied = if work.copy { self.copy_all(&repository, &listing) } else { Ok(()) };
        if matches!(copied, Err(OffsiteError::Interrupted)) {
            return copied;
        }
        let carried = match copied {
            Ok(()) if work.copy => self.carry_holds(&listing),
            _ => Ok(false),
        };
        let holds_changed = matches!(carried, Ok(true));
        let copied = copied.and(carried.map(drop));
        // A failure of one does not affect the others, unless the place is unreachable.
        let checked = match &copied {
            Err(_) => Ok(()),
            Ok(()) => self.check(),
        };
        let pruned = match (&copied, &checked) {
            (Ok(()), Ok(())) => {
                if !self.report.copied.is_empty() || holds_changed {
                    listing = Listing::read(restic)?;
                    self.look_again();
                }
                self.tidy(&listing)
            }
            // Nothing is deleted if data may be damaged or could not be copied.
            _ => Ok(()),
        };
        copied.and(checked).and(pruned).and(all_known)
    }

    /// A backup whose manifest or verification record cannot be read may be missing there.
    fn all_known(&self) -> Result<(), OffsiteError> {
        let unreadable = &self.session.catalog().unreadable;
        Unreadable::first_and_more(unreadable).map_or(Ok(()), |told| Err(OffsiteError::Manifest(told)))
    }

    fn look_again(&mut self) {
        if let Err(error) = self.session.read_again() {
            self.session.warn(error.to_string());
        }
    }

    fn reconcile(&mut self, repository: &str, listing: &Listing) -> Result<(), OffsiteError> {
        let id = self.session.repository().repository_id.clone();
        let (layout, catalog) = (self.session.layout(), self.session.catalog());
        let found = reconcile(&self.place.restic, layout, catalog, &id, repository, listing)?;
        let name = self.place.restic.settings().name();
        if found.adopted > 0 {
            tracing::info!("Listed {} again, only in {name}", number_of(found.adopted, "backup"));
        }
        if found.held > 0 {
            tracing::info!("Placed {} again, as {name} has it", number_of(found.held, "hold"));
        }
        for warning in found.warnings {
            self.session.warn(format!("place {name}: {warning}"));
        }
        self.look_again();
        Ok(())
    }

    /// The backups to copy, oldest first: good ones that are missing there, and that retention would not delete at once.
    fn due(&self, listing: &Listing) -> Vec<Backup> {
        let id = &self.session.repository().repository_id;
        let place = self.place.restic.settings().name();
        let mut due = Vec::new();
        for (collection, backups) in &self.session.catalog().collections {
            let is_there =
                |backup: &Backup| listing.copies.contains_key(&Key::new(id, collection, backup.backup_id));
            let missing: Vec<&Backup> =
                backups.iter().filter(|backup| backup.is_good() && !is_there(backup)).collect();
            if missing.is_empty() {
                continue;
            }
            let all = backups.iter().filter(|backup| is_there(backup) || backup.is_good());
            let all: Vec<Backup> = all.map(|backup| backup.as_copy(place)).collect();
            let planned = self.retention(collection, &all);
            due.extend(
                missing
                    .into_iter()
                    .filter(|backup| planned.as_ref().is_none_or(|plan| plan.keeps(backup)))
                    .cloned(),
            );
        }
        due.sort_by_key(|backup| (backup.started_at, backup.backup_id));
        due
    }

    fn retention(&self, collection: &CollectionName, copies: &[Backup]) -> Option<Planned> {
        let context = self.prune_context()?;
        Some(Planned::of(&context, collection, copies, Some(self.session.status()), self.session.now()))
    }

    fn prune_context(&self) -> Option<PruneContext> {
        Some(PruneContext {
            policies: self.place.policies.clone()?,
            gone_after_days: self.place.gone_after_days,
            // A copy is not replaced by those in other places.
            places: Vec::new(),
            selection: Selection::default(),
            yes: self.context.work.yes,
            interrupt: self.context.interrupt.clone(),
        })
    }

    fn copy_all(&mut self, repository: &str, listing: &Listing) -> Result<(), OffsiteError> {
        // Prevents deletion of archives while they are read.
        let readers = self.session.layout().readers_file();
        let _readers =
            ReadersLock::share(&readers).map_err(|error| OffsiteError::Unreadable(error.to_string()))?;
        for backup in self.due(listing) {
            self.place.restic.go_on()?;
            self.session.enter_stage(Stage::Copy, &backup.collection);
            self.session.show_status();
            match self.copy_one(repository, &backup) {
                Ok(()) => {}
                Err(error) if error.is_of_one() => {
                    let failure = error.to_failure();
                    let (collection, id) = (&backup.collection, backup.backup_id);
                    tracing::error!("Copying {collection} {id} failed: {}", failure.message);
                    self.report.not_copied.push(NotCopied {
                        collection: (**collection).clone(),
                        backup_id: id,
                        failure,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the holds in the place the same as here. Whether something changed there.
    fn carry_holds(&mut self, listing: &Listing) -> Result<bool, OffsiteError> {
        if !self.report.copied.is_empty() {
            // The new copies have records now.
            self.look_again();
        }
        let restic = &self.place.restic;
        let (layout, now) = (self.session.layout(), self.session.now());
        let mut changed = false;
        for (key, backup) in by_key(self.session.catalog(), &self.session.repository().repository_id) {
            if backup.copy_in(restic.settings().name()).is_some() {
                let there = listing.copies.get(&key).and_then(|copy| copy.hold.as_ref());
                changed |= carry_hold(restic, layout, &key, backup, there, now)?;
            }
        }
        Ok(changed)
    }

    fn copy_one(&mut self, repository: &str, backup: &Backup) -> Result<(), OffsiteError> {
        let begun = Instant::now();
        let layout = self.session.layout().clone();
        let id = self.session.repository().repository_id.clone();
        let whole = backup.whole(&layout).map_err(|error| OffsiteError::Manifest(error.to_string()))?;
        let bar = self.context.console.transfer(&backup.collection, backup.snapshot_size_bytes);
        let session = &mut *self.session;
        let made = copy(&self.place.restic, &layout, &id, &whole, &mut |count| {
            bar.inc(count);
            session.heartbeat();
        });
        bar.finish_and_clear();
        let made = made?;
        let name = self.place.restic.settings().name();
        let record = made.record(&whole, name, repository, self.session.now());
        write(&layout.offsite(&backup.collection, backup.backup_id, name), &record)?;
        let seconds = begun.elapsed().as_secs_f64();
        tracing::info!(
            "Copied {} {} to {name}: {}, of which {} were new data, in {seconds:.1} s",
            backup.collection,
            backup.backup_id,
            HumanBytes(backup.snapshot_size_bytes),
            HumanBytes(made.added_bytes)
        );
        let added_bytes = made.added_bytes;
        amend(self.session, name, |status| {
            status.added_bytes_total = status.added_bytes_total.saturating_add(added_bytes);
        });
        self.report.copied.push(CopiedBackup {
            collection: (*backup.collection).clone(),
            backup_id: backup.backup_id,
            added_bytes,
            snapshot_size_bytes: backup.snapshot_size_bytes,
            duration_seconds: seconds,
        });
        Ok(())
    }

    fn check(&mut self) -> Result<(), OffsiteError> {
        let restic = &self.place.restic;
        let shares = match (self.context.work.check, restic.settings().place.check) {
            (Check::None, _) | (Check::Share { .. }, None) => return Ok(()),
            (Check::All, _) => 1,
            (Check::Share { interval }, Some(within)) => shares(within, interval),
        };
        let name = restic.settings().name().to_owned();
        let begun_at = self.session.now();
        let (share, of) =
            self.session.status().offsite.get(&name).cloned().unwrap_or_default().next_share(shares);
        if let Some(run) = self.session.status().current_run.as_ref().and_then(|run| run.collection.clone()) {
            self.session.enter_stage(Stage::Verify, &run);
        }
        self.session.show_status();
        let found =
            beating(self.session, || check(restic, share, of, begun_at)).unwrap_or_else(|| Err(died()));
        let at = self.session.now();
        match found {
            Ok(()) => {
                self.report.checked = Some(CheckOutcome::Passed);
                let mut end = RoundEnd::Goes;
                amend(self.session, &name, |status| end = status.enter_sound(begun_at, at, share, of));
                if of == 1 {
                    tracing::info!("Read back everything in {name}: no damage found");
                } else {
                    tracing::info!("Read back share {share} of {of} in {name}: no damage found");
                }
                if let RoundEnd::Complete(by) = end {
                    self.look_again();
                    note_checked(self.session.layout(), self.session.catalog(), &name, Some((by, at)))?;
                }
                Ok(())
            }
            Err(OffsiteError::Damaged(problem)) => {
                self.report.checked = Some(CheckOutcome::Failed);
                amend(self.session, &name, |status| status.enter_damaged(at, &problem));
                self.look_again();
                note_checked(self.session.layout(), self.session.catalog(), &name, None)?;
                Err(OffsiteError::Damaged(problem))
            }
            Err(error) => {
                self.report.checked = Some(CheckOutcome::Inconclusive);
                Err(error)
            }
        }
    }

    /// Applies retention, and removes unused data.
    fn tidy(&mut self, listing: &Listing) -> Result<(), OffsiteError> {
        let work = &self.context.work;
        let restic = &self.place.restic;
        let settings = restic.settings();
        if settings.place.append_only || !(work.forget || work.prune) {
            return Ok(());
        }
        let name = settings.name();
        let status = self.session.status().offsite.get(name).cloned().unwrap_or_default();
        if status.is_damaged() {
            let kept = format!("nothing is deleted in {name}, because data there is damaged");
            if work.prune {
                return Err(OffsiteError::Kept(format!("{kept}; {ADVICE_DAMAGED}")));
            }
            self.session.warn(kept);
            return Ok(());
        }
        let now = self.session.now();
        let id = self.session.repository().repository_id.clone();
        let expired = match self.prune_context() {
            Some(context) => forget_expired(
                restic,
                self.session.layout(),
                self.session.catalog(),
                &id,
                listing,
                &context,
                Some(self.session.status()),
                now,
                &mut self.report.forgotten,
            ),
            None => Ok(()),
        };
        if !matches!(expired, Ok(()) | Err(OffsiteError::Kept(_))) {
            return expired;
        }
        let leftovers: Vec<&str> = listing
            .leftovers
            .iter()
            .filter(|(key, _)| key.repository_id == id)
            .map(|(_, snapshot)| snapshot.as_str())
            .collect();
        if !leftovers.is_empty() {
            forget_snapshots(restic, &leftovers, now)?;
            tracing::info!("Removed {} without a copy in {name}", number_of(leftovers.len(), "snapshot"));
        }
        if work.prune || self.prune_is_due(&status, now) {
            self.session.show_status();
            let pruned = beating(self.session, || alone(restic, now, || restic.call(&["prune"])));
            pruned.unwrap_or_else(|| Err(died()))?;
            self.report.pruned = true;
            tracing::info!("Removed the data in {name} that no copy needs");
            amend(self.session, name, |status| status.last_prune_at = Some(now));
        }
        expired
    }

    /// Whether a prune is due since the last one, or since the first use of the place.
    fn prune_is_due(&mut self, status: &PlaceStatus, now: DateTime<Utc>) -> bool {
        let settings = self.place.restic.settings();
        let Some(last) = status.last_prune_at else {
            let name = settings.name().to_owned();
            amend(self.session, &name, |status| status.last_prune_at = Some(now));
            return false;
        };
        settings.prune.next_after(last).is_some_and(|next| next <= now)
    }
}
