//! The checks after every fault.

use e2e::Ran;
use e2e::supervised::{Action, Call, Watched};
use qdrant_backup_shared::operation::Outcome;
use qdrant_backup_shared::run_report::RunReport;
use qdrant_backup_shared::{FailureKind, Status, status_journal};
use rustix::io::Errno;

use super::cases::Case;
use super::scenarios::Scenario;
use super::stage::{Backups, Stage};

/// A scenario and its result without a fault.
pub struct Expected {
    pub scenario: Scenario,
    pub prepared: Stage,
    pub before: Backups,
    pub after: Backups,
    /// The previous run, if there was one.
    pub last_run: Option<String>,
}

fn status(stage: &Stage) -> Option<Status> {
    status_journal::read(&stage.place.layout()).ok().map(|kept| kept.status)
}

pub fn last_run(stage: &Stage) -> Option<String> {
    Some(status(stage)?.last_run?.run_id)
}

/// Fails unless the program exited correctly and left a correct state.
pub fn judge(case: &Case, expected: &Expected, stage: &Stage, watched: &Watched) {
    let ran = &watched.ran;
    ends_plainly(ran);
    let succeeded = ran.code == Some(0);
    assert!(succeeded || case.errno() != Errno::INTR, "an interrupted call is repeated");
    if succeeded {
        let after = stage.backups();
        let (kept, wanted) = (lengths(&after), lengths(&expected.after));
        // Unreadable backups are not pruned, and the program reports that.
        let is_more = kept.iter().zip(&wanted).all(|(kept, wanted)| kept.0 == wanted.0 && kept.1 >= wanted.1);
        let is_said = ran.stderr.contains("] WARN: ") && ran.stderr.contains(&text(case));
        assert!(kept == wanted || is_more && is_said, "it reported success, but {kept:?} is not {wanted:?}");
        assert!(!is_sync_of_backups(case) || is_said, "it did not report that a sync failed");
        (expected.scenario.promise)(stage);
    } else {
        says_why(case, ran);
    }
    if expected.scenario.name != "init" {
        listing_is_true(expected, stage);
        if expected.scenario.is_run {
            status_is_true(case, expected, stage, ran);
        }
        server_is_known(stage);
    }
    next_repairs(case, expected, stage);
}

/// Whether the call makes backups durable: archives, records, and the names in their directories. The status, in the backup
/// directory itself, is written again.
fn is_sync_of_backups(case: &Case) -> bool {
    let Call { name, pattern, .. } = &case.call;
    name == "fsync" && pattern != "backups" && !pattern.contains("status.json")
}

fn lengths(backups: &Backups) -> Vec<(&str, usize)> {
    backups.iter().map(|(name, ids)| (name.as_str(), ids.len())).collect()
}

/// It exited on its own with an exit code, without a panic or similar messages.
fn ends_plainly(ran: &Ran) {
    let code = ran.code.expect("a signal ended it");
    assert!([0, 1, 3, 4, 75, 78].contains(&code), "exit code {code}");
    for foul in ["panicked", "RUST_BACKTRACE", "stack backtrace", "error in this program"] {
        assert!(!ran.stderr.contains(foul), "{foul:?} was printed");
    }
    for line in ran.stderr.lines() {
        assert!(line.starts_with('['), "not a log line: {line:?}");
        assert!(line.len() < 1000, "a long line: {line}");
    }
}

/// It printed an error with the disk's error text.
fn says_why(case: &Case, ran: &Ran) {
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("] ERROR: ")).collect();
    assert!(!errors.is_empty(), "it failed without an error message");
    // restic prints the same text in lower case.
    let (text, said) = (text(case).to_lowercase(), format!("{}{}", ran.stderr, ran.stdout).to_lowercase());
    assert!(said.contains(&text), "{text:?} was not printed");
}

/// The error text of the disk.
fn text(case: &Case) -> String {
    let text = std::io::Error::from(case.errno()).to_string();
    text.split(" (os error").next().expect("a text").to_owned()
}

