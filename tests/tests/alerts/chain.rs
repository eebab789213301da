//! Prometheus, Alertmanager and a receiver with the shipped files, and assertions about them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use e2e::scaled::{self, Scale};
use e2e::{Alertmanager, Prometheus, Webhook, eventually_within};
use qdrant_backup_shared::atomic;
use serde_json::{Value, json};

use crate::expected::{Expected, Notified};
use crate::site::Site;

/// An hour becomes half a minute. With a larger factor, short delays on a busy machine would look like outages.
const SCALE: Scale = Scale(120);

/// Four times the longest alert delay.
const PATIENCE: Duration = Duration::from_secs(120);

/// Alerts about the disk of the machine that runs the tests.
const OF_THE_MACHINE: [&str; 2] = ["QdrantBackupStorageTooSmall", "QdrantBackupStorageFillingUp"];

/// Prometheus, Alertmanager and the receiver.
pub struct Chain {
    pub prometheus: Prometheus,
    alertmanager: Alertmanager,
    webhook: Webhook,
    _directory: tempfile::TempDir,
}

impl Chain {
    /// A chain that monitors `sites`.
    pub fn start(sites: &[Site]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let webhook = Webhook::start();
        let put = |name: &str, text: &str| {
            atomic::write(&directory.path().join(name), 0o600, text.as_bytes()).expect("a file");
        };
        fs::create_dir(directory.path().join("templates")).expect("a directory");
        put("templates/qdrant-backup.tmpl", &shipped("templates/qdrant-backup.tmpl"));
        let config = scaled::alertmanager(&shipped("alertmanager.yml"), SCALE, &webhook.url());
        put("alertmanager.yml", &config.expect("Alertmanager's configuration can be scaled"));
        let rules = scaled::rules(&shipped("qdrant-backup.rules.yml"), SCALE);
        put("qdrant-backup.rules.yml", &rules.expect("the rules can be scaled"));
        // Starts first, because Prometheus sends its first alerts immediately.
        let alertmanager = Alertmanager::start(directory.path());
        let every = SCALE.duration("1m").expect("a duration");
        let targets = sites.iter().map(
            |site| json!({ "targets": [site.address.to_string()], "labels": { "instance": site.name } }),
        );
        let config = json!({
            "global": { "scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every },
            "rule_files": ["qdrant-backup.rules.yml"],
            "alerting": { "alertmanagers": [
                { "static_configs": [{ "targets": [alertmanager.address().to_string()] }] },
            ] },
            "scrape_configs": [{ "job_name": "qdrant-backup", "static_configs": targets.collect::<Value>() }],
        });
        put("prometheus.yml", &config.to_string());
        // Alertmanager treats an alert as resolved if it is not repeated within four times this interval.
        let prometheus = Prometheus::start(directory.path(), &["--rules.alert.resend-delay=2s"]);
        Self { prometheus, alertmanager, webhook, _directory: directory }
    }

    /// Waits until the receiver has got `expected` of `site` as JSON and as the template's text. Fails the test
    /// unless both are correct.
    #[track_caller]
    pub fn fires(&self, site: &Site, expected: &Expected) {
        let what = format!("{} of {} fires", expected.name(), site.name);
        let notified = wait(&what, || self.find(site, expected, true));
        expected.assert_is_said(&notified);
        let lines = notified.lines();
        let what = format!("{} gets a text with {lines:#?}", expected.receiver());
        wait(&what, || {
            let holds = |(title, text): &(String, String)| {
                title.contains(&format!("backups of {}", site.name))
                    && lines.iter().all(|line| text.lines().any(|there| there == line))
            };
            self.texts(&expected.receiver()).into_iter().find(holds)
        });
    }

    /// Waits until the receiver has got, as JSON and as text, that `expected` is resolved.
    #[track_caller]
    pub fn resolves(&self, site: &Site, expected: &Expected) {
        let what = format!("{} of {} resolves", expected.name(), site.name);
        let notified = wait(&what, || self.find(site, expected, false));
        assert_eq!(notified.receiver, expected.receiver());
        let line = format!("Resolved: {}: {}", expected.name(), expected.summary);
        wait(&format!("{} reads {line:?}", expected.receiver()), || {
            let holds = |(_, text): &(String, String)| text.lines().any(|there| there == line);
            self.texts(&expected.receiver()).into_iter().find(holds)
        });
    }

    /// Whether any receiver was notified that `expected` is resolved.
    pub fn has_resolved(&self, site: &Site, expected: &Expected) -> bool {
        self.find(site, expected, false).is_some()
    }

    /// Waits until Alertmanager reports that `alert` of `site` is suppressed by `by`.
    #[track_caller]
    pub fn is_suppressed(&self, site: &Site, alert: &str, by: &Expected) {
        let what = format!("{alert} of {} is suppressed by {}", site.name, by.name());
        wait(&what, || {
            let alerts = self.alertmanager.alerts();
            let of = |name: &str| {
                alerts.iter().find(|alert| {
                    alert["labels"]["alertname"] == name && alert["labels"]["instance"] == site.name
                })
            };
            let (suppressed, by) = (of(&format!("QdrantBackup{alert}"))?, of(&by.name())?);
            let status = &suppressed["status"];
            let inhibited_by = status["inhibitedBy"].as_array()?;
            (status["state"] == "suppressed" && inhibited_by.contains(&by["fingerprint"])).then_some(())
        });
    }

    /// Waits until Alertmanager has no alerts of `site`. It sends no resolved message for an alert that ended while
    /// suppressed.
    #[track_caller]
    pub fn is_quiet(&self, site: &Site) {
        wait(&format!("nothing is wrong with {}", site.name), || {
            let of_site = |alert: &Value| {
                alert["labels"]["instance"] == site.name
                    && !OF_THE_MACHINE.contains(&alert["labels"]["alertname"].as_str().unwrap_or_default())
            };
            (!self.alertmanager.alerts().iter().any(of_site)).then_some(())
        });
    }

    /// The names of the alerts of `site` that any receiver was notified of, without `QdrantBackup`. Resolved ones do
    /// not count: the end of a suppressed alert is reported together with the alert that suppressed it.
    fn told_of(&self, site: &Site) -> BTreeSet<String> {
        self.notified()
            .into_iter()
            .filter(|notified| notified.is_firing && notified.label("instance") == site.name)
            .map(|notified| notified.label("alertname").to_owned())
            .filter(|name| !OF_THE_MACHINE.contains(&name.as_str()))
            .map(|name| name.trim_start_matches("QdrantBackup").to_owned())
            .collect()
    }

    /// Fails the test if receivers were notified of alerts of `site` other than `expected`. Those in `perhaps` are
    /// allowed.
    #[track_caller]
    pub fn assert_told_of(&self, site: &Site, expected: &[&str], perhaps: &[&str]) {
        let told: Vec<String> =
            self.told_of(site).into_iter().filter(|name| !perhaps.contains(&name.as_str())).collect();
        let of_site = |notified: &Notified| notified.label("instance") == site.name;
        let all: Vec<String> =
            self.notified().iter().filter(|one| of_site(one)).map(Notified::in_short).collect();
        assert_eq!(told, expected, "of {}, in the order of arrival: {all:#?}", site.name);
    }

    /// Waits until a query about `site` returns `value`. `SITE` in the query is replaced by the matcher.
    #[track_caller]
    pub fn sees(&self, site: &Site, query: &str, value: &str) {
        let query = query.replace("SITE", &format!("instance=\"{}\"", site.name));
        wait(&format!("{query} is {value}"), || (self.prometheus.value(&query)? == value).then_some(()));
    }

    /// Every alert of every notification so far, in order of arrival.
    pub fn notified(&self) -> Vec<Notified> {
        let messages = self.webhook.messages();
        let notifications = messages.iter().filter(|(to, _)| !to.ends_with("/text"));
        notifications.flat_map(|(to, notification)| Notified::all(to, notification)).collect()
    }

    fn find(&self, site: &Site, expected: &Expected, is_firing: bool) -> Option<Notified> {
        self.notified().into_iter().find(|notified| {
            notified.label("instance") == site.name
                && notified.is_firing == is_firing
                && expected.is(notified)
        })
    }

    /// Title and text that the template rendered for a receiver.
    fn texts(&self, receiver: &str) -> Vec<(String, String)> {
        let text =
            |body: &Value, key: &str| body["attachments"][0][key].as_str().unwrap_or_default().to_owned();
        let posted = self.webhook.posted_to(&format!("{receiver}/text"));
        posted.iter().map(|body| (text(body, "title"), text(body, "text"))).collect()
    }
}

/// Waits until `look` returns something. Polls rarely, because each poll is a connection.
#[track_caller]
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, || {
        thread::sleep(Duration::from_millis(100));
        look()
    })
}

/// A file from `alerts/`.
fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
