//! Failed, inconclusive and unsupported are different outcomes. Tests what is recorded and which backups are due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::catalog::{Backup, Whole};
use qdrant_backup_shared::json_file;
use qdrant_backup_shared::manifest::{Encoding, Origin, Scope};
use qdrant_backup_shared::verification::{CheckOutcome, Level, VerificationRecord};
use qdrant_backup_shared::{CollectionName, FailureKind, Status, atomic};

use super::stored::{Place, describe, genuine, kinds, stored};
use super::structure::{take_apart, whole};
use crate::archive::inspect::{Limits, inspect};
use crate::archive::read::Source;
use crate::choice::Present;
use crate::verify::judge;
use crate::verify::verdict::Verdict;
use crate::verify::{Check, Depth, Interrupted, due, enter, verify_backup};

const ID: &str = "2025-07-15-14-30-00";
const SAMPLE: &str = "1.18.3/mixtral_embeddings.snapshot";

fn sample(place: &Place) -> Whole {
    place.store("docs", ID, &genuine(SAMPLE), &[Encoding::Gzip])
}

#[test]
fn what_cannot_be_read_is_inconclusive_and_what_is_not_there_failed() {
    let place = Place::new();
    let backup = sample(&place);
    let path = place.archive(&backup);
    std::fs::remove_file(&path).unwrap();
    for depth in [Depth::Checksum, Depth::Archive] {
        let check = place.check(&backup, depth);
        assert_eq!((check.outcome.clone(), kinds(&check)), (CheckOutcome::Failed, vec!["archive_missing"]));
    }
    std::fs::create_dir(&path).unwrap();
    for depth in [Depth::Checksum, Depth::Archive] {
        let check = place.check(&backup, depth);
        assert_eq!(check.outcome, CheckOutcome::Inconclusive);
        assert_eq!(
            (kinds(&check), check.failure.clone()),
            (vec!["archive_unreadable"], Some(FailureKind::Io))
        );
    }
}

#[test]
fn what_this_version_does_not_know_is_unsupported_unless_it_is_bad_anyway() {
    let place = Place::new();
    let mut required = sample(&place);
    required.manifest.requires.push("raid".to_owned());
    let mut encoded = sample(&place);
    encoded.manifest.archives[0].encoding = vec![Encoding::Other("lzma".to_owned())];
    let mut scoped = sample(&place);
    scoped.manifest.archives[0].scope = Scope::Other("storage".to_owned());
    for (backup, kind) in
        [(&required, "requirement_unknown"), (&encoded, "encoding_unsupported"), (&scoped, "scope_unknown")]
    {
        let check = place.check(backup, Depth::Archive);
        assert_eq!((check.outcome.clone(), kinds(&check)), (CheckOutcome::Unsupported, vec![kind]));
        assert_eq!(check.failure, Some(FailureKind::VersionUnsupported));
    }
    assert_eq!(place.check(&required, Depth::Checksum).outcome, CheckOutcome::Unsupported);
    assert_eq!(place.check(&encoded, Depth::Checksum).outcome, CheckOutcome::Passed);
    let mut bytes = std::fs::read(place.archive(&encoded)).unwrap();
    bytes[100] ^= 1;
    atomic::write(&place.archive(&encoded), 0o600, &bytes).unwrap();
    let check = place.check(&encoded, Depth::Archive);
    assert_eq!(kinds(&check), ["archive_checksum", "encoding_unsupported"], "the gravest first");
    assert_eq!((check.outcome, check.failure), (CheckOutcome::Failed, Some(FailureKind::ChecksumMismatch)));
}

#[test]
fn an_interrupted_check_has_found_nothing() {
    let place = Place::new();
    let backup = sample(&place);
    let source = Source::here(place.layout.clone());
    for depth in [Depth::Checksum, Depth::Archive] {
        let read = std::cell::Cell::new(0);
        let result =
            verify_backup(&source, &backup.manifest, depth, &mut |count| read.set(count), &|| read.get() > 0);
        assert_eq!(result, Err(Interrupted));
    }
}

