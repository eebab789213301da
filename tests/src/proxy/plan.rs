//! Which request is to be spoiled, and which ones came.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::fault::Fault;
use super::trap::Trap;

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// HTTP method.
    pub method: String,
    /// Its path and query.
    pub path: String,
}

/// What all connections of the proxies of one server share.
pub struct Shared {
    plan: Mutex<Plan>,
    /// Where redirects lead.
    pub trap: Trap,
    /// Changes when connections are to be refused.
    pub refusing: watch::Sender<bool>,
}

/// What is to go wrong, and what came so far.
#[derive(Default)]
pub struct Plan {
    /// The requests, in the order of their arrival.
    pub seen: Vec<Seen>,
    /// From which request on, or with which, this goes wrong.
    pub fault: Option<(usize, Fault)>,
    /// With how many it did.
    pub struck: usize,
}

impl Seen {
    /// What is asked for: the method and the path without its query, with a star for each part that differs from run to run.
    pub fn kind(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        let changes = |part: &str| part.chars().any(|character| character.is_ascii_digit());
        let parts = path.split('/').map(|part| if changes(part) { "*" } else { part });
        format!("{} {}", self.method, parts.collect::<Vec<_>>().join("/"))
    }
}

impl Shared {
    /// Nothing came yet, and nothing goes wrong.
    pub fn new() -> Self {
        Self { plan: Mutex::default(), trap: Trap::set(), refusing: watch::Sender::new(false) }
    }

    /// Faults that are planned, and requests that came, locked.
    pub fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, and says what is to go wrong with it.
    pub fn arrived(&self, seen: Seen) -> Option<Fault> {
        let mut plan = self.plan();
        let number = plan.seen.len();
        plan.seen.push(seen);
        let (at, fault) = plan.fault.clone()?;
        let strikes = if fault.lasting { number >= at } else { number == at };
        plan.struck += usize::from(strikes);
        strikes.then_some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_again_in_another_run() {
        let kind = |path: &str| Seen { method: "GET".to_owned(), path: path.to_owned() }.kind();
        assert_eq!(
            kind("/collections/docs/snapshots/docs-83-2026-01-01.snapshot?x=1"),
            "GET /collections/docs/snapshots/*"
        );
        assert_eq!(kind("/collections/docs/points/count"), "GET /collections/docs/points/count");
    }
}
