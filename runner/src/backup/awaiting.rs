//! Looks for the snapshot of a request that got no answer.
//!
//! The wait lasts as long as the server may be creating it. It ends when the server was restarted, or reports that it is not
//! creating one. The heartbeat only advances while the server reports that it is working, so that a useless wait is visible from
//! outside.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::status::Creating;

use super::error::BackupError;
use super::node::Part;
use super::run::Run;
use super::signs::{Sign, sign};
use crate::qdrant::{Error, Snapshot, SnapshotList, Subject};

/// A snapshot with a timestamp this close to our request, by the server's clock or ours, counts as ours at once.
const STAMP_TOLERANCE: TimeDelta = TimeDelta::seconds(2);
/// Interval between requests for the list. Short at first, because most lost answers belong to fast snapshots.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LONGEST_LOOK: Duration = Duration::from_secs(30);
/// The server must report for this long that it is not creating one, because a request may still be on its way.
const IDLE_PROOF: Duration = Duration::from_secs(3);
/// If a server does not report what it is doing, then after this time a new snapshot with an unexpected timestamp counts as ours,
/// and a server that was unreachable in between counts as restarted.
const UNKNOWN_PROOF: Duration = Duration::from_secs(60);
/// Waiting time for a server that does not report: the minimum, and a multiple of the last backup's duration.
const SHORTEST_WAIT: Duration = Duration::from_secs(10 * 60);
const WAIT_FACTOR: f64 = 4.0;

/// Result of the search.
#[derive(Debug)]
pub enum Looked {
    /// Found. If there are several candidates, all of them are in `others`.
    Found {
        /// The one to use.
        snapshot: Snapshot,
        /// All candidates. Empty if there is only one.
        others: Vec<Snapshot>,
    },
    /// Not found.
    Nothing {
        /// Whether none will appear later.
        certain: bool,
        /// Whether the list could be read at all since the request.
        was_listed: bool,
        /// Why no snapshot can be used.
        failure: BackupError,
    },
}

/// Looks in the list for the snapshot of a request that failed with `cause`.
///
/// # Errors
/// An interruption, or a missing collection.
pub async fn look_for(
    run: &Run<'_>,
    part: &Part,
    creating: &Creating,
    requested: Instant,
    cause: &Error,
) -> Result<Looked, Error> {
    let client = part.node.client.asking_once();
    let mut wait = Wait::begin(run, creating, requested, cause);
    let mut pause = FIRST_LOOK;
    loop {
        // First, so that a snapshot that finishes in between is in the list.
        let sign = sign(run, part, &client).await;
        let list = match client.snapshots(&part.subject).await {
            Ok(list) => Some(list),
            Err(error) if error.is_not_found() || matches!(error, Error::Interrupted) => return Err(error),
            Err(error) => {
                tracing::debug!("{error}");
                None
            }
        };
        if sign == Sign::Working {
            run.session.heartbeat();
        }
        let over = wait.look(sign, list.is_some());
        if let Some(list) = &list {
            let fresh = Fresh::of(creating, list);
            if !fresh.near.is_empty() {
                return Ok(found(run, creating, fresh.near));
            }
            // A timestamp is unexpected if a clock is wrong, or if the snapshot belongs to another tool and ours is still in
            // progress.
            if !fresh.all.is_empty() && wait.is_none_under_way() {
                return Ok(found(run, creating, fresh.all));
            }
        }
        if let Some(certain) = over {
            let (was_listed, failure) = (wait.was_listed, wait.failure(certain));
            return Ok(Looked::Nothing { certain, was_listed, failure });
        }
        client.pause(pause.min(wait.left())).await?;
        // Check often before giving up.
        pause = if wait.idle_since.is_some() { FIRST_LOOK } else { (pause * 2).min(LONGEST_LOOK) };
    }
}

fn found(run: &Run<'_>, creating: &Creating, mut found: Vec<Snapshot>) -> Looked {
    if found.len() == 1 {
        return Looked::Found { snapshot: found.remove(0), others: Vec::new() };
    }
    let snapshot = found[0].clone();
    run.session.warn(format!(
        "{} snapshots of {} appeared, but only one was requested: using {}, deleting none",
        found.len(),
        Subject::from(creating),
        snapshot.name
    ));
    Looked::Found { snapshot, others: found }
}

