//! Situations of the exporter.

use crate::chain::Chain;
use crate::expected::Expected;
use crate::site::Site;

const EXPORTER_DOWN: Expected = Expected {
    alert: "ExporterDown",
    severity: "warning",
    labels: &[],
    summary: "Backups are not watched: the exporter is down, gone, or cannot read the files.",
    description: "The state of the backups of qdrant-backup … is unknown.",
    last_good_backup: "…",
    command: "curl localhost:19854/api/v1/status",
};

const NEVER_RAN: Expected = Expected {
    alert: "NeverRan",
    severity: "critical",
    labels: &[],
    summary: "There is no trace of any backup run.",
    description: "The exporter … finds no trace of a backup run: none was ever started, or the exporter looks in the wrong place.",
    last_good_backup: "unknown",
    command: "qdrant-backup config check",
};

pub fn a_dead_exporter(site: &mut Site, chain: &Chain) {
    site.init();
    site.run().success();
    chain.sees(site, "qdrant_backup_up{SITE}", "1");
    chain.sees(site, "count(qdrant_backup_newest_timestamp_seconds{SITE})", "1");
    site.kill_exporter();
    let down = Expected {
        description: "The state of the backups of qdrant-backup dead is unknown.",
        last_good_backup: "… ago",
        ..EXPORTER_DOWN
    };
    chain.fires(site, &down);
    site.start_exporter();
    chain.resolves(site, &down);
    chain.assert_told_of(site, &["ExporterDown"], &[]);
}

pub fn a_repository_before_its_first_run(site: &mut Site, chain: &Chain) {
    site.init();
    chain.sees(site, "qdrant_backup_up{SITE}", "1");
    chain.fires(site, &NEVER_RAN);
    site.run().success();
    chain.resolves(site, &NEVER_RAN);
    chain.assert_told_of(site, &["NeverRan"], &[]);
}

pub fn no_repository(site: &mut Site, chain: &Chain) {
    chain.sees(site, "qdrant_backup_up{SITE}", "0");
    let down = Expected {
        description: "The state of the backups of qdrant-backup uninitialised is unknown.",
        last_good_backup: "unknown",
        ..EXPORTER_DOWN
    };
    chain.fires(site, &down);
    chain.fires(site, &NEVER_RAN);
    chain.is_suppressed(site, "ExporterDown", &NEVER_RAN);
    site.init();
    site.run().success();
    chain.resolves(site, &NEVER_RAN);
    chain.is_quiet(site);
    chain.assert_told_of(site, &["ExporterDown", "NeverRan"], &[]);
}

pub fn a_web_configuration_that_turned_bad(site: &mut Site, chain: &Chain) {
    site.init();
    site.run().success();
    chain.sees(site, "qdrant_backup_exporter_web_config_success{SITE}", "1");
    chain.sees(site, "count(qdrant_backup_newest_timestamp_seconds{SITE})", "1");
    site.configure_web("nonsense: 1\n");
    let refused = Expected {
        alert: "WebConfigRefused",
        severity: "warning",
        labels: &[],
        summary: "The exporter cannot use its web configuration and keeps the previous one.",
        description: "The exporter of misconfigured still uses the certificate and passwords that it read before. It could not start again with the present files.",
        last_good_backup: "… ago",
        command: "journalctl -u qdrant-backup-exporter -n 20",
    };
    chain.fires(site, &refused);
    site.configure_web("");
    chain.resolves(site, &refused);
    chain.assert_told_of(site, &["WebConfigRefused"], &[]);
}
