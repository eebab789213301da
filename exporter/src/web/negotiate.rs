//! Which format, and whether compressed: what `Accept` and `Accept-Encoding` ask for, with their weights.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use crate::metrics::{self, Family};

/// A format of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    /// OpenMetrics 0.0.1, which is 1.0.0 by an older name.
    OpenMetrics001,
    OpenMetrics100,
}

impl Format {
    /// The best of what is accepted; text where nothing that is known is.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let mut best = (0.0, Self::Text);
        for (value, weight) in choices(headers, &ACCEPT) {
            let mut parts = value.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let version = parts.find_map(|part| part.strip_prefix("version=")).map(|v| v.trim_matches('"'));
            let format = match (kind, version) {
                ("text/plain", None | Some("0.0.4")) => Self::Text,
                ("application/openmetrics-text", Some("1.0.0")) => Self::OpenMetrics100,
                ("application/openmetrics-text", None | Some("0.0.1")) => Self::OpenMetrics001,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }

    /// The families in it.
    pub(super) fn text(self, families: &[Family]) -> String {
        match self {
            Self::Text => metrics::text(families),
            Self::OpenMetrics001 | Self::OpenMetrics100 => metrics::openmetrics(families),
        }
    }

    /// Its `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics001 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Self::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
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

/// The choices of a header in order, lowercase, with weights from 0 to 1. What cannot be read weighs nothing.
fn choices(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, f32)> {
    /// More than any client sends; a header is at most as long as a request's head anyway.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !value.is_empty() {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_format_is_the_one_asked_for_with_the_greatest_weight() {
        use Format::{OpenMetrics001, OpenMetrics100, Text};
        for (accept, expected) in [
            ("", Text),
            ("*/*", Text),
            ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", Text),
            ("text/plain", Text),
            ("text/plain;version=0.0.4", Text),
            ("text/plain;version=1.0.0", Text),
            ("application/openmetrics-text", OpenMetrics001),
            ("application/openmetrics-text;version=1.0.0", OpenMetrics100),
            ("application/openmetrics-text; version=\"1.0.0\"; charset=utf-8", OpenMetrics100),
            ("Application/OpenMetrics-Text; Version=1.0.0", OpenMetrics100),
            ("application/openmetrics-text;version=9.9.9", Text),
            ("application/openmetrics-text;version=1.0.0;q=0", Text),
            ("application/openmetrics-text;version=1.0.0;q=0.4,text/plain;q=0.5", Text),
            ("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.75", OpenMetrics100),
            ("application/openmetrics-text;version=1.0.0;q=nonsense", Text),
            ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", Text),
            // What Prometheus 2.42 sends.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics100,
            ),
            // What Prometheus 3 sends.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics100,
            ),
        ] {
            assert_eq!(Format::accepted(&headers(ACCEPT, accept)), expected, "{accept}");
        }
    }

    #[test]
    fn gzip_is_used_only_where_it_is_welcome() {
        for (accept, expected) in [
            ("", false),
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, *", false),
            ("*", true),
            ("*;q=0", false),
            ("identity", false),
            ("br, zstd", false),
        ] {
            assert_eq!(accepts_gzip(&headers(ACCEPT_ENCODING, accept)), expected, "{accept}");
        }
    }
}
