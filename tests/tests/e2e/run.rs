//! `qdrant-backup run`: what cron calls.

use std::time::Duration;

use e2e::qdrant_stand_in::{Effect, Fault, Setup, StandIn};
use e2e::{Place, Running, Scene, eventually};
use qdrant_backup_shared::operation::{Operation, Outcome};
use qdrant_backup_shared::{CollectionName, atomic};

#[test]
fn one_run_backs_up_verifies_and_prunes_under_one_status() {
    let Scene { server, place } = Scene::with_samples();
    let only = server.collections().iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    place.configure(&format!(
        "qdrant: {{retries: 0}}\nbackup: {{include: [{only}]}}\nretention: {{keep_last: 2}}\nschedule: {{cron: \"0 2 * * *\", timezone: UTC}}\n"
    ));
    for _ in 0..3 {
        place
            .run(&["run"])
            .success()
            .says(&["Backup succeeded: 3 of 3"])
            .says(&["Verification succeeded"])
            .says(&["Prune succeeded"]);
    }

    assert_eq!(place.prove(), 6, "two of each are kept");
    let status = place.status();
    assert_eq!(status.current_run, None);
    for operation in [Operation::Backup, Operation::Verify, Operation::Prune] {
        let history = &status.operations[&operation];
        assert_eq!((history.runs_total, history.failures_total), (3, 0), "{operation}");
        assert_eq!(history.schedule_interval_seconds, Some(86_400.0), "{operation}");
    }
    assert!(!status.operations.contains_key(&Operation::Drill));
    let report = status.last_run.unwrap();
    assert_eq!((report.command.as_str(), report.operations.len()), ("run", 3));
    for name in server.collections() {
        let newest = place.backups(name).pop().unwrap();
        assert!(newest.verification.is_some_and(|record| record.deepest_pass().is_some()), "{name}");
    }
}

#[test]
fn without_a_retention_rule_nothing_is_deleted_and_that_is_no_failure() {
    let Scene { server: _server, place } = Scene::on(StandIn::sample());
    for _ in 0..2 {
        place.run(&["run"]).success().says(&["No retention rule is set"]);
    }
    assert_eq!(place.prove(), 8);
}

#[test]
fn a_damaged_backup_makes_the_run_exit_4_and_is_not_counted_by_retention() {
    let Scene { server: _server, place } = Scene::on(StandIn::sample());
    place.configure("qdrant: {retries: 0}\nverify: {reread_within_days: 1}\nretention: {keep_last: 1}\n");
    place.run(&["run"]).success();
    let archive = place.newest("mixtral_embeddings").archive;
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes[5000] ^= 1;
    qdrant_backup_shared::atomic::write(&archive, 0o600, &bytes).unwrap();

    place.run(&["backup"]).success();
    place.run(&["run"]).code(4).says(&["ERROR", "mixtral_embeddings"]);

    let status = place.status();
    assert_eq!(status.operations[&Operation::Verify].last_outcome, Some(Outcome::Partial));
    assert_eq!(status.operations[&Operation::Backup].last_outcome, Some(Outcome::Success));
}

#[test]
fn a_drill_that_is_due_is_part_of_the_run() {
    let server = StandIn::sample();
    let drills = StandIn::start(Setup::empty());
    let place = Place::initialised(&server.url());
    place.configure(&format!(
        "qdrant: {{retries: 0}}\ndrill: {{url: \"{}\", cron: \"0 4 1 1 *\"}}\nrun: {{verify: false, prune: false}}\n",
        drills.url()
    ));

    place.run(&["run"]).success().says(&["Drill"]);
    assert_eq!(place.status().operations[&Operation::Drill].last_outcome, Some(Outcome::Success));
    assert!(drills.requests_matching("POST", "snapshots/upload").len() == 1);
    drills.clear_requests();
    place.run(&["run"]).success();
    assert_eq!(
        drills.requests_matching("POST", "snapshots/upload").len(),
        0,
        "not repeated before it is due"
    );

    place.configure("drill: {cron: \"0 4 1 1 *\"}\n");
    place.run(&["run"]).code(78).says(&["drill.cron", "needs drill.url"]);
}

#[test]
fn a_drill_that_cannot_begin_is_a_failed_drill_and_the_run_has_ended() {
    let slow = Fault::new(Effect::CreationTakes(Duration::from_secs(3)));
    let Scene { server, place } = Scene::on(StandIn::start(Setup::sample().tls().fault(slow.first(1))));
    let ca_file = place.beside("ca.pem");
    atomic::write(&ca_file, 0o644, server.authority_pem().expect("TLS").as_bytes()).expect("a file");
    place.configure(&format!(
        "qdrant: {{retries: 0, ca_file: \"{}\"}}\ndrill: {{url: \"{}\", cron: \"0 4 1 1 *\"}}\n",
        ca_file.display(),
        server.url().replace("127.0.0.1", "localhost")
    ));
    let mut running = Running::start(&mut place.command(&["run"]));
    eventually("the backup continues", || !server.requests_matching("POST", "/snapshots").is_empty());
    std::fs::remove_file(&ca_file).expect("it existed");
    running.until_it_says("Verification succeeded");

    running.end().code(3).says(&["ERROR", "Drill failed", "ca.pem"]);

    let status = place.status();
    assert_eq!(status.current_run, None, "it has ended");
    assert_eq!(status.operations[&Operation::Drill].last_outcome, Some(Outcome::Failed));
    assert_eq!(status.operations[&Operation::Backup].last_outcome, Some(Outcome::Success));
    assert_eq!(status.last_run.map(|run| run.operations.len()), Some(3));
    place.run(&["verify"]).success().never_says("died in stage");
}

#[test]
fn when_the_server_is_gone_the_stored_backups_are_still_verified_and_none_is_pruned() {
    let place = {
        let server = StandIn::sample();
        let place = Place::initialised(&server.url());
        for _ in 0..2 {
            place.run(&["backup"]).success();
        }
        place
    };
    place.configure("qdrant: {retries: 0, wait_for_server: 0s}\nretention: {keep_last: 1}\n");
    let before = place.prove();
    place
        .run(&["run"])
        .code(1)
        .says(&["cannot reach Qdrant"])
        .says(&["Verification succeeded"])
        .says(&["nothing is pruned"]);
    let status = place.status();
    assert_eq!(status.operations[&Operation::Backup].last_outcome, Some(Outcome::Failed));
    assert_eq!(status.operations[&Operation::Verify].last_outcome, Some(Outcome::Success));
    assert!(!status.operations.contains_key(&Operation::Prune));
    assert_eq!(place.prove(), before);
}

#[test]
fn what_is_switched_off_is_not_expected_any_more() {
    let Scene { server: _server, place } = Scene::on(StandIn::sample());
    let pattern = place.beside("backup.yaml");
    let schedule = "schedule: {cron: \"0 2 * * *\", timezone: UTC}\nretention: {keep_last: 9}\n";
    place.configure(&format!("{schedule}backup: {{include_files: [\"{}\"]}}\n", pattern.display()));
    place.run(&["run"]).success();
    let files = CollectionName::files();
    let status = place.status();
    assert_eq!(status.collections[&files].on_server, Some(true));
    assert!(status.operations[&Operation::Prune].schedule_interval_seconds.is_some());

    place.configure(&format!("{schedule}run: {{prune: false}}\n"));
    place.run(&["run"]).success();
    let status = place.status();
    assert_eq!(status.collections[&files].on_server, None);
    assert_eq!(status.operations[&Operation::Prune].schedule_interval_seconds, None);
    assert!(status.operations[&Operation::Verify].schedule_interval_seconds.is_some());
}
