//! The commands of the campaign, and what must hold after each result.

use e2e::Ran;
use qdrant_backup_shared::verification::CheckOutcome;

use super::promises::{
    ADDED, DELETED, EXPORTED, ON_SOURCE, RESTORE_FORCE, assert_backed_up, assert_differs, assert_drilled,
    assert_imported_in_part, assert_not_passed_off, assert_restored, backed_up_and_changed, drilled,
    import_again, leave_something, restore_again, restore_over_again, restore_shards_again, words,
};
use super::world::{Before, DOCS, OTHER, POINTS, World};

/// A command with its initial state and its assertions.
pub struct Job {
    /// Name in the test's output.
    pub name: &'static str,
    /// Whether it needs a cluster.
    pub is_of_cluster: bool,
    /// The configuration besides the timeouts.
    pub configuration: &'static str,
    /// Creates the initial state.
    pub prepare: fn(&World),
    /// Arguments of the program.
    pub command: fn() -> Vec<&'static str>,
    /// The exit code without a fault.
    pub code: i32,
    /// Other acceptable exit codes with a fault.
    pub failures: &'static [i32],
    /// Assertions after a success.
    pub done: fn(&World, &Before, &Ran),
    /// Assertions after a failure.
    pub failed: fn(&World, &Before, &Ran),
    /// The arguments to repeat the job, if that is possible. The flag says whether it succeeded.
    pub again: fn(&World, bool) -> Option<Vec<String>>,
}

impl Job {
    /// All jobs.
    pub fn all() -> Vec<Self> {
        let plain = Self {
            name: "backup",
            is_of_cluster: false,
            configuration: "",
            prepare: World::foreign_snapshot,
            command: || vec!["backup"],
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
                command: || vec!["run"],
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
                command: || vec!["restore", "-c", DOCS],
                failures: &[1],
                done: assert_restored,
                failed: assert_not_passed_off,
                again: restore_again,
                ..plain
            },
            Self {
                name: "restore over another",
                prepare: |world| backed_up_and_changed(world),
                command: || RESTORE_FORCE.to_vec(),
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
                command: || vec!["restore", "-c", DOCS],
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
                command: || vec!["drill", ON_SOURCE],
                failures: &[1],
                done: assert_drilled,
                failed: |world, _, _| {
                    let verdict = drilled(world);
                    assert_ne!(verdict, Some(CheckOutcome::Failed), "the backup is good");
                    assert_ne!(verdict, Some(CheckOutcome::Passed), "it was reported as failed");
                },
                again: |_, _| words(&["drill", ON_SOURCE]),
                ..plain
            },
            Self {
                name: "compare",
                prepare: |world| backed_up_and_changed(world),
                command: || vec!["compare", "-c", DOCS, ON_SOURCE],
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
                command: || vec!["restore", "--points", "-c", DOCS, ON_SOURCE, "--missing", "--changed"],
                failures: &[1, 3],
                done: |world, before, _| {
                    let points = world.points(DOCS).expect("it exists");
                    assert!(
                        before.points.iter().all(|point| points.contains(point)),
                        "a point was not restored"
                    );
                    assert_eq!(points.len() as u64, POINTS + (ADDED.end - ADDED.start));
                },
                again: |_, _| {
                    words(&["restore", "--points", "-c", DOCS, ON_SOURCE, "--missing", "--changed"])
                },
                ..plain
            },
            Self {
                name: "export points",
                prepare: |world| drop(world.run(&["backup"]).success()),
                command: || vec!["export", "--points", "-c", DOCS, ON_SOURCE, "-o", "-"],
                failures: &[1],
                done: |_, before, ran| {
                    // The first and the last line describe the collection and the file.
                    assert_eq!(ran.stdout.lines().count(), before.points.len() + 2, "{}", ran.stdout);
                },
                again: |_, _| words(&["export", "--points", "-c", DOCS, ON_SOURCE, "-o", "-"]),
                ..plain
            },
            Self {
                name: "import points",
                prepare: |world| world.drop_collection(DOCS),
                command: || EXPORTED.import(),
                failures: &[1],
                done: assert_restored,
                failed: assert_imported_in_part,
                again: import_again,
                ..plain
            },
            Self {
                name: "leftovers",
                prepare: |world| {
                    // A snapshot of another tool, which must stay.
                    world.foreign_snapshot();
                    leave_something(world);
                },
                command: || vec!["prune", "--server-leftovers", "--yes"],
                failures: &[1],
                done: |world, before, _| {
                    assert_eq!(world.snapshots(), before.foreign, "our snapshots are deleted");
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
                command: || vec!["prune", "--retire", DOCS, "--yes"],
                failures: &[1],
                done: |world, _, _| {
                    assert_eq!(world.place.backups(DOCS).len(), 0);
                    assert_eq!(world.place.backups(OTHER).len(), 2);
                },
                failed: |world, _, _| assert_eq!(world.place.backups(OTHER).len(), 2),
                // After a success the collection is no longer on record.
                again: |_, done| if done { None } else { words(&["prune", "--retire", DOCS, "--yes"]) },
                ..plain
            },
            Self {
                name: "accept-source",
                prepare: |world| drop(world.run(&["backup"]).success()),
                command: || vec!["accept-source"],
                failures: &[1],
                done: |_, _, _| {},
                again: |_, _| words(&["accept-source"]),
                ..plain
            },
            Self {
                name: "config check",
                prepare: |world| drop(world.run(&["backup"]).success()),
                command: || vec!["config", "check"],
                failures: &[1, 78],
                done: |_, _, _| {},
                again: |_, _| words(&["config", "check"]),
                ..plain
            },
        ]
    }
}
