//! Looking for the snapshot of a creation that no answer named.
//!
//! It is looked for for as long as the server may be making it, and no longer: a server that was restarted, or that says that it
//! is making none, has nothing to wait for. The heartbeat moves only while it says that it is at work, so that a wait in
//! vain is seen from outside.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::status::Creating;

use super::error::BackupError;
use super::node::Part;
use super::run::Run;
use super::signs::{Sign, sign};
use crate::qdrant::{Error, Snapshot, SnapshotList, Subject};

/// A snapshot stamped this close to our request, by the server's clock or by ours, is taken for ours at once.
const STAMP_TOLERANCE: TimeDelta = TimeDelta::seconds(2);
/// Between looks at the list: short at first, for most cut answers follow short creations.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LONGEST_LOOK: Duration = Duration::from_secs(30);
/// For so long the server must say that it is making none: a request may have been on its way.
const IDLE_PROOF: Duration = Duration::from_secs(3);
/// After this time a new snapshot with a strange stamp is taken for ours on a server that does not tell what it does, and one that
/// could not be reached meanwhile is taken for restarted.
const UNKNOWN_PROOF: Duration = Duration::from_secs(60);
/// How long is waited for a server that does not tell, at least, and against what backing the collection up took last.
const SHORTEST_WAIT: Duration = Duration::from_secs(10 * 60);
const WAIT_FACTOR: f64 = 4.0;

/// What looking for it came to.
#[derive(Debug)]
pub enum Looked {
    /// It is there. Where several may be it, all of them are in `others`.
    Found {
        /// The one to use.
        snapshot: Snapshot,
        /// All that may be it; empty when there is one.
        others: Vec<Snapshot>,
    },
    /// It is not there.
    Nothing {
        /// Whether none will appear any more.
        certain: bool,
        /// What to say of that.
        failure: BackupError,
    },
}

/// Looks for what a creation that failed with `cause` left in the list.
///
/// # Errors
/// An interruption, and that the collection does not exist.
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
        // First, so that what ends between the two is in the list.
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
            // A stamp is strange when a clock is wrong, or when it is another tool's: ours may be on its way.
            if !fresh.all.is_empty() && wait.is_none_under_way() {
                return Ok(found(run, creating, fresh.all));
            }
        }
        if let Some(certain) = over {
            return Ok(Looked::Nothing { certain, failure: wait.failure(certain) });
        }
        client.pause(pause.min(wait.left())).await?;
        // What is about to be given up is looked at often.
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

/// How long it is worth waiting.
struct Wait<'a> {
    cause: &'a Error,
    requested: Instant,
    since: Instant,
    create_timeout: Duration,
    /// How long a server is waited for that does not tell what it does.
    patience: Duration,
    /// Since when the server says that it is making none.
    idle_since: Option<Instant>,
    /// Since when it does not tell.
    unknown_since: Option<Instant>,
    same_process: bool,
    was_silent: bool,
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
            restarted: false,
        }
    }

    /// Takes note of what the server shows, and says when that is the end, and whether none will appear any more.
    fn look(&mut self, sign: Sign, listed: bool) -> Option<bool> {
        self.was_silent |= sign == Sign::Silent || !listed;
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

    /// Whether a snapshot that is not ours by its stamp is the only one to come, as far as can be told.
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
        // It may have been a proxy that could not be reached, so that is no proof.
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

/// What is new in a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Fresh {
    /// All that bears a name as Qdrant gives it, oldest first.
    pub all: Vec<Snapshot>,
    /// Those of them that were begun when we asked, as far as the clocks tell.
    pub near: Vec<Snapshot>,
}

impl Fresh {
    /// What `list` has that was not there before the creation.
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

    /// Those that may be ours: by the clocks where these tell, else whatever is new.
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
        // Made in the same second as one that was there before, it has that one's name.
        let replaced = snapshot("a-1-2026-11-23-00-53-51.snapshot", "5");
        assert_eq!(candidates(&creating, std::slice::from_ref(&replaced)), [replaced]);
        assert_eq!(candidates(&creating, &[old]), []);
        // Whatever a proxy says that the time is, our own clock may be right; and when none is, new is new.
        creating.requested_at_server = Some("1999-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(candidates(&creating, &all), [ours.clone(), late]);
        creating.requested_at = "2026-11-23T00:53:54Z".parse().unwrap();
        assert_eq!(candidates(&creating, &all)[0], ours);
    }
}
