//! What is remembered from one look to the next, and for how long.

use std::fs::OpenOptions;

use chrono::TimeDelta;
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::verification::{CheckOutcome, Level};

use crate::watched::{Watched, at, name, wall_clock};

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
            std::sync::Arc::ptr_eq(
                &first.collections[&name(collection)],
                &second.collections[&name(collection)],
            )
        };
        assert!(same("docs") && !same("images"), "after {seconds} s");
    }
}
