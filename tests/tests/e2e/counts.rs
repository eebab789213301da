//! What the number of points proves: little on the first restore of a backup, everything on later ones.

use e2e::qdrant_stand_in::{Collection, Effect, Endpoint, Fault, GeneratedSnapshot, Setup, StandIn};
use e2e::{Place, Ran, Scene};
use qdrant_backup_shared::FailureKind;
use qdrant_backup_shared::catalog::Condition;
use qdrant_backup_shared::operation::Operation;
use qdrant_backup_shared::verification::{CheckOutcome, Level, RestoredPoints, VerificationRecord};
use serde_json::json;

/// A backup of "churn": the server counts `counted` points before and after, and the snapshot has `held`.
fn backed_up(counted: u64, held: u64) -> Scene {
    let churn = Collection::generated("churn", GeneratedSnapshot::new(20_000).points_count(counted));
    let holds = Fault::new(Effect::CreationHoldsPoints(held));
    let Scene { server: stand_in, place } =
        Scene::on(StandIn::start(Setup::empty().collection(churn).fault(holds)));
    place.configure("qdrant:\n  retries: 0\n");
    place.run(&["backup"]).success();
    let source = &place.backups("churn")[0].manifest.source;
    assert_eq!((source.points_count_before, source.points_count_after), (Some(counted), Some(counted)));
    stand_in.faults(|faults| faults.clear());
    Scene { server: stand_in, place }
}

fn record(place: &Place) -> VerificationRecord {
    place.backups("churn").remove(0).verification.unwrap()
}

fn found(place: &Place) -> Option<RestoredPoints> {
    place.backups("churn").remove(0).verification?.restored_points
}

fn restore(place: &Place, target: &str) -> Ran {
    place.run(&["restore", "--collection", "churn", "--as", target])
}

/// Drills this backup by id. After a failed drill it is no longer the latest good one.
fn drill(place: &Place) -> Ran {
    let id = place.backups("churn")[0].manifest.backup_id.to_string();
    place.run(&["drill", "--on-source", "--collection", "churn", "--backup", &id])
}

#[test]
fn a_collection_that_was_written_to_is_restored_with_a_warning_in_numbers() {
    for held in [900, 1100, 999] {
        let Scene { server: _stand_in, place } = backed_up(1000, held);
        let ran = restore(&place, "beside").success();
        let expected = format!(
            "\"beside\": it has {held} points; the counts were 1000 before the snapshot and 1000 after it"
        );
        assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
        assert!(!ran.stderr.contains("PARTLY"), "{}", ran.stderr);
        let run = place.status().last_run.unwrap();
        assert!(run.warnings.iter().any(|warning| warning.contains(&expected)), "{:?}", run.warnings);
        assert_eq!(run.operations[0].collections[0].points, Some(held));
        assert_eq!(found(&place).unwrap().count, held);
        assert_eq!(found(&place).unwrap().by, Operation::Restore);
        restore(&place, "again").success().never_says("the counts were");
        drill(&place).success().never_says("the counts were");
        assert_eq!(place.backups("churn")[0].condition(), Condition::Good);
    }
}

#[test]
fn a_drill_of_a_collection_that_was_written_to_passes_for_its_bytes_and_says_what_is_uncertain() {
    let Scene { server: _stand_in, place } = backed_up(1000, 900);
    let ran = drill(&place).success().says(&["it has 900 points; the counts were 1000"]);
    assert!(ran.last_line().contains("Drill succeeded: 1 of 1 backups passed"), "{}", ran.stderr);
    let record = record(&place);
    let level = &record.levels[&Level::Restore];
    assert_eq!(level.outcome, CheckOutcome::Passed);
    assert_eq!(level.findings[0].kind, "points_uncertain");
    assert_eq!(record.restored_points.unwrap().by, Operation::Drill);
    assert_eq!(place.backups("churn")[0].condition(), Condition::Good);
    drill(&place).success();
    assert_eq!(self::record(&place).levels[&Level::Restore].findings, [], "the number is recorded now");
}

