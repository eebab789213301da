//! Users of this machine that a test needs.

use rustix::process::{Resource, Rlimit, setrlimit};

/// The user and the group `nobody`.
pub const NOBODY: u32 = 65_534;

/// Whether the test runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails a test that needs two users unless it runs as root, so that it is never skipped silently.
///
/// # Panics
/// Unless this is root.
#[track_caller]
pub fn need_root() {
    assert!(is_root(), "only root can be two users: run this test as root");
}

/// Lets programs started from here write core dumps of any size, up to the hard limit.
///
/// # Panics
/// Unless this is root.
pub fn allow_core_dumps() {
    let unlimited = Rlimit { current: None, maximum: None };
    setrlimit(Resource::Core, unlimited).expect("root may raise any limit");
}
