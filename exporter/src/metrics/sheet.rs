//! Collects samples into families.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use qdrant_backup_shared::{FailureKind, text};

use super::table::{self, Metric};

/// A metric with its samples.
#[derive(Debug, Clone)]
pub struct Family {
    /// The metric.
    pub metric: &'static Metric,
    /// Label values in the order of the metric's labels, and the value.
    pub(super) samples: Vec<(Vec<String>, f64)>,
}

/// One family per metric, in the order of the table.
pub(super) struct Sheet(Vec<Family>);

impl Sheet {
    pub fn new() -> Self {
        Self(table::ALL.iter().map(|metric| Family { metric, samples: Vec::new() }).collect())
    }

    /// Adds a sample with label values in the order of the metric's labels. Names come from servers: invisible
    /// characters are escaped so that different names stay different series.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let labels = labels.iter().map(|label| text::visible(label).into_owned()).collect();
        if let Some(family) = self.0.iter_mut().find(|family| family.metric.name == metric.name) {
            family.samples.push((labels, value));
        }
    }

    /// Adds a sample if its value is known.
    pub fn add_if(&mut self, metric: &Metric, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.add(metric, labels, value);
        }
    }

    /// Adds how often each kind of failure occurred, for the object named by `of`: a bounded set of labels.
    pub fn add_failures(&mut self, metric: &Metric, of: &str, failures: &BTreeMap<FailureKind, u64>) {
        let mut known: BTreeMap<&str, u64> = BTreeMap::new();
        for (kind, number) in failures {
            let kind = if FailureKind::KNOWN.contains(kind) { kind.as_str() } else { "other" };
            *known.entry(kind).or_default() += number;
        }
        for (kind, number) in known {
            self.add(metric, &[of, kind], count(number));
        }
    }

    /// The families with samples.
    pub fn into_families(self) -> Vec<Family> {
        self.0.into_iter().filter(|family| !family.samples.is_empty()).collect()
    }
}

/// 1 or 0.
pub(super) fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Exact up to 2^53, that is, up to eight million gigabytes.
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

pub(super) fn time(at: DateTime<Utc>) -> f64 {
    at.timestamp_millis() as f64 / 1000.0
}