#[test]
fn what_was_found_first_is_what_later_restores_and_drills_must_find() {
    for (held, first) in [(900, "restore"), (900, "drill"), (1000, "restore"), (1000, "drill")] {
        let Scene { server: stand_in, place } = backed_up(1000, held);
        let _ = if first == "restore" { restore(&place, "first") } else { drill(&place) }.success();
        let truth = found(&place).unwrap();
        assert_eq!(truth.count, held);
        stand_in.faults(|faults| faults.add(Fault::new(Effect::RestoredLacksPoints(1))));

        let ran = restore(&place, "second").code(1);
        let line = ran.last_line();
        assert!(
            line.contains(&format!("{} points were restored, but there were {held} when", held - 1)),
            "{line}"
        );
        assert!(line.contains("\"second\" may be PARTLY RESTORED: do not use it"), "{line}");
        let failure = place.status().last_run.unwrap().operations.remove(0).collections.remove(0).failure;
        assert_eq!(failure.unwrap().kind, FailureKind::RestoreMismatch);

        drill(&place).code(4);
        let record = record(&place);
        assert_eq!(record.levels[&Level::Restore].outcome, CheckOutcome::Failed);
        assert_eq!(record.levels[&Level::Restore].findings[0].kind, "points_differ");
        assert_eq!(record.restored_points.unwrap().count, held, "the right number is kept");
        stand_in.faults(|faults| faults.clear());
        drill(&place).success();
        assert_eq!(place.backups("churn")[0].condition(), Condition::Good);
    }
}

#[test]
fn what_a_restore_to_another_server_found_counts_too() {
    let Scene { server: stand_in, place } = backed_up(1000, 1000);
    let other = StandIn::start(Setup::empty());
    place.run(&["restore", "--collection", "churn", "--to", &other.url()]).success();
    assert_eq!(found(&place).unwrap().count, 1000);
    stand_in.faults(|faults| faults.add(Fault::new(Effect::RestoredLacksPoints(3))));
    drill(&place).code(4).says(&["997 points were restored, but there were 1000 when"]);
}

#[test]
fn more_points_than_were_found_first_are_a_failure_that_says_who_to_look_for() {
    let Scene { server: stand_in, place } = backed_up(1000, 900);
    restore(&place, "first").success();
    stand_in.faults(|faults| faults.add(Fault::new(Effect::PointsCount(901)).collection("second")));
    let ran = restore(&place, "second").code(1);
    assert!(
        ran.last_line().contains("\"second\" is restored, but contains more than the backup"),
        "{}",
        ran.stderr
    );
    assert!(!ran.last_line().contains("PARTLY"), "{}", ran.stderr);
}

#[test]
fn a_collection_that_others_already_write_to_is_not_taken_for_the_backups_content() {
    let Scene { server: stand_in, place } = backed_up(1000, 1000);
    let written = |collection: &str| {
        stand_in.faults(|faults| {
            for points in 1001..1030 {
                faults.add(Fault::new(Effect::PointsCount(points)).collection(collection).first(1));
            }
        });
    };
    written("live");
    restore(&place, "live").success().says(&["it was being written to then, or has been since"]);
    assert_eq!(found(&place), None, "the number changes");
    restore(&place, "first").success();
    written("live2");
    restore(&place, "live2")
        .success()
        .says(&["an earlier restore of this backup had 1000: it is being written to"]);
    assert_eq!(found(&place).unwrap().count, 1000);
}

#[test]
fn a_restore_that_lost_most_points_is_a_failure_and_no_truth() {
    for lost in [1000, 501] {
        let Scene { server: stand_in, place } = backed_up(1000, 1000);
        stand_in.faults(|faults| faults.add(Fault::new(Effect::RestoredLacksPoints(lost))));
        let ran = restore(&place, "beside").code(1);
        let expected = format!("only {} points were restored, but there were 1000", 1000 - lost);
        assert!(ran.last_line().contains(&expected), "{}", ran.stderr);
        assert!(ran.last_line().contains("do not use it"), "{}", ran.stderr);
        drill(&place).code(4);
        assert_eq!(record(&place).levels[&Level::Restore].findings[0].kind, "points_missing");
        assert_eq!(found(&place), None);
        stand_in.faults(|faults| faults.clear());
        drill(&place).success();
    }
}

#[test]
fn a_sampled_point_that_differs_condemns_no_backup_of_a_collection_that_was_written_to() {
    let Scene { server: stand_in, place } = backed_up(1000, 900);
    let differs = |index| Fault::new(Effect::RestoredVectorDiffers(index));
    stand_in.faults(|faults| faults.add(differs(4)));
    drill(&place).success().says(&["1 of 16 sampled points differ", "0 missing, 1 different"]);
    assert_eq!(place.backups("churn")[0].condition(), Condition::Good);
    assert_eq!(found(&place).unwrap().sample_matched_at, None);

    // After a drill in which all sampled points matched, they must always match.
    stand_in.faults(|faults| faults.clear());
    drill(&place).success();
    assert!(found(&place).unwrap().sample_matched_at.is_some());
    stand_in.faults(|faults| faults.add(differs(4)));
    drill(&place).code(4).says(&["point 4 differs from the backup"]);
}

