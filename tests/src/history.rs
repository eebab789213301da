//! The data that Prometheus would have if it had scraped the exporter for days: real answers of the exporter, each
//! entered at the times at which it would have been returned, and converted to blocks by promtool.
//!
//! The exporter reports times, not ages, so an answer does not depend on when it is requested. Today's answer about a
//! directory is the answer it would have given when the directory was in that state. This gives realistic data to
//! queries over days, such as `deriv` and `changes`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use qdrant_backup_shared::atomic;

/// The time between two entries: less than the five minutes after which Prometheus considers a series gone.
const EVERY: TimeDelta = TimeDelta::minutes(4);

/// Samples of one target by family, because OpenMetrics requires each family to be contiguous.
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
    /// A history of the target named `instance`.
    pub fn of(instance: &str) -> Self {
        Self { labels: format!("job=\"qdrant-backup\",instance=\"{instance}\""), families: BTreeMap::new() }
    }

    /// Enters `answer`, OpenMetrics without timestamps, for the time `from` to `until`. Must be later than all
    /// earlier entries.
    pub fn enter(&mut self, answer: &str, from: DateTime<Utc>, until: DateTime<Utc>) {
        let mut family = String::new();
        let mut samples: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
        // The metrics that Prometheus itself adds for a successful scrape.
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

    /// Replaces the disk that the exporter saw by one of `size_bytes`. Other files use `others_bytes` of it, a little
    /// more each hour; the rest is used by the backups.
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

    /// Writes the blocks where a Prometheus that is started on `directory` finds them.
    ///
    /// # Panics
    /// When promtool rejects them.
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
        assert!(status.success(), "promtool cannot create blocks from {}", file.display());
    }
}
