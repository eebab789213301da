//! Kills and power failures at every change that the program makes in its directory.
//!
//! `operation` has the commands that are recorded and what is there before them, `known` what a directory tells, `invariant` what must
//! hold in every state that a crash may leave, and `repair` what the next run must make of it.

mod invariant;
mod known;
mod operation;
mod repair;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Mutex;

use e2e::campaign::{Extent, Tally};
use e2e::crash::{Change, Mutation, Stage, Tree, states_after};

use invariant::{Broken, Invariant, Judge};
use known::Known;
use operation::{Operation, Recorded};

/// How many states of each operation a short campaign has repaired.
const REPAIRS: usize = 4;

/// What each defence is there for: where it is taken out of, and what some state then breaks.
const MUTATIONS: &[(Mutation, &str, &[Invariant])] = &[
    (Mutation::NoDirectorySync, "backup", &[Invariant::BackupComplete, Invariant::ServerKnown]),
    (Mutation::NoDirectorySync, "prune", &[Invariant::BackupComplete, Invariant::DeletionNoted]),
    (
        Mutation::NoArchiveSync,
        "backup",
        &[Invariant::GoodIsGood, Invariant::BackupComplete, Invariant::NamedWhole],
    ),
    (Mutation::NoManifestSync, "backup", &[Invariant::NamedWhole, Invariant::Readable]),
    (Mutation::NoStatusSync, "backup", &[Invariant::NamedWhole, Invariant::StatusReadable]),
    (Mutation::NoJournalSync, "backup", &[Invariant::ServerKnown]),
    (Mutation::ManifestFirst, "backup", &[Invariant::BackupComplete]),
    (Mutation::ArchiveDeletedFirst, "prune", &[Invariant::BackupComplete]),
    (Mutation::NoSyncBetweenDeletions, "prune", &[Invariant::BackupComplete]),
    (Mutation::DeletedBeforeNoted, "prune", &[Invariant::DeletionNoted]),
    (Mutation::StatusInPlace, "backup", &[Invariant::NamedWhole, Invariant::StatusReadable]),
    (Mutation::NoIntent, "backup", &[Invariant::ServerKnown]),
];

/// A state that a crash may leave.
struct Case {
    tree: Tree,
    /// So many changes were made before it.
    position: usize,
    /// What the server may have known then, by its place in the history.
    server: usize,
}

/// Goes through all states of `recorded`, with what holds in none of them; each tree is given once for each state of the server.
fn judge(recorded: &Recorded, tally: &mut BTreeMap<&'static str, u64>) -> (Vec<Case>, Vec<String>) {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut stage = Stage::on(scratch.path());
    let mut judge = Judge::new(recorded, scratch.path());
    let (mut seen, mut cases, mut broken) = (HashSet::new(), Vec::new(), Vec::new());
    let changes = recorded.recording.changes();
    let all = states_after(&recorded.recording.before, &changes, |position, tree| {
        let digest = tree.digest();
        let new: Vec<usize> =
            recorded.servers(position).filter(|server| seen.insert((digest, *server))).collect();
        if !new.is_empty() {
            stage.show(tree);
        }
        for server in new {
            for Broken(invariant, what) in judge.broken(tree, &recorded.history[server].1) {
                broken.push(format!("{invariant:?} after {position} changes: {what}"));
            }
            cases.push(Case { tree: tree.clone(), position, server });
        }
        ControlFlow::Continue(())
    });
    let distinct: HashSet<[u8; 32]> = seen.iter().map(|(digest, _)| *digest).collect();
    *tally.entry("moments between two changes").or_default() += changes.len() as u64 + 1;
    *tally.entry("states after a kill or a power failure").or_default() += all as u64;
    *tally.entry("states that differ").or_default() += distinct.len() as u64;
    println!(
        "{}: {} changes, {all} states, {} distinct, {} with the server's",
        recorded.name,
        changes.len(),
        distinct.len(),
        cases.len()
    );
    (cases, broken)
}