/// Decides how long to wait.
struct Wait<'a> {
    cause: &'a Error,
    requested: Instant,
    since: Instant,
    create_timeout: Duration,
    /// How long to wait for a server that does not report what it is doing.
    patience: Duration,
    /// Since when the server reports that it is not creating a snapshot.
    idle_since: Option<Instant>,
    /// Since when it does not report.
    unknown_since: Option<Instant>,
    same_process: bool,
    was_silent: bool,
    was_listed: bool,
    restarted: bool,
}

impl<'a> Wait<'a> {
    fn begin(run: &Run<'_>, creating: &Creating, requested: Instant, cause: &'a Error) -> Self {
        let create_timeout = run.context.client.create_timeout();
        let took = run.session.status(|status| {
            let last = status.collections.get(&creating.collection)?;
            last.last_duration_seconds.filter(|_| last.last_outcome == Some(Outcome::Success))
        });
        let patience = took
            .and_then(|seconds| Duration::try_from_secs_f64(seconds * WAIT_FACTOR).ok())
            .map_or(create_timeout, |scaled| scaled.max(SHORTEST_WAIT));
        Self {
            cause,
            requested,
            since: Instant::now(),
            create_timeout,
            patience,
            idle_since: None,
            unknown_since: None,
            same_process: false,
            was_silent: false,
            was_listed: false,
            restarted: false,
        }
    }

    /// Evaluates the signs of the server. Returns whether to stop, and whether none will appear later.
    fn look(&mut self, sign: Sign, listed: bool) -> Option<bool> {
        self.was_silent |= sign == Sign::Silent || !listed;
        self.was_listed |= listed;
        self.restarted |= sign == Sign::Restarted;
        let now = Instant::now();
        self.idle_since = (sign == Sign::Idle && listed).then(|| self.idle_since.unwrap_or(now));
        match sign {
            Sign::Unknown { same_process } => {
                self.unknown_since.get_or_insert(now);
                self.same_process = same_process;
            }
            Sign::Working | Sign::Idle | Sign::Restarted => self.unknown_since = None,
            Sign::Silent => {}
        }
        if self.restarted && listed && sign != Sign::Working {
            return Some(true);
        }
        if self.left().is_zero() {
            return Some(false);
        }
        if self.is_idle() {
            return Some(true);
        }
        let answered =
            self.cause.is_answered() && self.since.elapsed() >= IDLE_PROOF && sign != Sign::Working;
        (answered && listed).then_some(false)
    }

    fn is_idle(&self) -> bool {
        self.idle_since.is_some_and(|since| since.elapsed() >= IDLE_PROOF)
    }

    /// Whether a snapshot with an unexpected timestamp is probably the only one.
    fn is_none_under_way(&self) -> bool {
        let unknown = self.unknown_since.is_some_and(|since| since.elapsed() >= UNKNOWN_PROOF);
        self.restarted || self.is_idle() || unknown || self.left().is_zero()
    }

    fn left(&self) -> Duration {
        let left = self.create_timeout.saturating_sub(self.requested.elapsed());
        let Some(unknown_since) = self.unknown_since else { return left };
        if self.same_process {
            return left;
        }
        // Perhaps only a proxy was unreachable, so this is not a proof.
        let probably_restarted = self.was_silent && !self.cause.is_answered();
        let patience = if probably_restarted {
            UNKNOWN_PROOF.saturating_sub(unknown_since.elapsed())
        } else {
            self.patience.saturating_sub(self.requested.elapsed())
        };
        left.min(patience)
    }

    fn failure(&self, certain: bool) -> BackupError {
        if self.cause.is_answered() {
            return self.cause.clone().into();
        }
        let cause = self.cause.clone();
        match certain {
            true => BackupError::NotBeingMade { restarted: self.restarted, cause },
            false => BackupError::NeverAppeared { limit: self.requested.elapsed(), cause },
        }
    }
}