#[test]
fn progress_adds_up_to_the_stored_bytes() {
    let place = Place::new();
    let backup = sample(&place);
    let source = Source::here(place.layout.clone());
    for depth in [Depth::Checksum, Depth::Archive] {
        let mut read = 0;
        verify_backup(&source, &backup.manifest, depth, &mut |count| read += count, &|| false).unwrap();
        assert_eq!(read, backup.manifest.stored_size_bytes());
    }
}

#[test]
fn unfamiliar_forms_pass_and_are_listed() {
    let place = Place::new();
    let mut entries = take_apart(&genuine(SAMPLE));
    let twice = entries.iter().find(|entry| entry.name() == "config.json").unwrap().clone();
    entries.push(twice);
    let backup = place.store("docs", ID, &whole(&entries), &[]);
    let check = place.check(&backup, Depth::Archive);
    assert_eq!((check.outcome.clone(), kinds(&check)), (CheckOutcome::Passed, vec!["duplicate_member"]));
}

#[test]
fn what_could_not_be_followed_to_its_end_is_not_called_sound() {
    let snapshot = genuine(SAMPLE);
    let manifest = describe("docs", ID, &snapshot, &[]);
    let limits = Limits { max_members: 3, ..Limits::default() };
    let inspection = inspect(&mut snapshot.as_slice(), &limits).unwrap();
    let mut verdict = Verdict::default();
    judge::contents(&manifest, &manifest.archives[0], &inspection, "", &mut verdict);
    let (outcome, failure, findings) = verdict.finish();
    assert_eq!((outcome, failure), (CheckOutcome::Unsupported, Some(FailureKind::VersionUnsupported)));
    let kinds: Vec<&str> = findings.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(kinds, ["contents_not_followed", "too_many_members"]);
}

#[test]
fn points_that_are_counted_must_be_somewhere() {
    let place = Place::new();
    let mut backup = place.store("docs", ID, &genuine("1.18.3/empty.snapshot"), &[]);
    assert_eq!(place.check(&backup, Depth::Archive).outcome, CheckOutcome::Passed);
    backup.manifest.source.points_count_before = Some(100);
    let check = place.check(&backup, Depth::Archive);
    assert_eq!((kinds(&check), check.failure.clone()), (vec!["no_points"], Some(FailureKind::EmptySnapshot)));
}

#[test]
fn an_imported_backup_is_held_only_against_what_is_known_of_it() {
    let place = Place::new();
    for name in [SAMPLE, "1.18.3/mixtral_embeddings.shard-0.snapshot"] {
        let snapshot = genuine(name);
        let mut manifest = describe("docs", ID, &snapshot, &[Encoding::Gzip]);
        manifest.origin = Origin::Imported;
        manifest.source = Default::default();
        manifest.archives[0].shard_ids.clear();
        let backup = place.put(&manifest, &stored(&snapshot, &[Encoding::Gzip]));
        let check = place.check(&backup, Depth::Archive);
        assert_eq!((check.outcome, check.findings), (CheckOutcome::Passed, vec![]), "{name}");
    }
}

fn at(day: i64) -> DateTime<Utc> {
    "2025-07-15T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(day)
}

fn check(depth: Depth, outcome: CheckOutcome) -> Check {
    let duration = Duration::from_secs(1);
    Check { level: depth.level(), outcome, failure: None, findings: Vec::new(), duration }
}