/// Everything listed as good is good, and no good backup is missing that would exist without the fault.
fn listing_is_true(expected: &Expected, stage: &Stage) {
    stage.place.run(&["list", "--json"]).success();
    let now = stage.backups();
    for (name, ids) in &expected.before {
        let kept = &expected.after[name];
        for id in ids.iter().filter(|id| kept.contains(id)) {
            assert!(now.get(name).is_some_and(|now| now.contains(id)), "backup {id} of {name} is missing");
        }
    }
}

/// The status reports this run with an outcome that matches the exit code, or does not report it at all.
fn status_is_true(case: &Case, expected: &Expected, stage: &Stage, ran: &Ran) {
    let Some(status) = status(stage) else {
        assert_ne!(ran.code, Some(0), "it succeeded, but there is no status");
        return;
    };
    let may_lack =
        expected.scenario.status_may_lack && ran.stderr.contains("monitoring will not see this run");
    let told = status.last_run.filter(|run| Some(&run.run_id) != expected.last_run.as_ref());
    let Some(run) = told else {
        assert!(may_lack || ran.code != Some(0), "it succeeded, but the status does not report that");
        return;
    };
    assert!(status.current_run.is_none(), "it has ended");
    match ran.code {
        Some(0) => assert_eq!(run.outcome, Outcome::Success),
        Some(3) => assert_eq!(run.outcome, Outcome::Partial),
        _ => {
            // The status may have failed to be written before it was finally written. The run then fails for that
            // reason.
            let unwritten = ran.stderr.contains("status file could not be written");
            assert!(
                unwritten || run.outcome != Outcome::Success,
                "it failed, but the status reports a success"
            );
        }
    }
    let kinds = kinds(&run);
    let is_full = [Errno::NOSPC, Errno::DQUOT].contains(&case.errno());
    if is_full && !kinds.is_empty() {
        assert!(kinds.contains(&FailureKind::NoSpace), "{kinds:?}");
    }
    if !is_full {
        assert!(!kinds.contains(&FailureKind::NoSpace), "{kinds:?}");
    }
    for never in [FailureKind::Internal, FailureKind::Unreachable, FailureKind::HttpStatus] {
        assert!(!kinds.contains(&never), "{kinds:?}");
    }
}

fn kinds(run: &RunReport) -> Vec<FailureKind> {
    let of = |operation: &qdrant_backup_shared::run_report::OperationReport| {
        let collections = operation.collections.iter().filter_map(|one| one.failure.clone());
        operation
            .failure
            .clone()
            .into_iter()
            .chain(collections)
            .map(|failure| failure.kind)
            .collect::<Vec<_>>()
    };
    run.operations.iter().flat_map(of).collect()
}

/// Every snapshot of ours on the server is on record.
fn server_is_known(stage: &Stage) {
    let left = stage.servers.snapshots();
    let Some(status) = status(stage) else {
        assert_eq!(left, Vec::<String>::new(), "on the server, but there is no status");
        return;
    };
    let known = serde_json::to_string(&status).expect("JSON");
    let unknown: Vec<&String> = left.iter().filter(|name| !known.contains(name.as_str())).collect();
    assert!(
        unknown.is_empty() || !status.unanswered_creations.is_empty() || known.contains("\"creating\""),
        "{unknown:?} are on the server but not on record"
    );
}

/// The next run succeeds, and leaves everything good and no leftovers.
fn next_repairs(case: &Case, expected: &Expected, stage: &Stage) {
    match expected.scenario.name {
        "init" => drop(stage.place.run(&["init"]).success()),
        // The remains of a scratch collection are on record and wait for the next drill.
        "drill" => drop(stage.place.run(&["drill", "--on-source"]).success()),
        _ => {}
    }
    stage.place.run(&["run"]).success();
    assert_eq!(stage.place.temporary(), Vec::<String>::new());
    assert_eq!(stage.servers.snapshots(), Vec::<String>::new(), "on the server after the next run");
    let status = status(stage).expect("a status");
    assert_eq!(status.undeleted_snapshots, []);
    assert_eq!(status.pruning, []);
    assert!(status.current_run.is_none());
    stage.backups();
    // If nothing can be removed either, the same files remain as after a kill.
    let may_stay = matches!(case.action, Action::FailsFromThenOn(_));
    assert!(may_stay || stage.place.catalog().orphans.is_empty(), "{:?}", stage.place.catalog().orphans);
}
