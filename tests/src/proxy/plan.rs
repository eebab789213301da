//! The planned fault, and the requests so far.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::fault::Fault;
use super::trap::Trap;

/// A received request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// HTTP method.
    pub method: String,
    /// Its path and query.
    pub path: String,
}

/// State shared by all connections of the proxies of one server.
pub struct Shared {
    plan: Mutex<Plan>,
    /// The target of redirects.
    pub trap: Trap,
    /// Notifies when connections are to be refused.
    pub refusing: watch::Sender<bool>,
}

/// The planned fault and the requests so far.
#[derive(Default)]
pub struct Plan {
    /// The requests in order of arrival.
    pub seen: Vec<Seen>,
    /// The first affected request, and the fault.
    pub fault: Option<(usize, Fault)>,
    /// The number of affected requests.
    pub struck: usize,
}

impl Seen {
    /// Identifies the request: method and path without the query, with a star for each part that differs between
    /// runs.
    pub fn kind(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        let changes = |part: &str| part.chars().any(|character| character.is_ascii_digit());
        let parts = path.split('/').map(|part| if changes(part) { "*" } else { part });
        format!("{} {}", self.method, parts.collect::<Vec<_>>().join("/"))
    }
}

impl Shared {
    /// No requests and no fault.
    pub fn new() -> Self {
        Self { plan: Mutex::default(), trap: Trap::set(), refusing: watch::Sender::new(false) }
    }

    /// Locks the plan.
    pub fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request and returns the fault that applies to it.
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