/// New entries in a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Fresh {
    /// All with a name in Qdrant's format, oldest first.
    pub all: Vec<Snapshot>,
    /// Those that were started at the time of our request, according to the clocks.
    pub near: Vec<Snapshot>,
}

impl Fresh {
    /// The entries of `list` that did not exist before the request.
    pub fn of(creating: &Creating, list: &SnapshotList) -> Self {
        let known = |snapshot: &Snapshot| {
            creating
                .listed_before
                .iter()
                .any(|before| before.name == snapshot.name.as_str() && before.checksum == snapshot.checksum)
        };
        let subject = Subject::from(creating);
        let stamp = |snapshot: &Snapshot| snapshot.name.stamped_at(&subject);
        let mut all: Vec<Snapshot> = list
            .snapshots
            .iter()
            .filter(|snapshot| stamp(snapshot).is_some() && !known(snapshot))
            .cloned()
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        let clocks = [creating.requested_at_server, Some(creating.requested_at)];
        let is_near = |snapshot: &&Snapshot| {
            let stamp = stamp(snapshot);
            clocks
                .iter()
                .flatten()
                .any(|asked| stamp.is_some_and(|stamp| (stamp - *asked).abs() <= STAMP_TOLERANCE))
        };
        let near = all.iter().filter(is_near).cloned().collect();
        Self { all, near }
    }

    /// Those that may be ours: according to the clocks, otherwise all new ones.
    pub fn candidates(self) -> Vec<Snapshot> {
        if self.near.is_empty() { self.all } else { self.near }
    }
}

#[cfg(test)]
mod tests {
    use qdrant_backup_shared::CollectionName;
    use qdrant_backup_shared::status::ListedSnapshot;

    use super::*;
    use crate::qdrant::SnapshotName;

    fn snapshot(name: &str, digit: &str) -> Snapshot {
        Snapshot {
            name: SnapshotName::new(name).unwrap(),
            size_bytes: 1,
            checksum: Some(digit.repeat(64).parse().unwrap()),
        }
    }

    fn candidates(creating: &Creating, snapshots: &[Snapshot]) -> Vec<Snapshot> {
        Fresh::of(creating, &SnapshotList { snapshots: snapshots.to_vec(), server_time: None }).candidates()
    }

    #[test]
    fn what_is_new_is_a_candidate_and_clocks_only_tell_several_apart() {
        let old = snapshot("a-1-2026-11-23-00-53-51.snapshot", "1");
        let mut creating = Creating {
            collection: CollectionName::new("a").unwrap(),
            shard_id: None,
            node_url: "http://x/".to_owned(),
            requested_at: "2001-01-01T00:00:00Z".parse().unwrap(),
            requested_at_server: Some("2026-11-23T00:53:52.4Z".parse().unwrap()),
            listed_before: vec![ListedSnapshot { name: old.name.to_string(), checksum: old.checksum }],
        };
        let ours = snapshot("a-1-2026-11-23-00-53-54.snapshot", "2");
        let late = snapshot("a-1-2026-11-23-00-53-56.snapshot", "3");
        let foreign = snapshot("nightly.snapshot", "4");
        let all = [old.clone(), late.clone(), ours.clone(), foreign];
        assert_eq!(candidates(&creating, &all), std::slice::from_ref(&ours));
        // If it was created in the same second as an existing snapshot, it has the same name.
        let replaced = snapshot("a-1-2026-11-23-00-53-51.snapshot", "5");
        assert_eq!(candidates(&creating, std::slice::from_ref(&replaced)), [replaced]);
        assert_eq!(candidates(&creating, &[old]), []);
        // If a proxy's time is wrong, our own clock may be right. If both are wrong, every new snapshot counts.
        creating.requested_at_server = Some("1999-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(candidates(&creating, &all), [ours.clone(), late]);
        creating.requested_at = "2026-11-23T00:53:54Z".parse().unwrap();
        assert_eq!(candidates(&creating, &all)[0], ours);
    }
}
