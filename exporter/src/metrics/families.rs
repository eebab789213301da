//! From an observation to families of samples.

use prometheus::proto::MetricFamily;

use super::process::ProcessInfo;
use crate::observe::Observation;

/// Every metric of docs/metrics.md that is known, built afresh.
pub fn families(_observation: &Observation, _process: &ProcessInfo) -> Vec<MetricFamily> {
    Vec::new()
}
