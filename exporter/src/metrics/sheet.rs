//! Samples on their way into families.

use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use qdrant_backup_shared::text;

use super::table::{self, Kind, Metric};

/// One family per metric of the table, in its order.
pub(super) struct Sheet(Vec<MetricFamily>);

impl Sheet {
    pub fn new() -> Self {
        Self(table::ALL.iter().map(family).collect())
    }

    /// Adds a sample. `labels` are the values of the metric's labels, in their order. Names come from servers: what is not
    /// seen in one is escaped, and different names stay different series.
    pub fn add(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
        let pairs = metric.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(text::visible(value).into_owned());
            pair
        });
        let mut sample = proto::Metric::from_label(pairs.collect());
        match metric.kind {
            Kind::Gauge => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
            Kind::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
        }
        if let Some(at) = table::ALL.iter().position(|other| other.name == metric.name) {
            self.0[at].mut_metric().push(sample);
        }
    }

    /// Adds a sample if its value is known.
    pub fn add_if(&mut self, metric: &Metric, labels: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.add(metric, labels, value);
        }
    }

    /// The families that have a sample.
    pub fn into_families(self) -> Vec<MetricFamily> {
        self.0.into_iter().filter(|family| !family.get_metric().is_empty()).collect()
    }
}

fn family(metric: &Metric) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Kind::Gauge => MetricType::GAUGE,
        Kind::Counter => MetricType::COUNTER,
    });
    family
}