#[test]
fn updates_in_the_queue_are_waited_for_before_points_are_counted() {
    let Scene { server: stand_in, place } = backed_up(1000, 1000);
    stand_in.faults(|faults| faults.add(Fault::new(Effect::UpdatesQueuedForPolls(3))));
    restore(&place, "beside").success().never_says("the counts were");
    drill(&place).success();
    assert_eq!(found(&place).unwrap().count, 1000);

    place.configure("qdrant:\n  retries: 0\nrestore:\n  settle_timeout: 1s\n");
    stand_in.faults(|faults| {
        faults.clear();
        faults.add(Fault::new(Effect::UpdatesQueuedForPolls(1_000_000)));
    });
    let ran = restore(&place, "behind").success();
    assert!(
        ran.stderr.contains("updates wait in its queue: not all of its points are visible yet"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("an earlier restore of this backup had 1000"), "{}", ran.stderr);
}

#[test]
fn read_fan_out_which_qdrant_leaves_out_is_set_again_after_a_restore() {
    let Scene { server: stand_in, place } = backed_up(10, 10);
    stand_in.state(|state| {
        let params = &mut state.collection_mut("churn").config["params"];
        params["read_fan_out_factor"] = json!(2);
        params["read_fan_out_delay_ms"] = json!(50);
    });
    let name = qdrant_backup_shared::CollectionName::new("churn").unwrap();
    let mut manifest = place.backups("churn").remove(0).manifest;
    manifest.source.config = Some(stand_in.state(|state| state.collection_mut("churn").config.clone()));
    let path = place.layout().manifest(&name, manifest.backup_id);
    qdrant_backup_shared::json_file::write(&path, &manifest).unwrap();
    let params =
        |collection: &str| stand_in.state(|state| state.collection_mut(collection).config["params"].clone());

    restore(&place, "beside").success();
    assert_eq!(params("beside")["read_fan_out_factor"], json!(2));
    assert_eq!(params("beside")["read_fan_out_delay_ms"], json!(50));
    drill(&place).success();

    stand_in.clear_requests();
    let over = ["restore", "--collection", "churn", "--as", "beside", "--force", "--no-safety-backup"];
    place.run(&over).success();
    assert_eq!(
        stand_in.requests_matching("PATCH", "/collections/").len(),
        0,
        "its configuration is unchanged"
    );

    stand_in.faults(|faults| faults.add(Fault::status(403).on(Endpoint::UpdateCollection)));
    let ran = restore(&place, "without").success();
    assert!(
        ran.stderr.contains("was restored without {\"read_fan_out_delay_ms\":50,\"read_fan_out_factor\":2}"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_file_that_the_server_keeps_and_does_not_list_is_told_and_remembered() {
    let churn = Collection::generated("churn", GeneratedSnapshot::new(20_000).points_count(100));
    let Scene { server: stand_in, place } = Scene::on(StandIn::start(Setup::empty().collection(churn).s3()));
    place.run(&["backup"]).success();
    let ran = restore(&place, "beside").success();
    let (collection, file) = stand_in.state(|state| state.unreachable_uploads.remove(0));
    assert_eq!(collection, "beside");
    let url = stand_in.url();
    assert!(
        ran.stderr.contains(&format!("the uploaded file {file} stays on the disk of {url}")),
        "{}",
        ran.stderr
    );
    let unlisted = |place: &Place| {
        let status = place.status();
        assert_eq!(status.undeleted_snapshots, [], "no request can delete it");
        status.unlisted_uploads.into_iter().map(|upload| upload.name).collect::<Vec<_>>()
    };
    assert_eq!(unlisted(&place), std::slice::from_ref(&file));
    place.run(&["backup"]).success();
    assert_eq!(unlisted(&place), std::slice::from_ref(&file), "a later run does not forget it");
    let shown = place.run(&["status"]);
    assert!(shown.stdout.contains(&file) && shown.stdout.contains("not in its list"), "{}", shown.stdout);
    place.run(&["prune", "--server-leftovers", "--yes"]).success().says(&["delete it on the server's disk"]);
    assert_eq!(unlisted(&place), Vec::<String>::new());

    drill(&place).success().says(&["stays on the disk of"]);
    assert_eq!(unlisted(&place).len(), 1);
}

#[test]
fn a_collection_with_other_vectors_is_not_restored_over_and_that_is_said_beforehand() {
    let Scene { server: stand_in, place } = backed_up(10, 10);
    stand_in
        .state(|state| state.collection_mut("churn").config["params"]["vectors"]["on_disk"] = json!(true));
    stand_in.clear_requests();
    let ran = place.run(&["restore", "--collection", "churn", "--force"]).code(1);
    let line = ran.last_line();
    assert!(line.contains("params.vectors.on_disk: none in the backup, true on the server"), "{line}");
    assert!(line.contains("--as NEW") && line.contains("\"churn\" is untouched"), "{line}");
    assert!(
        stand_in.requests().iter().all(|request| !request.changes_something()),
        "no safety backup either"
    );
}
