//! What Prometheus would have in store if it had scraped the exporter for days: genuine answers of the exporter, each
//! entered at the times at which it would have been given, and made into blocks by promtool.
//!
//! The exporter shows times, not ages, so that an answer does not depend on when it is given: what it says of a
//! directory today is what it would have said when the directory was like that. So queries that look at days, as `deriv`
//! and `changes` do, have something to look at that nobody made up.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::atomic;

/// The time between two entries: less than the five minutes after which Prometheus takes a series for gone.
const EVERY: TimeDelta = TimeDelta::minutes(4);

/// Samples of one target, by family, because OpenMetrics wants a family in one piece.
pub struct History {
    labels: String,
    families: BTreeMap<String, Family>,
}

#[derive(Default)]
struct Family {
    head: Vec<String>,
    samples: String,
}

impl History {
    /// A history of the target that is called `instance`.
    pub fn of(instance: &str) -> Self {
        Self { labels: format!("job=\"qdrant-backup\",instance=\"{instance}\""), families: BTreeMap::new() }
    }

    /// Enters `answer`, which is OpenMetrics without times, for the time `from` to `until`, after everything before.
    pub fn enter(&mut self, answer: &str, from: DateTime<Utc>, until: DateTime<Utc>) {
        let mut family = String::new();
        let mut samples: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
        // What Prometheus itself notes of a scrape that succeeds.
        for line in ["# TYPE up gauge", "up 1"].into_iter().chain(answer.lines()) {
            if let Some(head) = line.strip_prefix("# ") {
                if let Some(name) = head.split(' ').nth(1) {
                    name.clone_into(&mut family);
                    let head = &mut self.families.entry(family.clone()).or_default().head;
                    if !head.iter().any(|known| known == line) {
                        head.push(line.to_owned());
                    }
                }
            } else if let Some((series, value)) = line.rsplit_once(' ') {
                samples.entry(family.clone()).or_default().push((series, value));
            }
        }
        for (family, samples) in samples {
            let entered = &mut self.families.entry(family).or_default().samples;
            let mut at = from;
            while at < until {
                for (series, value) in &samples {
                    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                    let comma = if labels == "}" { "" } else { "," };
                    writeln!(entered, "{name}{{{}{comma}{labels} {value} {}", self.labels, at.timestamp())
                        .expect("memory");
                }
                at += EVERY;
            }
        }
    }

    /// Puts a disk of `size_bytes` in place of the one that the exporter saw. Of it `others_bytes` are taken by others, a
    /// little more each hour, and the rest by the backups.
    pub fn imagine_disk(&mut self, size_bytes: f64, others_bytes: f64) {
        let number = |text: &str| text.parse::<f64>().expect("a number");
        let mut backups: BTreeMap<String, f64> = BTreeMap::new();
        if let Some(sizes) = self.families.get("qdrant_backup_backups_size_bytes") {
            for line in sizes.samples.lines() {
                let mut words = line.rsplitn(3, ' ');
                let (at, size) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                *backups.entry(at.to_owned()).or_default() += number(size);
            }
        }
        let last = backups.keys().next_back().map_or(0.0, |at| number(at));
        let avail = |at: &str| {
            let hours_ago = (last - number(at)) / 3600.0;
            size_bytes
                - backups.get(at).copied().unwrap_or_default()
                - others_bytes * (1.0 - hours_ago / 1000.0)
        };
        for (family, value) in [
            ("qdrant_backup_storage_avail_bytes", &avail as &dyn Fn(&str) -> f64),
            ("qdrant_backup_storage_size_bytes", &|_| size_bytes),
        ] {
            let Some(family) = self.families.get_mut(family) else { continue };
            family.samples = family
                .samples
                .lines()
                .filter_map(|line| {
                    let mut words = line.rsplitn(3, ' ');
                    let (at, _, series) = (words.next()?, words.next()?, words.next()?);
                    Some(format!("{series} {} {at}\n", value(at)))
                })
                .collect();
        }
    }

    /// Makes blocks of it where a Prometheus that is started on `directory` finds them.
    ///
    /// # Panics
    /// When promtool does not take it.
    pub fn store(&self, directory: &Path) {
        let mut text = String::new();
        for Family { head, samples } in self.families.values() {
            for line in head {
                text.push_str(line);
                text.push('\n');
            }
            text.push_str(samples);
        }
        text.push_str("# EOF\n");
        let file = directory.join("history.openmetrics");
        atomic::write(&file, 0o600, text.as_bytes()).expect("a file");
        let status = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "--max-block-duration=240h", "openmetrics"])
            .arg(&file)
            .arg(directory.join("data"))
            .stdout(Stdio::null())
            .status()
            .expect("promtool starts");
        assert!(status.success(), "promtool cannot make blocks of {}", file.display());
    }
}
