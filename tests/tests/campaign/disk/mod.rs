//! Failing disks: at every file system call of a command, with every error that a disk can return.

mod cases;
mod judge;
mod real;
mod scenarios;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use e2e::campaign::{Extent, Tally};
use e2e::supervised::{Action, Call, Watched, watched};

use cases::Case;
use judge::{Expected, judge, last_run};
use scenarios::Scenario;
use stage::Stage;

/// Threads that run cases.
const AT_ONCE: usize = 3;
/// A short campaign runs one in this many cases.
const ONE_IN: usize = 60;
/// How often a case is repeated if the run does not make its call, because threads ran in another order.
const ATTEMPTS: usize = 3;

/// Cases between two progress messages.
const TOLD: usize = 200;

/// If set, only cases whose text contains this run, to repeat one.
const ONLY: &str = "QDRANT_BACKUP_CAMPAIGN_CASE";

#[test]
fn whatever_the_disk_refuses_no_backup_is_lost_and_nothing_untrue_is_said() {
    let extent = Extent::asked_for();
    let (expected, calls): (Vec<_>, Vec<_>) = thread::scope(|scope| {
        let running: Vec<_> =
            scenarios::all().into_iter().map(|scenario| scope.spawn(|| without_fault(scenario))).collect();
        running.into_iter().map(|one| one.join().expect("a scenario succeeds without a fault")).unzip()
    });
    let cases =
        calls.into_iter().enumerate().flat_map(|(scenario, calls)| cases::at(scenario, calls)).collect();
    let mut tally = Tally::of("disk faults");
    let all: Vec<Case> = cases;
    tally.add("cases", all.len() as u64);
    let mut chosen = cases::chosen(all, extent, ONE_IN);
    if let Ok(only) = std::env::var(ONLY) {
        chosen.retain(|case| format!("{}: {case}", expected[case.scenario].scenario.name).contains(&only));
    }
    let (next, unmade, tried) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let order = cases::spread(chosen.len());
    let problems = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let case = &chosen[*at];
                    match attempt(case, &expected[case.scenario]) {
                        Ok(true) => {}
                        Ok(false) => drop(unmade.fetch_add(1, Ordering::Relaxed)),
                        Err(problem) => {
                            eprintln!("{problem}\n");
                            problems.lock().expect("a list").push(problem);
                        }
                    }
                    let tried = tried.fetch_add(1, Ordering::Relaxed) + 1;
                    if tried.is_multiple_of(TOLD) {
                        eprintln!("{tried} of {} cases tried", chosen.len());
                    }
                }
            });
        }
    });
    for case in &chosen {
        tally.count(&format!("tried in {}", expected[case.scenario].scenario.name));
    }
    let (unmade, problems) = (unmade.into_inner(), problems.into_inner().expect("a list"));
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), chosen.len(), problems.join("\n\n"));
    assert!(unmade * 20 <= chosen.len(), "{unmade} of {} calls were not made again", chosen.len());
    tally.done();
}

/// The result of a scenario without a fault, and the calls it makes.
fn without_fault(scenario: Scenario) -> (Expected, Vec<Call>) {
    let prepared = scenario.prepared();
    let stage = scenario.again(&prepared);
    let before = if scenario.name == "init" { Default::default() } else { prepared.backups() };
    let watched = run(&scenario, &stage, None);
    assert_eq!(watched.ran.code, Some(0), "{}: {}", scenario.name, watched.ran.stderr);
    let after = stage.backups();
    let last_run = last_run(&prepared);
    // Failures in restic's own files are not tested here.
    let calls = watched.calls.into_iter().filter(|call| !call.pattern.starts_with("restic-")).collect();
    (Expected { scenario, prepared, before, after, last_run }, calls)
}

fn run(scenario: &Scenario, stage: &Stage, case: Option<&Case>) -> Watched {
    run_with(scenario, stage, case.map(|case| (&case.call, &case.action)))
}

fn run_with(scenario: &Scenario, stage: &Stage, at: Option<(&Call, &Action)>) -> Watched {
    let arguments = scenario.arguments(stage);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outer = stage.place.path().parent().expect("it is in a directory").to_owned();
    watched(&outer, &stage.place.command(&arguments), at)
}

/// Whether the run made the call. An error if something is wrong afterwards.
fn attempt(case: &Case, expected: &Expected) -> Result<bool, String> {
    for _ in 0..ATTEMPTS {
        let stage = expected.scenario.again(&expected.prepared);
        let watched = run(&expected.scenario, &stage, Some(case));
        if watched.answered.is_empty() {
            continue;
        }
        return match catch_unwind(AssertUnwindSafe(|| judge(case, expected, &stage, &watched))) {
            Ok(()) => Ok(true),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text =
                    text.or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned())).unwrap_or_default();
                Err(format!(
                    "{}: {case}\n  answered {}\n  exit code {:?}: {text}\n{}{}",
                    expected.scenario.name,
                    watched.answered[0],
                    watched.ran.code,
                    watched.ran.stdout.lines().take(6).collect::<Vec<_>>().join("\n"),
                    watched.ran.stderr
                ))
            }
        };
    }
    Ok(false)
}
