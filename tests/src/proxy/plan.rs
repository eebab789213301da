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

/// Which request of a run a fault is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    /// By its number in order of arrival, counted from 0.
    Number(usize),
    /// By its [`Seen::kind`], and how many of this kind come before it. A request that comes earlier or later in one
    /// run than in another is still found.
    Kind(String, usize),
}

/// The planned fault and the requests so far.
#[derive(Default)]
pub struct Plan {
    /// The requests in order of arrival.
    pub seen: Vec<Seen>,
    /// The first affected request, and the fault.
    pub fault: Option<(Aim, Fault)>,
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

impl Aim {
    /// Whether the fault is for `seen`, which arrived after the requests `before`.
    fn is_for(&self, seen: &Seen, before: &[Seen]) -> bool {
        match self {
            Self::Number(at) => before.len() == *at,
            Self::Kind(kind, nth) => {
                let alike = before.iter().filter(|earlier| earlier.kind() == *kind).count();
                seen.kind() == *kind && alike == *nth
            }
        }
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
        let planned = plan
            .fault
            .clone()
            .filter(|(aim, fault)| (fault.lasting && plan.struck > 0) || aim.is_for(&seen, &plan.seen));
        plan.seen.push(seen);
        plan.struck += usize::from(planned.is_some());
        planned.map(|(_, fault)| fault)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::What;
    use super::*;

    #[test]
    fn a_fault_is_for_the_same_request_when_another_one_comes_first() {
        let shared = Shared::new();
        let seen = |method: &str, path: &str| Seen { method: method.to_owned(), path: path.to_owned() };
        let strikes = |aim: Aim, lasting: bool| {
            let fault = Fault { what: What::Status(500), forwarded: false, lasting };
            *shared.plan() = Plan { fault: Some((aim, fault)), ..Plan::default() };
            [seen("GET", "/a"), seen("GET", "/b"), seen("GET", "/b?x=1"), seen("GET", "/c")]
                .map(|seen| shared.arrived(seen).is_some())
        };
        assert_eq!(strikes(Aim::Number(1), false), [false, true, false, false]);
        assert_eq!(strikes(Aim::Kind("GET /b".to_owned(), 1), false), [false, false, true, false]);
        assert_eq!(strikes(Aim::Kind("GET /b".to_owned(), 0), true), [false, true, true, true]);
        assert_eq!(strikes(Aim::Kind("GET /d".to_owned(), 0), true), [false; 4]);
    }

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
