//! Initial states of jobs, assertions after them, and how to repeat them.

use std::sync::LazyLock;

use e2e::Ran;
use e2e::proxy::{Aim, Fault, What};
use e2e::qdrant_stand_in::Setup;
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::verification::{CheckOutcome, Level};

use super::world::{Before, DOCS, KEY, OTHER, POINTS, World};

/// Use the source server for a drill or a comparison.
pub const ON_SOURCE: &str = "--on-source";
/// A restore over an existing collection.
pub const RESTORE_FORCE: [&str; 4] = ["restore", "-c", DOCS, "--force"];
/// The points deleted after the backup.
pub const DELETED: std::ops::Range<u64> = 3..6;
/// The points written after the backup.
pub const ADDED: std::ops::Range<u64> = 100..104;

pub fn backed_up_and_changed(world: &World) {
    world.foreign_snapshot();
    world.run(&["backup"]).success();
    world.delete_points(DOCS, DELETED);
    world.write(DOCS, ADDED);
}

/// A backup whose snapshot could not be deleted on the server.
pub fn leave_something(world: &World) {
    let deletion = Aim::Kind(format!("DELETE /collections/{DOCS}/snapshots/*"), 0);
    world.proxy.spoil(deletion, Fault { what: What::Status(500), forwarded: false, lasting: true });
    world.run(&["backup", "-c", DOCS]).success();
    world.proxy.heal();
    assert_eq!(world.place.status().undeleted_snapshots.len(), 1);
}

/// The comparison reports exactly this many points for each kind of difference.
#[track_caller]
pub fn assert_differs(ran: &Ran, how: &str, ids: std::ops::Range<u64>) {
    let line = ran.stdout.lines().find_map(|line| line.trim_start().strip_prefix(how));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    assert_eq!(number.unwrap_or(0), ids.end - ids.start, "{how}: {}", ran.stdout);
}

#[track_caller]
pub fn assert_backed_up(world: &World, at_least: usize) {
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
pub fn assert_restored(world: &World, before: &Before, _: &Ran) {
    assert_eq!(world.points(DOCS).as_ref(), Some(&before.points), "the points are not those of the backup");
}

/// A failed restore has either changed nothing or reported the collection's state.
#[track_caller]
pub fn assert_not_passed_off(world: &World, before: &Before, ran: &Ran) {
    let now = world.points(DOCS);
    let untouched = now == before.now;
    let whole = now.as_ref() == Some(&before.points);
    let said = ["may still be restoring", "PARTLY RESTORED", "unusable", "does not exist"];
    assert!(untouched || whole || said.iter().any(|word| ran.stderr.contains(word)), "{}", ran.stderr);
}

/// The file of all points of [`DOCS`], as `export --points` writes it.
pub static EXPORTED: LazyLock<Exported> = LazyLock::new(|| {
    let world = World::on(Setup::empty().api_key(KEY), "");
    world.make(DOCS, 1);
    world.run(&["init"]).success();
    world.run(&["backup"]).success();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("points.jsonl").display().to_string();
    world.run(&["export", "--points", "-c", DOCS, ON_SOURCE, "-o", &file]).success();
    Exported { file, _directory: directory }
});

/// A file in its own directory.
pub struct Exported {
    /// Its path.
    pub file: String,
    _directory: tempfile::TempDir,
}

impl Exported {
    /// The command that imports it.
    pub fn import(&self) -> Vec<&str> {
        vec!["import", "--points", &self.file, "--into", DOCS]
    }
}

/// An import that has begun can only be continued.
pub fn import_again(world: &World, done: bool) -> Option<Vec<String>> {
    let mut import = EXPORTED.import();
    if world.points(DOCS).is_some() {
        import.push("--resume");
    }
    if done { None } else { words(&import) }
}

/// A failed import has written nothing or points of the file, and says how to go on.
#[track_caller]
pub fn assert_imported_in_part(world: &World, before: &Before, ran: &Ran) {
    let Some(now) = world.points(DOCS) else { return };
    assert!(now.iter().all(|point| before.points.contains(point)), "points that are not in the file");
    assert!(ran.stderr.contains("--resume"), "{}", ran.stderr);
}

pub fn words(arguments: &[&str]) -> Option<Vec<String>> {
    Some(arguments.iter().map(|argument| (*argument).to_owned()).collect())
}

pub fn restore_again(world: &World, _: bool) -> Option<Vec<String>> {
    let is_there = world.points(DOCS).is_some();
    words(if is_there { &RESTORE_FORCE } else { &["restore", "-c", DOCS] })
}

/// The newest backup may be the safety backup of the overwritten collection.
pub fn restore_over_again(world: &World, _: bool) -> Option<Vec<String>> {
    words(&[&RESTORE_FORCE[..], &["--backup", &world.place.ids(DOCS)[0]]].concat())
}

/// Shards can only be restored into a new collection, or into the one that the same restore has created.
pub fn restore_shards_again(world: &World, done: bool) -> Option<Vec<String>> {
    if done {
        return None;
    }
    let begun = world.status().is_some_and(|status| !status.restoring.is_empty());
    if world.points(DOCS).is_some() && !begun {
        world.drop_collection(DOCS);
    }
    words(&["restore", "-c", DOCS])
}

pub fn drilled(world: &World) -> Option<CheckOutcome> {
    let record = world.place.newest(DOCS).verification?.levels.remove(&Level::Restore)?;
    Some(record.outcome)
}

#[track_caller]
pub fn assert_drilled(world: &World, _: &Before, _: &Ran) {
    assert_eq!(drilled(world), Some(CheckOutcome::Passed));
}