#[test]
fn a_failure_on_record_is_cleared_only_at_the_same_level_or_deeper() {
    let place = Place::new();
    let manifest = sample(&place).manifest;
    let failed_after = |depth, outcome, day| {
        assert_eq!(enter(&place.layout, &manifest, &check(depth, outcome), at(day)).unwrap(), None);
        let path = place.layout.verification(&manifest.collection, manifest.backup_id);
        json_file::read::<VerificationRecord>(&path).unwrap().failed()
    };
    assert!(!failed_after(Depth::Checksum, CheckOutcome::Passed, 0));
    assert!(failed_after(Depth::Archive, CheckOutcome::Failed, 1));
    assert!(failed_after(Depth::Checksum, CheckOutcome::Passed, 2));
    assert!(failed_after(Depth::Archive, CheckOutcome::Inconclusive, 3));
    assert!(!failed_after(Depth::Archive, CheckOutcome::Passed, 4));
    assert!(failed_after(Depth::Checksum, CheckOutcome::Failed, 5));
    assert!(!failed_after(Depth::Archive, CheckOutcome::Passed, 6));
}

#[test]
fn a_torn_or_foreign_record_is_moved_aside_and_kept() {
    let place = Place::new();
    let manifest = sample(&place).manifest;
    let path = place.layout.verification(&manifest.collection, manifest.backup_id);
    let other = VerificationRecord::new("2020-01-01-00-00-00".parse().unwrap());
    let contents: [Vec<u8>; 3] = [
        b"{\"schema_version\": 1, ".to_vec(),
        json_file::to_bytes(&other).unwrap(),
        b"{\"schema_version\": 2}".to_vec(),
    ];
    for torn in &contents {
        atomic::write(&path, 0o640, torn).unwrap();
        let passed = check(Depth::Archive, CheckOutcome::Passed);
        let warning = enter(&place.layout, &manifest, &passed, at(0)).unwrap().unwrap();
        assert!(warning.contains("moved aside to"), "{warning}");
        let record: VerificationRecord = json_file::read(&path).unwrap();
        assert_eq!(record.levels.keys().collect::<Vec<_>>(), [&Level::Archive]);
    }
    let kept = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            name.contains(".unreadable-").then(|| std::fs::read(entry.path()).unwrap())
        })
        .collect::<Vec<_>>();
    assert_eq!(kept.len(), 3);
    assert!(contents.iter().all(|torn| kept.contains(torn)));
    assert_eq!(place.catalog().unreadable, [], "what was moved aside is foreign to the catalog");
    assert!(place.path().exists());
}

/// A backup from day `day` whose archive was last read on day `read`.
fn of_day(day: i64, read: Option<i64>, failed: bool) -> Backup {
    let mut manifest = describe("docs", ID, &genuine("1.18.3/empty.snapshot"), &[]);
    manifest.backup_id = qdrant_backup_shared::BackupId::at(at(day));
    let verification = read.map(|read| {
        let mut record = VerificationRecord::new(manifest.backup_id);
        let outcome = if failed { CheckOutcome::Failed } else { CheckOutcome::Passed };
        record.enter(Level::Archive, at(read), outcome, 1.0, Vec::new());
        record
    });
    let mut backup = Backup::of(&manifest, Arc::new(manifest.collection.clone()));
    backup.take_record(verification.as_ref());
    backup
}

const DAY: Duration = Duration::from_secs(86_400);

fn present(now: i64) -> Present<'static> {
    Present { status: None, now: at(now) }
}

fn due_days(backups: &Vec<Backup>, now: i64, within: u32, interval: Duration) -> Vec<i64> {
    let name = CollectionName::new("docs").unwrap();
    let collections = BTreeMap::from([(&name, backups)]);
    due(&collections, &|_| false, present(now), DAY * within, interval)
        .into_iter()
        .map(|(_, id)| (id.time() - at(0)).num_days())
        .collect()
}

#[test]
fn the_newest_backup_of_a_collection_that_is_gone_is_read_once_and_then_in_turn() {
    let name = CollectionName::new("docs").unwrap();
    let mut backups: Vec<Backup> = (0..3).map(|day| of_day(day, None, false)).collect();
    let newest = |backups: &Vec<Backup>, gone: bool| {
        let collections = BTreeMap::from([(&name, backups)]);
        let id = backups[2].backup_id;
        due(&collections, &|_| gone, present(4), DAY * 300, DAY).contains(&(&name, id))
    };
    assert!(newest(&backups, true), "never read");
    backups[2] = of_day(2, Some(3), false);
    assert!(newest(&backups, false));
    assert!(!newest(&backups, true));
}

