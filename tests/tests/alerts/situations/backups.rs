//! Situations of runs and backups.

use std::fs;

use e2e::qdrant_stand_in::{Effect, Endpoint, Fault, Setup, StandIn};
use e2e::scene::DOCS;
use e2e::{Running, eventually};
use qdrant_backup_shared::atomic;
use rustix::process::Signal;

use crate::chain::Chain;
use crate::expected::Expected;

use crate::site::Site;

pub fn a_good_run(site: &mut Site, chain: &Chain) {
    site.init();
    site.run().success();
    for operation in ["backup", "verify", "prune"] {
        let query = format!("qdrant_backup_last_run_success{{SITE,operation=\"{operation}\"}}");
        chain.sees(site, &query, "1");
    }
    let watchdog = Expected {
        alert: "Watchdog",
        severity: "none",
        labels: &[],
        summary: "Always firing: shows that alerts get through.",
        description: "The dead man's switch of the backup alerts. If it falls silent, alerting is broken.",
        last_good_backup: "…",
        command: "amtool alert query alertname=QdrantBackupWatchdog --alertmanager.url=http://localhost:9093",
    };
    // Longer than any alert delay: at most an hour, which is half a minute here.
    let ago = "time() - qdrant_backup_last_attempt_timestamp_seconds{SITE,operation=\"backup\"}";
    chain.sees(site, &format!("{ago} > bool 35"), "1");
    eventually("the watchdog alert is repeated", || {
        chain.notified().iter().filter(|notified| watchdog.is(notified)).count() >= 5
    });
    for notified in chain.notified().iter().filter(|notified| watchdog.is(notified)) {
        watchdog.assert_is_said(notified);
    }
    chain.assert_told_of(site, &[], &[]);
}

pub fn a_failing_qdrant(site: &mut Site, chain: &Chain) {
    site.init();
    site.run().success();
    site.server.faults(|faults| faults.add(Fault::status(503)));
    site.run().code(1);
    let failed = Expected {
        alert: "RunFailed",
        severity: "warning",
        labels: &[("operation", "backup")],
        summary: "The last run of an operation failed.",
        description: "The last backup of failing did not succeed.",
        last_good_backup: "… ago",
        command: "qdrant-backup status",
    };
    chain.fires(site, &failed);
    site.server.faults(|faults| faults.clear());
    site.run().success();
    chain.resolves(site, &failed);
    chain.assert_told_of(site, &["RunFailed"], &[]);
}

pub fn a_corrupted_archive(site: &mut Site, chain: &Chain) {
    site.init();
    site.run().success();
    site.run().success();
    let archive = site.oldest_archive();
    let sound = fs::read(&archive).expect("an archive");
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    atomic::write(&archive, atomic::ARCHIVE_MODE, &damaged).expect("it can be damaged");
    site.place.run(&["verify", "--backup", "all"]).code(4);
    let damaged = Expected {
        alert: "VerifyFailed",
        severity: "warning",
        labels: &[("collection", DOCS)],
        summary: "A stored backup is damaged; a newer one is good.",
        description: "Collection docs of corrupted has 1 backups that failed verification, and a newer good one.",
        last_good_backup: "… ago",
        command: "qdrant-backup prune --bad",
    };
    let failed = Expected {
        alert: "RunFailed",
        severity: "warning",
        labels: &[("operation", "verify")],
        summary: "The last run of an operation failed.",
        description: "The last verify of corrupted did not succeed.",
        last_good_backup: "… ago",
        command: "qdrant-backup status",
    };
    chain.fires(site, &damaged);
    chain.fires(site, &failed);
    atomic::write(&archive, atomic::ARCHIVE_MODE, &sound).expect("it can be repaired");
    site.place.run(&["verify", "--backup", "all"]).success();
    chain.resolves(site, &damaged);
    chain.resolves(site, &failed);
    chain.assert_told_of(site, &["RunFailed", "VerifyFailed"], &[]);
}

pub fn a_deleted_archive(site: &mut Site, chain: &Chain) {
    site.init();
    site.run().success();
    site.run().success();
    let archive = site.oldest_archive();
    let copy = fs::read(&archive).expect("an archive");
    fs::remove_file(&archive).expect("it can be deleted");
    let incomplete = Expected {
        alert: "Incomplete",
        severity: "warning",
        labels: &[("collection", DOCS)],
        summary: "The archive of an old backup is missing or has the wrong size; a newer backup is good.",
        description: "Collection docs of deleted has 1 incomplete backups, and a newer good one.",
        last_good_backup: "… ago",
        command: "qdrant-backup prune --bad",
    };
    chain.fires(site, &incomplete);
    atomic::write(&archive, atomic::ARCHIVE_MODE, &copy).expect("it can be put back");
    chain.resolves(site, &incomplete);
    chain.assert_told_of(site, &["Incomplete"], &[]);
}

