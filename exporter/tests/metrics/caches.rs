//! What is cached between observations, and for how long.

use std::fs::OpenOptions;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use qdrant_backup_exporter::observe::{Observation, Observer};
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::status_journal::{StatusChange, head};
use qdrant_backup_shared::verification::{CheckOutcome, Level};

use crate::situations;
use crate::watched::{Watched, at, name, observe, wall_clock};

fn conditions(place: &Watched, seconds: i64) -> Vec<Condition> {
    let seen = place.look_at(wall_clock() + TimeDelta::hours(1) + TimeDelta::seconds(seconds));
    let view = seen.directory.value.clone().unwrap();
    view.collections.values().flat_map(|found| &found.backups).map(|backup| backup.condition()).collect()
}

#[test]
fn an_archive_that_is_cut_in_place_is_seen_within_a_minute() {
    let place = Watched::new();
    let id = place.backup("docs", at("15T02:00:00"), 10);
    assert_eq!(conditions(&place, 0), [Condition::Good]);
    OpenOptions::new().write(true).open(place.archive("docs", id)).unwrap().set_len(1).unwrap();
    assert_eq!(conditions(&place, 30), [Condition::Good], "an unchanged directory is not listed again");
    assert_eq!(conditions(&place, 75), [Condition::Incomplete]);
}

#[test]
fn a_clock_that_is_set_back_does_not_put_off_looking_at_everything() {
    let place = Watched::new();
    let id = place.backup("docs", at("15T02:00:00"), 10);
    assert_eq!(conditions(&place, 100_000), [Condition::Good]);
    OpenOptions::new().write(true).open(place.archive("docs", id)).unwrap().set_len(1).unwrap();
    assert_eq!(conditions(&place, 0), [Condition::Incomplete]);
}

#[test]
fn a_directory_that_has_just_changed_is_looked_at_again() {
    let place = Watched::new();
    let id = place.backup("docs", at("15T02:00:00"), 10);
    let condition = || {
        let view = place.look_at(wall_clock()).directory.value.clone().unwrap();
        view.collections[&name("docs")].backups[0].condition()
    };
    assert_eq!(condition(), Condition::Good);
    OpenOptions::new().write(true).open(place.archive("docs", id)).unwrap().set_len(1).unwrap();
    assert_eq!(condition(), Condition::Incomplete);
}

#[test]
fn a_new_record_is_seen_at_once() {
    let place = Watched::new();
    let id = place.backup("docs", at("15T02:00:00"), 10);
    assert_eq!(conditions(&place, 0), [Condition::Good]);
    place.verify("docs", id, &[(Level::Archive, CheckOutcome::Failed)]);
    assert_eq!(conditions(&place, 1), [Condition::Failed]);
    std::fs::remove_file(place.layout().verification(&name("docs"), id)).unwrap();
    assert_eq!(conditions(&place, 2), [Condition::Good], "as if it had never been verified");
}

#[test]
fn what_has_not_changed_is_shared_between_looks() {
    let place = Watched::new();
    place.backup("docs", at("15T02:00:00"), 10);
    place.backup("images", at("15T02:00:00"), 10);
    let look = |seconds| {
        let seen = place.look_at(wall_clock() + TimeDelta::hours(1) + TimeDelta::seconds(seconds));
        seen.directory.value.clone().unwrap()
    };
    let first = look(0);
    place.backup("images", at("15T03:00:00"), 10);
    for seconds in [1, 100] {
        let second = look(seconds);
        let same = |collection: &str| {
            Arc::ptr_eq(&first.collections[&name(collection)], &second.collections[&name(collection)])
        };
        assert!(same("docs") && !same("images"), "after {seconds} s");
    }
}

#[test]
fn what_the_journal_adds_is_seen_and_a_damaged_one_is_a_problem_that_hides_nothing() {
    let place = Watched::new();
    let (status, journal) = (situations::status(), place.layout().status_journal());
    let bytes = json_file::to_bytes(&status).unwrap();
    place.put_bytes(&place.layout().status_file(), &bytes);
    let look = || place.look_at(wall_clock() + TimeDelta::hours(1));
    let changed = |seen: &Observation| seen.status.value.as_ref().map(|status| status.source_changed);
    assert_eq!(changed(&look()), Some(false));

    let mut after = status.clone();
    after.source_changed = true;
    let line = StatusChange::between(&status, &after).unwrap().to_line().unwrap();
    let lines = [head(&bytes).unwrap(), line].concat();
    place.put_bytes(&journal, &lines);
    let seen = look();
    assert!(changed(&seen) == Some(true) && seen.status.problem.is_none());
    let again = look();
    assert!(
        Arc::ptr_eq(seen.status.value.as_ref().unwrap(), again.status.value.as_ref().unwrap()),
        "from memory"
    );

    place.put_bytes(&journal, &[lines.as_slice(), b"{]\n"].concat());
    let damaged = look();
    assert_eq!(changed(&damaged), Some(true), "what came before the damage");
    let problem = damaged.status.problem.as_ref().unwrap();
    assert!(problem.contains("status.json.journal:3: not a valid status journal"), "{problem}");
}

#[test]
fn a_state_directory_that_is_a_link_into_the_void_is_a_problem_and_not_before_the_first_run() {
    let place = Watched::new();
    let link = place.path().join("state");
    let observer = Observer::new(place.path(), &link);
    let look = || observe(&observer, DateTime::UNIX_EPOCH).status.clone();
    let seen = look();
    assert!(seen.value.is_none() && seen.problem.is_none(), "nothing ever ran");
    let empty = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(empty.path(), &link).unwrap();
    let seen = look();
    assert!(seen.value.is_none() && seen.problem.is_none(), "nothing ever ran there either");
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &link).unwrap();
    let problem = look().problem.unwrap();
    assert!(problem.contains("a link to /nowhere/at/all, which does not exist"), "{problem}");
}
