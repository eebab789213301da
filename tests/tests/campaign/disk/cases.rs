//! Which faults are applied to which calls.

use std::collections::BTreeSet;
use std::fmt;

use e2e::campaign::Extent;
use e2e::supervised::{Action, Call};
use rustix::io::Errno;

/// One fault at one call.
pub struct Case {
    pub scenario: usize,
    pub call: Call,
    pub action: Action,
}

/// The errors that a disk can return for this call.
fn errors(name: &str) -> &'static [Errno] {
    match name {
        "create" => &[Errno::NOSPC, Errno::DQUOT, Errno::MFILE, Errno::IO, Errno::ROFS, Errno::ACCESS],
        "openat" => &[Errno::MFILE, Errno::IO, Errno::ACCESS, Errno::STALE],
        "write" | "pwrite64" | "writev" => &[Errno::NOSPC, Errno::IO, Errno::DQUOT, Errno::ROFS, Errno::INTR],
        "fsync" | "fdatasync" => &[Errno::IO, Errno::NOSPC, Errno::DQUOT],
        "sync_file_range" | "fallocate" | "ftruncate" => &[Errno::IO, Errno::NOSPC],
        "renameat2" | "linkat" => &[Errno::IO, Errno::NOSPC, Errno::ROFS, Errno::ACCESS],
        "fchmod" | "fchmodat" | "fchown" | "fchownat" => &[Errno::IO, Errno::ROFS, Errno::PERM],
        "mkdirat" => &[Errno::NOSPC, Errno::IO, Errno::ROFS, Errno::ACCESS],
        "unlinkat" | "utimensat" => &[Errno::IO, Errno::ROFS, Errno::ACCESS],
        "read" | "pread64" => &[Errno::IO, Errno::STALE, Errno::INTR],
        "flock" => &[Errno::IO, Errno::NOLCK, Errno::INTR],
        "getdents64" | "statx" | "fstat" | "statfs" | "fstatfs" => &[Errno::IO, Errno::STALE],
        other => panic!("the errors of {other} are not defined"),
    }
}

/// The errors that persist once a disk has returned them.
fn lasting(name: &str) -> &'static [Errno] {
    match name {
        "create" | "write" | "pwrite64" | "writev" | "mkdirat" | "linkat" | "fallocate" => {
            &[Errno::NOSPC, Errno::ROFS, Errno::IO]
        }
        "renameat2" | "unlinkat" | "fchmod" | "ftruncate" => &[Errno::ROFS, Errno::IO],
        _ => &[Errno::IO],
    }
}

/// Whether this call changes nothing.
fn looks(name: &str) -> bool {
    ["openat", "read", "pread64", "getdents64", "statx", "fstat", "statfs", "fstatfs", "flock"]
        .contains(&name)
}

/// Every fault at these calls of a scenario.
pub fn at(scenario: usize, mut calls: Vec<Call>) -> Vec<Case> {
    // Sorted, because threads may make calls in any order and the cases must be the same each time.
    calls.sort();
    let case = |call: &Call, action| Case { scenario, call: call.clone(), action };
    let mut cases = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        // Reading calls are numerous and similar: the first at a path fails in every way, the others in one way each.
        let all = errors(&call.name);
        let one = number % all.len();
        let all = if looks(&call.name) && call.which > 1 { &all[one..=one] } else { all };
        cases.extend(all.iter().map(|error| case(call, Action::Fails(error.raw_os_error()))));
        if looks(&call.name) && number % 3 > 0 {
            continue;
        }
        let lasting = lasting(&call.name).iter();
        cases.extend(lasting.map(|error| case(call, Action::FailsFromThenOn(error.raw_os_error()))));
    }
    cases
}

/// The selected cases: every kind of fault at least once, and for syncs at every path.
pub fn chosen(cases: Vec<Case>, extent: Extent, one_in: usize) -> Vec<Case> {
    let mut kinds = BTreeSet::new();
    let mut number = 0;
    let mut tries = |case: &Case| {
        number += 1;
        let Call { name, pattern, .. } = &case.call;
        let path = if name == "fsync" { pattern.clone() } else { String::new() };
        kinds.insert((name.clone(), path, format!("{:?}", case.action))) || extent.tries(number, one_in)
    };
    cases.into_iter().filter(|case| tries(case)).collect()
}

/// The numbers below `count` in an order that spreads evenly over all of them, so that a campaign that is stopped
/// early has tried cases of every kind.
pub fn spread(count: usize) -> Vec<usize> {
    // A prime that does not divide the length of any list of cases.
    const STRIDE: usize = 7919;
    assert!(count == 0 || !count.is_multiple_of(STRIDE), "another stride is needed");
    (0..count).map(|number| number * STRIDE % count).collect()
}

impl Case {
    /// The error of the call.
    pub fn errno(&self) -> Errno {
        match self.action {
            Action::Fails(error) | Action::FailsFromThenOn(error) => Errno::from_raw_os_error(error),
            Action::WritesAtMost(_) | Action::Meanwhile(_) => panic!("{self} is not a failure"),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { name, pattern, which } = &self.call;
        write!(f, "{name} #{which} of {pattern:?}: {:?}", self.action)
    }
}
