//! What the program is asked to do, and what must be so when it says that it did.

use e2e::Ran;
use e2e::proxy::{Fault, What};
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::verification::{CheckOutcome, Level};

use super::world::{Before, DOCS, OTHER, POINTS, World};

/// A command, the world that it is given, and its promise.
pub struct Job {
    /// What it is called.
    pub name: &'static str,
    /// Whether its server has nodes and shards.
    pub is_of_cluster: bool,
    /// What the configuration says besides the time-outs.
    pub configuration: &'static str,
    /// What is so when it begins.
    pub prepare: fn(&World),
    /// The command.
    pub command: &'static [&'static str],
    /// Its exit code when nothing goes wrong.
    pub code: i32,
    /// Other exit codes that are honest when something does.
    pub failures: &'static [i32],
    /// Asserts what it promises by that exit code.
    pub done: fn(&World, &Before, &Ran),
    /// Asserts what must be so when it fails.
    pub failed: fn(&World, &Before, &Ran),
    /// How it is repeated, where it can be: given whether it was done.
    pub again: fn(&World, bool) -> Option<Vec<String>>,
}

const ON_SOURCE: &str = "--on-source";
const RESTORE_FORCE: [&str; 4] = ["restore", "-c", DOCS, "--force"];
/// What is changed after the backup: these are deleted, and others written.
const DELETED: std::ops::Range<u64> = 3..6;
const ADDED: std::ops::Range<u64> = 100..104;

impl Job {
    /// All of them.
    pub fn all() -> Vec<Self> {
        let plain = Self {
            name: "backup",
            is_of_cluster: false,
            configuration: "",
            prepare: World::foreign_snapshot,
            command: &["backup"],
            code: 0,
            failures: &[1, 3],
            done: |world, _, _| assert_backed_up(world, 1),
            failed: |_, _, _| {},
            again: |_, _| words(&["backup"]),
        };
        vec![
            Self { ..plain },
            Self { name: "backup by shards", is_of_cluster: true, prepare: |_| {}, ..plain },
            Self {
                name: "run",
                configuration: "retention:\n  keep_last: 2\n",
                prepare: |world| {
                    world.foreign_snapshot();
                    for _ in 0..2 {
                        world.run(&["backup"]).success();
                        std::thread::sleep(std::time::Duration::from_millis(1100));
                    }
                },
                command: &["run"],
                done: |world, _, _| assert_backed_up(world, 2),
                again: |_, _| words(&["run"]),
                ..plain
            },
            Self {
                name: "restore",
                prepare: |world| {
                    world.foreign_snapshot();
                    world.run(&["backup"]).success();
                    world.drop_collection(DOCS);
                },
                command: &["restore", "-c", DOCS],
                failures: &[1],
                done: assert_restored,
                failed: assert_not_passed_off,
                again: restore_again,
                ..plain
            },
            Self {
                name: "restore over another",
                prepare: |world| backed_up_and_changed(world),
                command: &RESTORE_FORCE,
                failures: &[1],
                done: assert_restored,
                failed: assert_not_passed_off,
                again: restore_over_again,
                ..plain
            },
            Self {
                name: "restore by shards",
                is_of_cluster: true,
                prepare: |world| {
                    world.run(&["backup"]).success();
                    world.drop_collection(DOCS);
                },
                command: &["restore", "-c", DOCS],
                failures: &[1],
                done: assert_restored,
                failed: assert_not_passed_off,
                again: restore_shards_again,
                ..plain
            },
            Self {
                name: "drill",
                prepare: |world| {
                    world.foreign_snapshot();
                    world.run(&["backup", "-c", DOCS]).success();
                },
                command: &["drill", ON_SOURCE],
                failures: &[1],
                done: assert_drilled,
                failed: |world, _, _| {
                    let verdict = drilled(world);
                    assert_ne!(verdict, Some(CheckOutcome::Failed), "the backup is good");
                    assert_ne!(verdict, Some(CheckOutcome::Passed), "it was said to have failed");
                },
                again: |_, _| words(&["drill", ON_SOURCE]),
                ..plain
            },
            Self {
                name: "compare",
                prepare: |world| backed_up_and_changed(world),
                command: &["compare", "-c", DOCS, ON_SOURCE],
                code: 3,
                failures: &[1],
                done: |_, _, ran| {
                    assert_differs(ran, "missing", DELETED);
                    assert_differs(ran, "changed", 0..0);
                    assert_differs(ran, "new", ADDED);
                },
                again: |_, _| words(&["compare", "-c", DOCS, ON_SOURCE]),
                ..plain
            },
            Self {
                name: "restore points",
                prepare: |world| backed_up_and_changed(world),
                command: &["restore", "--points", "-c", DOCS, ON_SOURCE, "--missing", "--changed"],
                failures: &[1, 3],
                done: |world, before, _| {
                    let points = world.points(DOCS).expect("it is there");
                    assert!(before.points.iter().all(|point| points.contains(point)), "a point is not back");
                    assert_eq!(points.len() as u64, POINTS + (ADDED.end - ADDED.start));
                },
                again: |_, _| {
                    words(&["restore", "--points", "-c", DOCS, ON_SOURCE, "--missing", "--changed"])
                },
                ..plain
            },
            Self {
                name: "leftovers",
                prepare: |world| {
                    // Somebody deletes nothing for us.
                    world.foreign_snapshot();
                    leave_something(world);
                },
                command: &["prune", "--server-leftovers", "--yes"],
                failures: &[1],
                done: |world, before, _| {
                    assert_eq!(world.snapshots(), before.foreign, "ours are deleted");
                },
                again: |_, _| words(&["prune", "--server-leftovers", "--yes"]),
                ..plain
            },
            Self {
                name: "retire",
                prepare: |world| {
                    world.run(&["backup"]).success();
                    world.drop_collection(DOCS);
                    world.run(&["backup"]).success();
                },
                command: &["prune", "--retire", DOCS, "--yes"],
                failures: &[1],
                done: |world, _, _| {
                    assert_eq!(world.place.backups(DOCS).len(), 0);
                    assert_eq!(world.place.backups(OTHER).len(), 2);
                },
                failed: |world, _, _| assert_eq!(world.place.backups(OTHER).len(), 2),
                again: |_, _| words(&["prune", "--retire", DOCS, "--yes"]),
                ..plain
            },
            Self {
                name: "accept-source",
                prepare: |world| drop(world.run(&["backup"]).success()),
                command: &["accept-source"],
                failures: &[1],
                done: |_, _, _| {},
                again: |_, _| words(&["accept-source"]),
                ..plain
            },
            Self {
                name: "config check",
                prepare: |world| drop(world.run(&["backup"]).success()),
                command: &["config", "check"],
                failures: &[1, 78],
                done: |_, _, _| {},
                again: |_, _| words(&["config", "check"]),
                ..plain
            },
        ]
    }
}

