//! One case: the fault, the state after it, and the next run.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use e2e::proxy::{Aim, What};
use e2e::{Ran, Running};
use qdrant_backup_shared::Status;
use qdrant_backup_shared::scratch_name::is_scratch;

use super::cases::Case;
use super::jobs::Job;
use super::template::Template;
use super::world::{Before, DOCS, KEY, OTHER, POINTS, Patience, World};

/// Longer than all timeouts of a job's requests together.
const BOUND: Duration = Duration::from_secs(150);
/// Maximum memory of a run: the largest answer that is read as a whole, plus what a backup needs.
const MEMORY_KIB: u64 = 128 << 10;
/// Maximum number of error lines: not one per point, and not one per layer of the program.
const ERRORS_MAX: usize = 4;
/// How late an upload without an answer may begin: `create_timeout` plus a margin.
const LATE: Duration = Duration::from_millis(6500);

/// Checks the invariants for a case. Returns what to count.
pub fn hold(job: &Job, template: &Template, case: &Case) -> Vec<&'static str> {
    let world = template.world();
    world.proxy.spoil(Aim::Kind(case.request.clone(), case.nth), case.fault.clone());
    world.configure(Patience::Little);
    let (ran, peak) = watched(&world, &(job.command)());
    world.configure(Patience::Much);
    assert!(world.proxy.struck() > 0, "the fault had no effect:\n{}", ran.stderr);
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    check(&world, &template.before, job, &ran);
    if ran.code == Some(job.code) {
        (job.done)(&world, &template.before, &ran);
    } else {
        (job.failed)(&world, &template.before, &ran);
    }

    world.proxy.heal();
    let done = ran.code == Some(job.code);
    let Some(mut next) = again(&world, template, job, done) else { return counts(case, &ran, job) };
    let late = |status: Status| !status.unanswered_uploads.is_empty() || !status.unlisted_uploads.is_empty();
    if world.status().is_some_and(late) {
        // The upload may still begin until its timeout has passed.
        thread::sleep(LATE);
        world.configure(Patience::MuchButNotForTheLate);
        next = again(&world, template, job, done).expect("it was repeated before");
    }
    let first = &ran.stderr;
    assert_eq!(next.code, Some(job.code), "\nfirst:\n{first}\nnext:\n{}", next.stderr);
    (job.done)(&world, &template.before, &next);
    if let Some(status) = world.status() {
        assert_eq!(status.undeleted_snapshots, [], "\nfirst:\n{first}\nnext:\n{}", next.stderr);
        assert_eq!(status.unanswered_creations, [], "\nfirst:\n{first}\nnext:\n{}", next.stderr);
    }
    let scratch: Vec<String> =
        world.nodes.collections().into_iter().filter(|name| is_scratch(name)).collect();
    let cleans = ["drill", "compare", "restore points", "export points"].contains(&job.name);
    assert!(
        !cleans || scratch.is_empty(),
        "{scratch:?} was not deleted\nfirst:\n{first}\nnext:\n{}",
        next.stderr
    );
    counts(case, &ran, job)
}

/// Runs the job again without a fault.
fn again(world: &World, template: &Template, job: &Job, done: bool) -> Option<Ran> {
    let arguments = (job.again)(world, done)?;
    let next = world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    check(world, &template.before, job, &next);
    Some(next)
}

fn counts(case: &Case, ran: &Ran, job: &Job) -> Vec<&'static str> {
    let done = ran.code == Some(job.code);
    let when = match (case.fault.what, case.fault.forwarded) {
        (What::Status(_), false) => "statuses before the server did it",
        (What::Status(_), true) => "statuses after the server did it",
        _ => "broken answers and connections",
    };
    vec![when, if done { "runs that came through" } else { "runs that failed honestly" }]
}

/// Runs the program and measures its memory.
fn watched(world: &World, arguments: &[&str]) -> (Ran, u64) {
    let mut running = Running::start(&mut world.command(arguments));
    let (begun, mut peak) = (Instant::now(), 0);
    while !running.has_ended() {
        peak = running.anonymous_kib().unwrap_or(0).max(peak);
        assert!(begun.elapsed() < BOUND, "it did not end");
        thread::sleep(Duration::from_millis(5));
    }
    (running.end(), peak)
}

/// The invariants after every run.
#[track_caller]
fn check(world: &World, before: &Before, job: &Job, ran: &Ran) {
    let log = &ran.stderr;
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!log.contains(word), "{log}");
    }
    assert!(log.lines().all(|line| line.starts_with('[')), "{log}");
    let code = ran.code.expect("no signal ended it");
    assert!(code == job.code || job.failures.contains(&code), "exit {code}:\n{log}");
    // `config check` prints failures to standard output.
    let failed = ran.stdout.lines().filter(|line| line.starts_with("FAIL ")).count();
    let errors = failed + log.lines().filter(|line| line.contains("] ERROR: ")).count();
    if code != job.code {
        assert!((1..=ERRORS_MAX).contains(&errors), "{errors} errors were printed:\n{log}");
    }

    assert!(!log.contains(KEY) && !ran.stdout.contains(KEY), "the key was printed");
    for file in world.place.files() {
        let bytes = fs::read(world.place.path().join(&file)).expect("a file");
        assert!(!bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()), "the key is in {file}");
    }
    let caught = world.proxy.trap().caught();
    assert!(caught.is_empty(), "another host got requests: {caught:?}");

    world.place.prove();
    assert_eq!(world.place.temporary(), Vec::<String>::new());
    assert!(!world.is_under_way(), "the status reports a run in progress");

    let snapshots = world.snapshots();
    let lost: BTreeSet<_> = before.foreign.difference(&snapshots).collect();
    assert!(lost.is_empty(), "deleted although not ours: {lost:?}\n{log}");
    let known = world.known();
    let unknown: Vec<_> =
        snapshots.difference(&before.foreign).filter(|snapshot| !known.explains(snapshot)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are on the server but not on record:\n{log}");
    assert_eq!(
        world.points(OTHER).map(|points| points.len() as u64),
        Some(POINTS),
        "the other collection changed"
    );
    let strange = |name: &String| name != DOCS && name != OTHER && !is_scratch(name);
    assert!(!world.nodes.collections().iter().any(strange), "{:?}", world.nodes.collections());
}
