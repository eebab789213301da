//! Kills and power failures at every change that the program makes in its directory.
//!
//! `operations` defines the recorded commands and their initial states, `operation` records them, `known` reads a
//! directory, `invariant` checks every state that a crash can leave, and `repair` checks the next run.

mod invariant;
mod known;
mod operation;
mod operations;
mod repair;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Instant;

use e2e::campaign::{Extent, Tally};
use e2e::crash::{Blob, Change, Mutation, Node, Stage, Tree, states_after};

use invariant::{Broken, Invariant, Judge};
use known::Known;
use operation::{Operation, Recorded};
use repair::{Case, repair};

/// How many states of each operation a short campaign repairs.
const REPAIRS: usize = 4;
/// How many operations run in parallel.
const THREADS: usize = 2;
/// Maximum number of failures to show.
const SHOWN: usize = 40;

/// The purpose of each defense: the operation it is removed from, and the invariants that this breaks.
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

/// Counts and failures.
#[derive(Default)]
struct Tried {
    counts: BTreeMap<&'static str, u64>,
    broken: Vec<String>,
}

impl Tried {
    fn add(&mut self, what: &'static str, more: usize) {
        *self.counts.entry(what).or_default() += more as u64;
    }

    /// Records the operation, checks every state that a crash can leave, and repairs some or all of them.
    fn go_through(&mut self, operation: &Operation, extent: Extent) {
        let begun = Instant::now();
        let recorded = operation.record();
        self.add("operations recorded", 1);
        let cases = self.judge(&recorded);
        let end = Known::of_tree(&recorded.recording.after);
        let repairs = if recorded.elsewhere.is_some() { REPAIRS / 4 } else { REPAIRS };
        let one_in = cases.len().div_ceil(repairs);
        for (number, case) in cases.iter().enumerate() {
            if extent.tries(number + one_in / 2, one_in) {
                self.add("repairs by the next run", 1);
                self.broken.extend(repair(&recorded, case, &end));
            }
        }
        println!("{}: {:.1?}", operation.name, begun.elapsed());
    }

    /// All states of the recording, each once per state of the server.
    fn judge(&mut self, recorded: &Recorded) -> Vec<Case> {
        let scratch = tempfile::tempdir().expect("a directory");
        let mut stage = Stage::on(scratch.path());
        let mut judge = Judge::new(recorded, scratch.path());
        let (mut seen, mut cases) = (HashSet::new(), Vec::new());
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
                    self.broken.push(format!("{invariant:?} after {position} changes: {what}"));
                }
                cases.push(Case { tree: tree.clone(), position, server });
            }
            ControlFlow::Continue(())
        });
        let distinct = seen.iter().map(|(digest, _)| *digest).collect::<HashSet<_>>().len();
        self.add("moments between two changes", changes.len() + 1);
        self.add("states after a kill or a power failure", all);
        self.add("states that differ", distinct);
        println!(
            "{}: {} changes, {all} states, {distinct} that differ, {} with those of the server",
            recorded.name,
            changes.len(),
            cases.len()
        );
        cases
    }
}

/// If `QDRANT_BACKUP_CRASH_OPERATION` is set, only this operation is tested.
#[test]
fn after_a_crash_at_any_change_nothing_is_lost_and_the_next_run_repairs_everything() {
    let extent = Extent::asked_for();
    let only = std::env::var("QDRANT_BACKUP_CRASH_OPERATION").ok();
    let chosen = |operation: &&Operation| only.as_ref().is_none_or(|name| operation.name == name);
    let queue: Mutex<Vec<&Operation>> = Mutex::new(operations::ALL.iter().filter(chosen).collect());
    let next = || queue.lock().expect("no thread has panicked").pop();
    let tried: Mutex<Tried> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(operation) = next() {
                    let mut of_one = Tried::default();
                    of_one.go_through(operation, extent);
                    let mut tried = tried.lock().expect("no thread has panicked");
                    of_one
                        .counts
                        .into_iter()
                        .for_each(|(what, more)| *tried.counts.entry(what).or_default() += more);
                    tried
                        .broken
                        .extend(of_one.broken.into_iter().map(|what| format!("{}: {what}", operation.name)));
                }
            });
        }
    });
    let Tried { counts, broken } = tried.into_inner().expect("no thread has panicked");
    assert!(broken.is_empty(), "{} times:\n{}", broken.len(), broken[..broken.len().min(SHOWN)].join("\n"));
    let mut tally = Tally::of("crash");
    counts.iter().for_each(|(what, count)| tally.add(what, *count));
    tally.done();
}

/// The invariants that break without this defense. Stops once all of `expected` are among them.
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
        // The number of changes of the original recording up to this position.
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
    let recorded: BTreeMap<&str, Recorded> = ["backup", "prune"].map(|name| (name, recorded(name))).into();
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
    assert_eq!(tried, Mutation::ALL.into(), "each defense is removed");
    assert!(missed.is_empty(), "{missed:#?}");
    tally.done();
}

fn recorded(name: &str) -> Recorded {
    let operation = operations::ALL.iter().find(|operation| operation.name == name);
    operation.expect("such an operation").record()
}

/// The invariants that no mutation of [`MUTATIONS`] breaks.
#[test]
fn what_is_lost_without_any_crash_is_seen_too() {
    let recorded = recorded("backup");
    let scratch = tempfile::tempdir().expect("a directory");
    let mut judge = Judge::new(&recorded, scratch.path());
    let mut broken = |change: &dyn Fn(&mut Tree)| {
        let mut tree = recorded.recording.before.clone();
        change(&mut tree);
        Stage::on(scratch.path()).show(&tree);
        let broken = judge.broken(&tree, &recorded.history[0].1);
        broken.into_iter().map(|Broken(invariant, _)| invariant).collect::<BTreeSet<_>>()
    };
    assert_eq!(broken(&|_| ()), BTreeSet::new());
    let vanished = broken(&|tree| tree.0.retain(|path, _| !path.starts_with("collections/docs/")));
    assert!(vanished.contains(&Invariant::NothingVanishes), "{vanished:?}");
    let put = |tree: &mut Tree, path: &str, text: &str| {
        tree.0.insert(path.to_owned(), Node::File(Blob::of(text.as_bytes().to_vec())));
    };
    let unreadable = broken(&|tree| put(tree, "repository.json", "{"));
    assert!(unreadable.contains(&Invariant::Readable), "{unreadable:?}");
    let forgotten = broken(&|tree| {
        let status = tree.file("status.json").expect("a status").bytes.clone();
        let text = String::from_utf8(status).expect("text").replace("last_success_at", "last_success_was");
        put(tree, "status.json", &text);
    });
    assert!(forgotten.contains(&Invariant::SuccessKept), "{forgotten:?}");
}