#[test]
fn after_a_crash_at_any_change_nothing_is_lost_and_the_next_run_repairs_everything() {
    let extent = Extent::asked_for();
    let wanted = std::env::var("QDRANT_BACKUP_CRASH_OPERATION").ok();
    let queue: Mutex<Vec<&Operation>> = Mutex::new(
        operation::ALL
            .iter()
            .rev()
            .filter(|one| wanted.as_ref().is_none_or(|name| one.name == name))
            .collect(),
    );
    let results: Mutex<(BTreeMap<&'static str, u64>, Vec<String>)> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(operation) = queue.lock().expect("nobody panicked").pop() else { break };
                    let mut counts = BTreeMap::new();
                    let begun = std::time::Instant::now();
                    let recorded = operation.record();
                    println!("{}: recorded {:.1?}", operation.name, begun.elapsed());
                    let (cases, mut broken) = judge(&recorded, &mut counts);
                    let judged = begun.elapsed();
                    let end = Known::of_tree(&recorded.recording.after);
                    let repairs = if recorded.elsewhere.is_some() { REPAIRS / 4 } else { REPAIRS };
                    let one_in = cases.len().div_ceil(repairs);
                    let tried = cases.iter().enumerate().filter(|(number, _)| extent.tries(*number, one_in));
                    for (_, case) in tried {
                        broken.extend(repair::repair(&recorded, case, &end));
                        *counts.entry("repairs by the next run").or_default() += 1;
                    }
                    *counts.entry("operations recorded").or_default() += 1;
                    println!("{}: {judged:.1?}, with repairs {:.1?}", operation.name, begun.elapsed());
                    let mut results = results.lock().expect("nobody panicked");
                    for (what, more) in counts {
                        *results.0.entry(what).or_default() += more;
                    }
                    results.1.extend(broken.into_iter().map(|what| format!("{}: {what}", operation.name)));
                }
            });
        }
    });
    let (counts, broken) = results.into_inner().expect("nobody panicked");
    let mut tally = Tally::of("crash");
    counts.iter().for_each(|(what, count)| tally.add(what, *count));
    assert!(broken.is_empty(), "{} times:\n{}", broken.len(), broken[..broken.len().min(40)].join("\n"));
    tally.done();
}

/// Which invariants some state breaks where the defence is lacking, until all of `expected` are among them.
fn caught(recorded: &Recorded, mutation: Mutation, expected: &BTreeSet<Invariant>) -> BTreeSet<Invariant> {
    let scratch = tempfile::tempdir().expect("a directory");
    let mut stage = Stage::on(scratch.path());
    let mut judge = Judge::new(recorded, scratch.path());
    let mutated = mutation.of(&recorded.recording);
    let without: Vec<&Change> = mutated.iter().map(|(_, change)| change).collect();
    let with = recorded.recording.changes();
    assert_ne!(without, with.iter().collect::<Vec<_>>(), "{mutation:?} changes nothing in {}", recorded.name);
    let (mut caught, mut seen) = (BTreeSet::new(), HashSet::new());
    states_after(&recorded.recording.before, without, |position, tree| {
        // As many changes of the recording as were made by then.
        let made = mutated[..position].iter().map(|(number, _)| number + 1).max().unwrap_or(0);
        for server in recorded.servers(made) {
            if seen.insert((tree.digest(), server)) {
                stage.show(tree);
                let broken = judge.broken(tree, &recorded.history[server].1);
                caught.extend(broken.into_iter().map(|Broken(invariant, _)| invariant));
            }
        }
        if expected.is_subset(&caught) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    caught
}

#[test]
fn a_defence_that_is_taken_out_is_missed() {
    let mut tally = Tally::of("crash-mutations");
    let recorded: BTreeMap<&str, Recorded> = ["backup", "prune"]
        .map(|name| {
            let operation = operation::ALL.iter().find(|operation| operation.name == name);
            (name, operation.expect("an operation").record())
        })
        .into();
    let mut missed = Vec::new();
    for (mutation, operation, expected) in MUTATIONS {
        let expected: BTreeSet<Invariant> = expected.iter().copied().collect();
        let caught = caught(&recorded[operation], *mutation, &expected);
        println!("{mutation:?} in {operation}: {caught:?}");
        if expected.is_subset(&caught) {
            tally.count("mutations caught");
        } else {
            missed.push(format!("{mutation:?} in {operation} breaks {caught:?} and not all of {expected:?}"));
        }
    }
    let tried: BTreeSet<Mutation> = MUTATIONS.iter().map(|(mutation, ..)| *mutation).collect();
    assert_eq!(tried, Mutation::ALL.into(), "each defence is taken out");
    assert!(missed.is_empty(), "{missed:#?}");
    tally.done();
}

impl Recorded {
    /// What the server may have known after so many changes, by its place in the history.
    fn servers(&self, position: usize) -> std::ops::RangeInclusive<usize> {
        let at = |position: usize| self.recording.steps.get(position).map(|step| step.at);
        let last_before = |at: i64| {
            self.history.partition_point(|(time, _)| time.timestamp_micros() <= at).saturating_sub(1)
        };
        let first = position.checked_sub(1).and_then(at).map_or(0, last_before);
        first..=at(position).map_or(self.history.len() - 1, last_before).max(first)
    }
}