#[test]
fn the_newest_is_always_due_and_the_newest_good_one_with_it() {
    let good = vec![of_day(0, Some(1), false), of_day(1, Some(2), false), of_day(2, None, false)];
    assert_eq!(due_days(&good, 3, 30, DAY), [0, 2], "and of the others the one read longest ago");
    let bad = vec![of_day(0, Some(2), false), of_day(1, Some(2), false), of_day(2, Some(2), true)];
    assert_eq!(due_days(&bad, 3, 30, DAY), [0, 1, 2]);
    assert_eq!(due_days(&vec![of_day(0, None, false)], 3, 30, DAY), [0]);
    assert_eq!(due_days(&Vec::new(), 3, 30, DAY), [0_i64; 0]);
}

#[test]
fn the_newest_is_the_one_made_last_and_not_one_dated_in_the_future() {
    let backups: Vec<Backup> = [0, 1, 2, 900].map(|day| of_day(day, Some(3), false)).into();
    let name = CollectionName::new("docs").unwrap();
    let collections = BTreeMap::from([(&name, &backups)]);
    let mut status = Status::new("0.2.0".to_owned(), "db-1".to_owned());
    let entry = status.collections.entry((*backups[2].collection).clone()).or_default();
    entry.last_backup_id = Some(backups[2].backup_id);
    let present = Present { status: Some(&status), now: at(4) };
    let due = due(&collections, &|_| false, present, DAY * 300, DAY);
    assert!(due.contains(&(&name, backups[2].backup_id)), "{due:?}");
    assert_eq!(due.len(), 2, "it and one of the others");
}

#[test]
fn never_read_comes_first_and_the_future_counts_as_never() {
    let backups = vec![
        of_day(0, Some(1), false),
        of_day(1, None, false),
        of_day(2, Some(90), false),
        of_day(3, Some(3), false),
    ];
    assert_eq!(due_days(&backups, 4, 30, DAY), [2, 3]);
    assert_eq!(due_days(&backups, 4, 2, DAY), [1, 2, 3]);
    assert_eq!(due_days(&backups, 4, 1, DAY), [0, 1, 2, 3], "one run has to do all");
    assert_eq!(due_days(&backups, 4, 1, DAY * 7), [0, 1, 2, 3]);
}

#[test]
fn every_backup_is_read_again_in_time() {
    for (count, within, interval_hours) in
        [(40, 30, 24), (100, 7, 24), (3, 30, 24), (50, 30, 6), (20, 30, 168)]
    {
        let interval = Duration::from_secs(interval_hours * 3600);
        let mut backups: Vec<Backup> = (0..count).map(|day| of_day(day, None, false)).collect();
        let start = at(count);
        let step = TimeDelta::from_std(interval).unwrap();
        let name = CollectionName::new("docs").unwrap();
        let runs = i32::try_from(3 * within * 24 / interval_hours).unwrap();
        for run in 0..runs {
            let now = start + step * run;
            let chosen: Vec<_> = due(
                &BTreeMap::from([(&name, &backups)]),
                &|_| false,
                Present { status: None, now },
                DAY * u32::try_from(within).unwrap(),
                interval,
            )
            .into_iter()
            .map(|(_, id)| id)
            .collect();
            for backup in backups.iter_mut().filter(|backup| chosen.contains(&backup.backup_id)) {
                let mut record = VerificationRecord::new(backup.backup_id);
                record.enter(Level::Archive, now, CheckOutcome::Passed, 1.0, Vec::new());
                backup.take_record(Some(&record));
            }
            if run >= runs / 3 {
                let oldest =
                    backups.iter().map(|backup| backup.check(&Level::Archive).map(|check| check.last_at));
                let oldest = oldest.min().unwrap().expect("every one was read");
                assert!(now - oldest <= TimeDelta::from_std(DAY * u32::try_from(within).unwrap()).unwrap());
            }
        }
    }
}
