//! The two text formats.

use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

/// The families in the text format 0.0.4.
pub fn text(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    match TextEncoder::new().encode_utf8(families, &mut text) {
        Ok(()) => text,
        // Only a family without a name or a sample is refused, and `families` makes none.
        Err(error) => format!("# {error}\n"),
    }
}

/// The families in OpenMetrics 1.0.0.
pub fn openmetrics(families: &[MetricFamily]) -> String {
    let mut text = text(families);
    text.push_str("# EOF\n");
    text
}