pub fn a_killed_run(site: &mut Site, chain: &Chain) {
    site.init();
    site.run().success();
    let stall = Effect::StallAfter { bytes: 1_000, lasting: None };
    site.server.faults(|faults| faults.add(Fault::new(stall).on(Endpoint::DownloadSnapshot)));
    let running = Running::start(&mut site.place.command(&["run"]));
    eventually("it downloads", || site.server.faults(|faults| faults.hits()) > 0);
    eventually("and writes", || !site.place.temporary().is_empty());
    assert_eq!(running.end_with(Signal::KILL).code, None);
    let stalled = Expected {
        alert: "RunStalled",
        severity: "warning",
        labels: &[("operation", "backup")],
        summary: "A run has stalled or died.",
        description: "The running backup on killed has made no progress for ….",
        last_good_backup: "… ago",
        command: "qdrant-backup status; pgrep -a qdrant-backup",
    };
    chain.fires(site, &stalled);
    site.server.faults(|faults| faults.clear());
    site.run().success();
    chain.resolves(site, &stalled);
    // Its snapshot stayed on the server until the next run, which can take long on a slow machine.
    chain.assert_told_of(site, &["RunStalled"], &["ServerLeftovers"]);
}

pub fn another_server(site: &mut Site, chain: &Chain) {
    site.init();
    site.run().success();
    site.server.set_peer_id(42);
    site.run().code(3);
    let changed = Expected {
        alert: "SourceChanged",
        severity: "critical",
        labels: &[],
        summary: "The server is not the one that the backups came from.",
        description: "changed now backs up another Qdrant than before; nothing is pruned.",
        last_good_backup: "… ago",
        command: "qdrant-backup status",
    };
    chain.fires(site, &changed);
    chain.is_suppressed(site, "RunFailed", &changed);
    chain.assert_told_of(site, &["SourceChanged"], &[]);
    site.place.run(&["accept-source"]).success();
    site.run().success();
    chain.resolves(site, &changed);
    // Between the two commands the last prune still counts as failed, and no alert inhibits that.
    chain.assert_told_of(site, &["SourceChanged"], &["RunFailed"]);
}

pub fn no_drill_that_passes(site: &mut Site, chain: &Chain) {
    let target = StandIn::start(Setup::empty());
    target.faults(|faults| faults.add(Fault::status(503)));
    site.drill_at(&target.url());
    site.init();
    site.run().code(3);
    let undrilled = Expected {
        alert: "DrillTooOld",
        severity: "info",
        labels: &[],
        summary: "No restore drill has passed in time.",
        description: "Drills of undrilled are scheduled, and none has passed within two of their intervals.",
        last_good_backup: "… ago",
        command: "qdrant-backup drill --backup least-recent",
    };
    chain.fires(site, &undrilled);
    target.faults(|faults| faults.clear());
    site.place.run(&["drill", "--backup", "least-recent"]).success();
    chain.is_quiet(site);
    // Receivers of info alerts get no resolved message.
    assert!(!chain.has_resolved(site, &undrilled));
    chain.assert_told_of(site, &["DrillTooOld", "RunFailed"], &[]);
}

pub fn no_run_any_more(site: &mut Site, chain: &Chain) {
    site.init();
    site.run().success();
    let late = Expected {
        alert: "TooOld",
        severity: "critical",
        labels: &[],
        summary: "No collection has been backed up in time.",
        description: "The newest backup of any collection of late is … old.",
        last_good_backup: "… ago",
        command: "qdrant-backup status",
    };
    chain.fires(site, &late);
    chain.is_suppressed(site, "CollectionTooOld", &late);

    // The exporter is restarted and Prometheus sees that it was down: the same alert continues.
    let since = "ALERTS_FOR_STATE{alertname=\"QdrantBackupTooOld\",instance=\"late\"}";
    let before = chain.prometheus.value(since).expect("it is active");
    site.kill_exporter();
    chain.sees(site, "up{SITE}", "0");
    site.start_exporter();
    chain.sees(site, "up{SITE}", "1");
    chain.sees(site, "count(qdrant_backup_collection_last_success_timestamp_seconds{SITE})", "1");
    assert_eq!(
        chain.prometheus.value(since),
        Some(before),
        "an age alert has resolved because the exporter was restarted"
    );
    assert!(!chain.has_resolved(site, &late));

    site.run().success();
    chain.resolves(site, &late);
    // No notification was repeated. Alerts caused by the wait on a slow machine are ignored.
    chain.assert_told_of(site, &["TooOld"], &["ExporterDown", "VerifyTooOld", "PruneTooOld"]);
}