fn backed_up_and_changed(world: &World) {
    world.foreign_snapshot();
    world.run(&["backup"]).success();
    world.delete_points(DOCS, DELETED);
    world.write(DOCS, ADDED);
}

/// A backup whose snapshot could not be deleted on the server.
fn leave_something(world: &World) {
    world.proxy.heal();
    world.run(&["backup", "-c", DOCS]).success();
    let at = world.proxy.seen().iter().position(|seen| seen.method == "DELETE").expect("a deletion");
    world.proxy.spoil(at, Fault { what: What::Status(500), forwarded: false, lasting: true });
    world.run(&["backup", "-c", DOCS]).success();
    world.proxy.heal();
    assert_eq!(world.place.status().undeleted_snapshots.len(), 1);
}

/// A comparison says exactly that so many points differ in that way.
#[track_caller]
fn assert_differs(ran: &Ran, how: &str, ids: std::ops::Range<u64>) {
    let line = ran.stdout.lines().find_map(|line| line.trim_start().strip_prefix(how));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    assert_eq!(number.unwrap_or(0), ids.end - ids.start, "{how}: {}", ran.stdout);
}

#[track_caller]
fn assert_backed_up(world: &World, at_least: usize) {
    for name in [DOCS, OTHER] {
        let backups = world.place.backups(name);
        assert!(backups.len() >= at_least, "{name} has {} backups", backups.len());
        let newest = backups.last().expect("a backup");
        assert_eq!(newest.condition(), Condition::Good);
        assert!(newest.manifest.points_count().is_none_or(|count| count == POINTS));
    }
    let status = world.place.status();
    assert!(status.collections.values().all(|collection| collection.failure.is_none()));
}

#[track_caller]
fn assert_restored(world: &World, before: &Before, _: &Ran) {
    assert_eq!(world.points(DOCS).as_ref(), Some(&before.points), "the points are not those of the backup");
}

/// A restore that failed has left things as they were, or has said that they are not.
#[track_caller]
fn assert_not_passed_off(world: &World, before: &Before, ran: &Ran) {
    let now = world.points(DOCS);
    let untouched = now == before.now;
    let whole = now.as_ref() == Some(&before.points);
    let said = ["may still be restoring", "PARTLY RESTORED", "unusable", "does not exist"];
    assert!(untouched || whole || said.iter().any(|word| ran.stderr.contains(word)), "{}", ran.stderr);
}

fn words(arguments: &[&str]) -> Option<Vec<String>> {
    Some(arguments.iter().map(|argument| (*argument).to_owned()).collect())
}

fn restore_again(world: &World, _: bool) -> Option<Vec<String>> {
    let is_there = world.points(DOCS).is_some();
    words(if is_there { &RESTORE_FORCE } else { &["restore", "-c", DOCS] })
}

/// The newest backup may be the one that was made of what was overwritten.
fn restore_over_again(world: &World, _: bool) -> Option<Vec<String>> {
    words(&[&RESTORE_FORCE[..], &["--backup", &world.place.ids(DOCS)[0]]].concat())
}

/// Shards go into a new collection only, or into the one that was begun.
fn restore_shards_again(world: &World, done: bool) -> Option<Vec<String>> {
    if done {
        return None;
    }
    let begun = world.status().is_some_and(|status| !status.restoring.is_empty());
    if world.points(DOCS).is_some() && !begun {
        world.drop_collection(DOCS);
    }
    words(&["restore", "-c", DOCS])
}

fn drilled(world: &World) -> Option<CheckOutcome> {
    let record = world.place.newest(DOCS).verification?.levels.remove(&Level::Restore)?;
    Some(record.outcome)
}

#[track_caller]
fn assert_drilled(world: &World, _: &Before, _: &Ran) {
    assert_eq!(drilled(world), Some(CheckOutcome::Passed));
}
