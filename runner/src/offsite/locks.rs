//! restic's locks, which are respected. Only a lock of a dead process of ours is removed.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::error::OffsiteError;
use super::restic::Restic;

/// Age at which restic treats any lock as stale, so that `restic unlock` removes it. With some margin.
const STALE: TimeDelta = TimeDelta::minutes(25);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Lock {
    time: DateTime<Utc>,
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    pid: i64,
}

/// The identity of this machine and user.
pub(super) struct Us {
    pub(super) hostname: String,
    pub(super) username: String,
}

/// Runs `work`, which needs an exclusive lock. If a stale lock of ours prevents this, removes the lock and tries once more.
///
/// # Errors
/// As `work`, with [`OffsiteError::Locked`] if another process has a lock.
pub(super) fn alone<T>(
    restic: &Restic,
    now: DateTime<Utc>,
    work: impl Fn() -> Result<T, OffsiteError>,
) -> Result<T, OffsiteError> {
    match work() {
        Err(locked @ OffsiteError::Locked { .. }) => {
            if !may_unlock(restic, now)? {
                return Err(locked);
            }
            tracing::warn!("Removing a lock at {} that a dead run of ours left", restic.settings().name());
            restic.call(&["unlock"])?;
            work()
        }
        done => done,
    }
}

/// Whether `restic unlock` would remove some locks, and only ours.
fn may_unlock(restic: &Restic, now: DateTime<Utc>) -> Result<bool, OffsiteError> {
    let listed = restic.call(&["list", "locks", "--no-lock"])?;
    let mut locks = Vec::new();
    for id in String::from_utf8_lossy(&listed).split_whitespace() {
        let cat = restic.call(&["cat", "lock", id, "--no-lock"])?;
        locks.push(serde_json::from_slice::<Lock>(&cat).map_err(|error| OffsiteError::Answer {
            command: "cat lock",
            why: qdrant_backup_shared::text::one_line(&error.to_string()),
        })?);
    }
    let us = Us {
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        username: uzers::get_user_by_uid(uzers::get_effective_uid())
            .map(|user| user.name().to_string_lossy().into_owned())
            .unwrap_or_default(),
    };
    Ok(all_stale_are_ours(&locks, &us, now, is_alive))
}

fn is_alive(pid: i64) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

pub(super) fn all_stale_are_ours(
    locks: &[Lock],
    us: &Us,
    now: DateTime<Utc>,
    is_alive: impl Fn(i64) -> bool,
) -> bool {
    let is_here = |lock: &&Lock| lock.hostname == us.hostname;
    let is_gone = |lock: &&Lock| is_here(lock) && !is_alive(lock.pid);
    let would_go = |lock: &&Lock| is_gone(lock) || now - lock.time >= STALE;
    let is_ours = |lock: &Lock| is_gone(&lock) && lock.username == us.username;
    let mut going = locks.iter().filter(would_go).peekable();
    going.peek().is_some() && going.all(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(minutes: i64, hostname: &str, username: &str, pid: i64) -> Lock {
        let now: DateTime<Utc> = "2025-07-15T14:30:00Z".parse().unwrap();
        let (hostname, username) = (hostname.to_owned(), username.to_owned());
        Lock { time: now - TimeDelta::minutes(minutes), hostname, username, pid }
    }

    #[test]
    fn only_where_everything_that_would_go_is_ours_anything_goes() {
        let us = Us { hostname: "db".to_owned(), username: "backup".to_owned() };
        let now: DateTime<Utc> = "2025-07-15T14:30:00Z".parse().unwrap();
        let judged = |locks: &[Lock]| all_stale_are_ours(locks, &us, now, |pid| pid == 1);
        assert!(judged(&[lock(1, "db", "backup", 2)]), "ours, and gone");
        assert!(
            judged(&[lock(1, "db", "backup", 2), lock(1, "other", "x", 7)]),
            "a living one elsewhere stays"
        );
        assert!(!judged(&[]));
        assert!(!judged(&[lock(1, "db", "backup", 1)]), "it is at work");
        assert!(!judged(&[lock(1, "db", "else", 2)]), "another user's");
        assert!(!judged(&[lock(1, "other", "backup", 2)]), "another machine's");
        assert!(!judged(&[lock(1, "db", "backup", 2), lock(60, "other", "x", 7)]), "unlock would take both");
        assert!(!judged(&[lock(60, "db", "backup", 1)]), "it is at work, however old");
    }
}
