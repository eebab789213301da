//! Content negotiation: format and compression according to `Accept` and `Accept-Encoding` with their weights.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use crate::metrics::{self, Family};

/// A format of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    OpenMetrics,
}

impl Format {
    /// The best accepted format. The text format if no known one is accepted.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let mut best = (0.0, Self::Text);
        for (value, weight) in choices(headers, &ACCEPT) {
            let mut parts = value.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let version = parts.find_map(|part| part.strip_prefix("version=")).map(|v| v.trim_matches('"'));
            let format = match (kind, version) {
                ("text/plain", None | Some("0.0.4")) => Self::Text,
                ("application/openmetrics-text", None | Some("1.0.0")) => Self::OpenMetrics,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }

    /// The families in this format.
    pub(super) fn text(self, families: &[Family]) -> String {
        match self {
            Self::Text => metrics::text(families),
            Self::OpenMetrics => metrics::openmetrics(families),
        }
    }

    /// Its `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Whether the answer may be compressed with gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for (value, weight) in choices(headers, &ACCEPT_ENCODING) {
        match value.split(';').next().unwrap_or_default().trim() {
            "gzip" | "x-gzip" => return weight > 0.0,
            "*" => any = weight > 0.0,
            _ => {}
        }
    }
    any
}

/// The choices in a header in order, in lower case, with weights from 0 to 1. Invalid entries have weight 0.
fn choices(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, f32)> {
    /// More than any client sends. The size of a request's head limits a header anyway.
    const MOST: usize = 32;
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .take(MOST)
        .map(|choice| {
            let choice = choice.trim().to_ascii_lowercase();
            let said = choice.split(';').find_map(|part| part.trim().strip_prefix("q="));
            let weight = said.map_or(1.0, |text| text.trim().parse().unwrap_or(0.0));
            (choice, if (0.0..=1.0).contains(&weight) { weight } else { 0.0 })
        })
        .collect()
}
